/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/fuse/ahead.h"

#include <linux/fuse.h>
#include <sys/sysmacros.h>

#include "codec/volume.h"

/* Linux, include/uapi/linux/fuse.h; the number of no request. */
struct ahead {
	struct fuse_out_header head;
	uint64_t node;
	struct fuse_attr_out attributes;
};

struct bare {
	struct fuse_out_header head;
	uint64_t node, seconds;
};

static struct fuse_attr attributes_of(const struct vfs_attributes *a)
{
	return (struct fuse_attr){.ino = a->ino,
		.size = a->size,
		.blocks = a->blocks,
		.atime = (uint64_t)a->atime.seconds,
		.mtime = (uint64_t)a->mtime.seconds,
		.ctime = (uint64_t)a->ctime.seconds,
		.atimensec = a->atime.nanoseconds,
		.mtimensec = a->mtime.nanoseconds,
		.ctimensec = a->ctime.nanoseconds,
		.mode = a->mode,
		.nlink = a->links,
		.uid = a->uid,
		.gid = a->gid,
		.rdev = (uint32_t)makedev(a->major, a->minor),
		.blksize = a->block_size};
}

void fuse_tell_ahead(struct fuse_session_data *data, uint64_t directory)
{
	struct ahead m = {.head = {.len = sizeof m, .error = VOLUME_AHEAD}, .node = directory};
	struct vfs_attributes a;

	if (!data->ahead || vfs_getattr(data->fs, directory, VFS_NO_HANDLE, &a) < 0)
		return;
	m.attributes.attr_valid = (uint64_t)(a.told ? data->told_timeout : data->timeout);
	m.attributes.attr = attributes_of(&a);
	data->ahead(data, &m, sizeof m);
}

void fuse_tell_bare(struct fuse_session_data *data, uint64_t ino)
{
	struct bare m = {.head = {.len = sizeof m, .error = VOLUME_BARE}, .node = ino};
	struct vfs_attributes a;

	if (!data->ahead || vfs_listxattr(data->fs, ino, NULL, 0) != 0 ||
		vfs_getattr(data->fs, ino, VFS_NO_HANDLE, &a) < 0)
		return;
	m.seconds = (uint64_t)(a.told ? data->told_timeout : data->timeout);
	data->ahead(data, &m, sizeof m);
}
