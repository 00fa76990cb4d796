/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every file system promises, through FUSE: a file system in memory is served by a process of its own
 * and mounted, and the kernel's answers are taken by the native implementation, which does nothing but system
 * calls on the mount.
 */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "fuse_mount.h"
#include "vfs/memory/memory.h"
#include "vfs/native/native.h"
#include "vfs_make.h"
#include "vfs_promises.h"

/* What the kernel passes on: birth times and changes of mount it does not, and a handle that it makes itself
 * belongs to the mount. */
static unsigned can(void)
{
	unsigned always = VFS_CAN_XATTRS | VFS_CAN_EXCHANGE | VFS_CAN_COUNT;

	return geteuid() == 0 ? always | VFS_CAN_OWNERS | VFS_CAN_DEVICES | VFS_CAN_TRUSTED : always;
}

static struct vfs *make_memory(const void *context, bool again)
{
	struct memory_options memory = {.uid = geteuid(), .gid = getegid(), .mode = 0777};
	struct vfs *fs = NULL;

	(void)context;
	(void)again;
	return memory_new(&memory, &fs, NULL) < 0 ? NULL : fs;
}

static void run_with(vfs_promise *promise, uint64_t cache)
{
	const struct fuse_options fuse = {.cache = cache};
	struct native_options native = {.owners = NATIVE_PLAIN, .mounts = true};
	struct fuse_mount mount;
	struct vfs *fs;
	struct error err;

	fuse_mount_open(&mount, make_memory, NULL, &fuse);
	native.directory = open(mount.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(native.directory >= 0);
	CHECK_OK(native_new(&native, &fs, &err));
	close(native.directory);
	promise(fs, can());
	vfs_destroy(fs);
	fuse_mount_close(&mount);
}

static void run(vfs_promise *promise)
{
	run_with(promise, 0);
}

static void run_cached(vfs_promise *promise)
{
	run_with(promise, NANOSECONDS_PER_SECOND);
}

#define X(name) \
	TEST(name) \
	{ \
		run(promise_##name); \
	} \
	TEST(name##_with_a_cache) \
	{ \
		run_cached(promise_##name); \
	}
VFS_PROMISES(X)
#undef X

/* ---- a file system some of whose calls are the test's own ---------------------------------------------- */

static const struct vfs_operations *inner;
static struct vfs_operations outer; /* what is not replaced is the inner one's */

static struct vfs *make_outer(void)
{
	struct vfs *fs = make_memory(NULL, false);

	inner = fs->operations;
	outer = *inner;
	fs->operations = &outer;
	return fs;
}

/* ---- a request that takes long ---------------------------------------------------------------------------
 */

static _Atomic bool released;

static int64_t read_late(struct vfs *fs, uint64_t ino, vfs_handle h, void *bytes, size_t size, uint64_t at)
{
	while (!atomic_load(&released))
		usleep(1000);
	return inner->read(fs, ino, h, bytes, size, at);
}

static int mkdir_releases(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, struct vfs_attributes *out)
{
	atomic_store(&released, true);
	return inner->mkdir(fs, who, parent, name, mode, out);
}

static struct vfs *make_late(const void *context, bool again)
{
	struct vfs *fs = make_outer();

	(void)context;
	(void)again;
	outer.read = read_late;
	outer.mkdir = mkdir_releases;
	return fs;
}

static void *read_text(void *context)
{
	char text[8];

	return pread(*(int *)context, text, sizeof text, 0) == 4 ? context : NULL;
}

TEST(a_request_that_takes_long_holds_up_no_other)
{
	const struct fuse_options fuse = {0};
	struct fuse_mount mount;
	pthread_t reader;
	void *good;
	char path[128];
	int fd;

	fuse_mount_open(&mount, make_late, NULL, &fuse);
	snprintf(path, sizeof path, "%s/file", mount.path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	CHECK_INT(write(fd, "text", 4), 4);
	CHECK_INT(pthread_create(&reader, NULL, read_text, &fd), 0);
	usleep(200000); /* it is served by the only thread that there is by now, or that has its turn */
	snprintf(path, sizeof path, "%s/directory", mount.path);
	CHECK_INT(mkdir(path, 0755), 0);
	CHECK_INT(pthread_join(reader, &good), 0);
	CHECK(good != NULL);
	close(fd);
	fuse_mount_close(&mount);
}

/* ---- a read that comes before a write ---------------------------------------------------------------- */

/* What the server is to hold up, and whether it does. Shared with it. */
struct hold {
	atomic_bool write, write_waits, getattr, getattr_waits;
};
static struct hold *hold;

static void wait_while(atomic_bool *held, atomic_bool *waits)
{
	if (!atomic_load(held))
		return;
	atomic_store(waits, true);
	while (atomic_load(held))
		usleep(1000);
}

/* Not for long: there may be nothing to wait for. */
static void wait_for(atomic_bool *what)
{
	for (int i = 0; i < 500 && !atomic_load(what); i++)
		usleep(1000);
}

static int64_t write_held(
	struct vfs *fs, uint64_t ino, vfs_handle h, const void *bytes, size_t size, uint64_t at)
{
	wait_while(&hold->write, &hold->write_waits);
	return inner->write(fs, ino, h, bytes, size, at);
}

static int getattr_held(struct vfs *fs, uint64_t ino, vfs_handle h, struct vfs_attributes *out)
{
	int r = inner->getattr(fs, ino, h, out);

	wait_while(&hold->getattr, &hold->getattr_waits);
	return r;
}

static struct vfs *make_held(const void *context, bool again)
{
	struct vfs *fs = make_outer();

	(void)context;
	(void)again;
	outer.write = write_held;
	outer.getattr = getattr_held;
	return fs;
}

static void *write_new(void *context)
{
	return pwrite(*(int *)context, "new", 3, 0) == 3 ? context : NULL;
}

static void *read_new(void *context)
{
	char text[3];

	return pread(*(int *)context, text, 3, 0) == 3 && !memcmp(text, "new", 3) ? context : NULL;
}

/* While the first page of a file is written, somebody else reads it; and when who has written it reads it,
 * somebody else has just written to the second. */
TEST(a_writer_reads_what_it_has_written_whoever_read_it_meanwhile)
{
	const struct fuse_options fuse = {.cache = NANOSECONDS_PER_SECOND, .told_contents = true};
	struct fuse_mount mount;
	pthread_t writer, reader;
	void *good;
	char path[128], page[4096];
	int fd;

	hold = mmap(NULL, sizeof *hold, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(hold != MAP_FAILED);
	fuse_mount_open(&mount, make_held, NULL, &fuse);
	snprintf(path, sizeof path, "%s/file", mount.path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	memset(page, 'o', sizeof page);
	CHECK_INT(pwrite(fd, page, sizeof page, 0), sizeof page);
	CHECK_INT(pwrite(fd, page, sizeof page, sizeof page), sizeof page);
	CHECK_INT(pread(fd, page, sizeof page, 0), sizeof page);
	CHECK_INT(pwrite(fd, "x", 1, sizeof page), 1);

	atomic_store(&hold->write, true);
	CHECK_INT(pthread_create(&writer, NULL, write_new, &fd), 0);
	wait_for(&hold->write_waits);
	CHECK_INT(pread(fd, page, 3, 0), 3);
	atomic_store(&hold->getattr, true);
	atomic_store(&hold->write, false);
	CHECK_INT(pthread_join(writer, &good), 0);
	CHECK(good != NULL);

	CHECK_INT(pthread_create(&reader, NULL, read_new, &fd), 0);
	wait_for(&hold->getattr_waits);
	CHECK_INT(pwrite(fd, "y", 1, sizeof page), 1);
	atomic_store(&hold->getattr, false);
	CHECK_INT(pthread_join(reader, &good), 0);
	CHECK(good != NULL);
	close(fd);
	fuse_mount_close(&mount);
	munmap(hold, sizeof *hold);
}
