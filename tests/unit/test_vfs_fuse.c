/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every file system promises, through FUSE: a file system in memory is served by a process of its own
 * and mounted, and the kernel's answers are taken by the native implementation, which does nothing but system
 * calls on the mount.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "os/fs.h"
#include "os/process.h"
#include "vfs/fuse/fuse.h"
#include "vfs/memory/memory.h"
#include "vfs/native/native.h"
#include "vfs_make.h"
#include "vfs_promises.h"

#define UNMOUNT_TIME (10 * NANOSECONDS_PER_SECOND)

/* What the kernel passes on: birth times and changes of mount it does not, and a handle that it makes itself
 * belongs to the mount. */
static unsigned can(void)
{
	unsigned always = VFS_CAN_XATTRS | VFS_CAN_EXCHANGE | VFS_CAN_COUNT;

	return geteuid() == 0 ? always | VFS_CAN_OWNERS | VFS_CAN_DEVICES | VFS_CAN_TRUSTED : always;
}

static _Noreturn void serve(const char *path, int ready, const struct fuse_options *options)
{
	struct memory_options memory = {.uid = geteuid(), .gid = getegid(), .mode = 0777};
	struct fuse_server *server = NULL;
	struct vfs *fs = NULL;
	struct error err = {0};
	int r;

	r = memory_new(&memory, &fs, &err);
	if (r == 0)
		r = fuse_server_mount(fs, path, options, &server, &err);
	if (r < 0)
		fprintf(stderr, "# %s\n", err.text);
	if (r < 0 || write(ready, "x", 1) != 1)
		_exit(1);
	r = fuse_server_run(server, &err);
	fuse_server_free(server);
	vfs_destroy(fs);
	_exit(r < 0);
}

static pid_t mount_memory(const char *path, const struct fuse_options *options)
{
	int ends[2];
	pid_t child;
	char c;

	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		close(ends[0]);
		serve(path, ends[1], options);
	}
	close(ends[1]);
	CHECK_INT(read(ends[0], &c, 1), 1);
	close(ends[0]);
	return child;
}

static void unmount(const char *path, pid_t child)
{
	const char *const argv[] = {"fusermount3", "-u", path, NULL};
	struct process_run_options options = {.timeout = UNMOUNT_TIME};
	struct error err;
	int status;

	CHECK_OK(process_run(argv, &options, &err));
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(status, 0);
}

static void run_with(vfs_promise *promise, uint64_t cache)
{
	const struct fuse_options fuse = {.cache = cache};
	struct native_options native = {.owners = NATIVE_PLAIN, .mounts = true};
	char path[] = "/tmp/monocore-test-XXXXXX";
	struct vfs *fs;
	struct error err;
	pid_t child;

	CHECK(mkdtemp(path));
	child = mount_memory(path, &fuse);
	native.directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(native.directory >= 0);
	CHECK_OK(native_new(&native, &fs, &err));
	close(native.directory);
	promise(fs, can());
	vfs_destroy(fs);
	unmount(path, child);
	CHECK_INT(rmdir(path), 0);
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
