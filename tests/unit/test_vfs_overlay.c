/* SPDX-License-Identifier: Apache-2.0 */
/* The conformance suite on unions: of layers in memory, of host directories, and of a union on a union. What
 * unions promise beyond it is in test_overlay.c. */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/fs.h"
#include "vfs/memory/memory.h"
#include "vfs/native/native.h"
#include "vfs/overlay/overlay.h"
#include "vfs_make.h"
#include "vfs_promises.h"

#define CAN_MEMORY \
	(VFS_CAN_OWNERS | VFS_CAN_DEVICES | VFS_CAN_XATTRS | VFS_CAN_TRUSTED | VFS_CAN_LARGE_XATTRS | \
		VFS_CAN_HOLES | VFS_CAN_BTIME | VFS_CAN_PERSIST | VFS_CAN_EXCHANGE | VFS_CAN_HUGE)
#define CAN_NATIVE \
	(VFS_CAN_OWNERS | VFS_CAN_DEVICES | VFS_CAN_TRUSTED | VFS_CANNOT_OWN_LINKS | VFS_CAN_XATTRS | \
		VFS_CAN_HOLES | VFS_CAN_BTIME | VFS_CAN_PERSIST | VFS_CAN_EXCHANGE)

static struct vfs *new_memory(void)
{
	struct vfs *fs = NULL;
	struct error err;

	CHECK_OK(memory_new(NULL, &fs, &err));
	return fs;
}

static struct vfs *new_native(const char *path)
{
	struct native_options options = {.owners = NATIVE_OVERRIDE, .uid = geteuid(), .gid = getegid()};
	struct vfs *fs = NULL;
	struct error err;

	options.directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(options.directory >= 0);
	CHECK_OK(native_new(&options, &fs, &err));
	close(options.directory);
	return fs;
}

/* Over an empty lower. */
static struct vfs *new_union(struct vfs *lower, struct vfs *upper)
{
	struct overlay_layer layer = {lower, VFS_ROOT};
	struct overlay_options options = {.lowers = &layer,
		.lower_count = 1,
		.upper = {upper, vfs_make_directory(upper, VFS_ROOT, "upper")},
		.work = vfs_make_directory(upper, VFS_ROOT, "work")};
	struct vfs *fs = NULL;
	struct error err;

	CHECK_OK(overlay_new(&options, &fs, &err));
	return fs;
}

static void run_in_memory(vfs_promise *promise)
{
	_cleanup_vfs_ struct vfs *lower = new_memory(), *upper = new_memory(), *fs = new_union(lower, upper);

	promise(fs, CAN_MEMORY);
}

static void run_on_host(vfs_promise *promise)
{
	char below[] = "/tmp/monocore-test-XXXXXX", above[] = "/tmp/monocore-test-XXXXXX";
	struct error err;

	CHECK(mkdtemp(below) && mkdtemp(above));
	{
		_cleanup_vfs_ struct vfs *lower = new_native(below), *upper = new_native(above);
		_cleanup_vfs_ struct vfs *fs = new_union(lower, upper);

		promise(fs, CAN_NATIVE);
	}
	CHECK_OK(fs_remove_tree(AT_FDCWD, below, &err));
	CHECK_OK(fs_remove_tree(AT_FDCWD, above, &err));
}

static void run_on_union(vfs_promise *promise)
{
	_cleanup_vfs_ struct vfs *lower = new_memory(), *upper = new_memory(),
				 *middle = new_union(lower, upper);
	_cleanup_vfs_ struct vfs *fs = new_union(lower, middle);

	promise(fs, CAN_MEMORY);
}

#define X(name) \
	TEST(name) \
	{ \
		run_in_memory(promise_##name); \
	} \
	TEST(name##_on_the_host) \
	{ \
		run_on_host(promise_##name); \
	} \
	TEST(name##_on_a_union) \
	{ \
		run_on_union(promise_##name); \
	}
VFS_PROMISES(X)
