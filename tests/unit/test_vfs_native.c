/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/fs.h"
#include "vfs/native/native.h"
#include "vfs_make.h"
#include "vfs_promises.h"

/* ---- what every file system promises ------------------------------------------------------------------- */

#define CAN_ALWAYS \
	(VFS_CAN_XATTRS | VFS_CAN_HOLES | VFS_CAN_BTIME | VFS_CAN_PERSIST | VFS_CAN_EXCHANGE | VFS_CAN_COUNT)

static void run(vfs_promise *promise, struct native_options options, unsigned can)
{
	char path[] = "/tmp/monocore-test-XXXXXX";
	struct vfs *fs;
	struct error err;

	CHECK(mkdtemp(path));
	options.directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(options.directory >= 0);
	CHECK_OK(native_new(&options, &fs, &err));
	close(options.directory);
	promise(fs, CAN_ALWAYS | can);
	vfs_destroy(fs);
	CHECK_OK(fs_remove_tree(AT_FDCWD, path, &err));
}

static void run_override(vfs_promise *promise)
{
	struct native_options options = {.owners = NATIVE_OVERRIDE, .uid = geteuid(), .gid = getegid()};

	run(promise, options, VFS_CAN_OWNERS | VFS_CAN_DEVICES | VFS_CAN_TRUSTED | VFS_CANNOT_OWN_LINKS);
}

static void run_plain(vfs_promise *promise)
{
	struct native_options options = {.owners = NATIVE_PLAIN, .descriptors = 16};

	run(promise, options, geteuid() == 0 ? VFS_CAN_OWNERS | VFS_CAN_DEVICES | VFS_CAN_TRUSTED : 0);
}

#define X(name) \
	TEST(name) \
	{ \
		run_override(promise_##name); \
	} \
	TEST(name##_in_plain) \
	{ \
		run_plain(promise_##name); \
	}
VFS_PROMISES(X)
#undef X
