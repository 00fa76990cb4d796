/* SPDX-License-Identifier: Apache-2.0 */
/* The conformance suite on overlays of memory layers, in every form of marks; what unions promise is in
 * test_overlay.c. */
#include "test.h"
#include "vfs/memory/memory.h"
#include "vfs/overlay/overlay.h"
#include "vfs_make.h"
#include "vfs_promises.h"

#define CAN \
	(VFS_CAN_OWNERS | VFS_CAN_DEVICES | VFS_CAN_XATTRS | VFS_CAN_TRUSTED | VFS_CAN_LARGE_XATTRS | \
		VFS_CAN_HOLES | VFS_CAN_BTIME | VFS_CAN_PERSIST | VFS_CAN_EXCHANGE | VFS_CAN_HUGE)

static void run(vfs_promise *promise, unsigned can)
{
	_cleanup_vfs_ struct vfs *lower = NULL, *upper = NULL;
	struct vfs *fs;
	struct overlay_layer layer;
	struct overlay_options options;
	struct error err;

	CHECK_OK(memory_new(NULL, &lower, &err));
	CHECK_OK(memory_new(NULL, &upper, &err));
	layer = (struct overlay_layer){lower, VFS_ROOT};
	options = (struct overlay_options){.lowers = &layer,
		.lower_count = 1,
		.upper = {upper, vfs_make_directory(upper, VFS_ROOT, "upper")},
		.work = vfs_make_directory(upper, VFS_ROOT, "work")};
	CHECK_OK(overlay_new(&options, &fs, &err));
	promise(fs, can);
	vfs_destroy(fs);
}

#define X(name) \
	TEST(name) \
	{ \
		run(promise_##name, CAN); \
	}
VFS_PROMISES(X)
