/* SPDX-License-Identifier: Apache-2.0 */
/* The file system in memory: what all file systems promise, and its own limits. */
#include <stdlib.h>
#include <sys/stat.h>

#include "vfs/memory/memory.h"
#include "vfs_make.h"
#include "vfs_promises.h"

#define CAN \
	(VFS_CAN_OWNERS | VFS_CAN_DEVICES | VFS_CAN_XATTRS | VFS_CAN_TRUSTED | VFS_CAN_LARGE_XATTRS | \
		VFS_CAN_HOLES | VFS_CAN_BTIME | VFS_CAN_PERSIST | VFS_CAN_EXCHANGE | VFS_CAN_COUNT | \
		VFS_CAN_HUGE)

static void run(vfs_promise *promise)
{
	_cleanup_vfs_ struct vfs *fs = NULL;
	struct error err;

	CHECK_OK(memory_new(NULL, &fs, &err));
	promise(fs, CAN);
}

#define X(name) \
	TEST(name) \
	{ \
		run(promise_##name); \
	}
VFS_PROMISES(X)
#undef X
