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

/* ---- a request that takes long ---------------------------------------------------------------------------
 */

static const struct vfs_operations *inner;
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
	static struct vfs_operations late;
	struct vfs *fs = make_memory(context, again);

	inner = fs->operations;
	late = *inner;
	late.read = read_late;
	late.mkdir = mkdir_releases;
	fs->operations = &late;
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
