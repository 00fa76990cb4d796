/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data of files. What is opened for writing is copied first; a handle from before the copy reads the copy as
 * soon as there is one.
 */
#include <errno.h>

#include "vfs/overlay/overlay_parts.h"

/* Where a call goes. */
struct target {
	struct vfs *fs;
	uint64_t ino;
	vfs_handle handle;
};

static int follow_copy(struct overlay_open *open, struct target *t)
{
	int r = 0;

	t->fs = overlay_upper(open->node->fs);
	t->ino = atomic_load(&open->node->upper);
	pthread_mutex_lock(&open->lock);
	if (open->copied == VFS_NO_HANDLE)
		r = vfs_open(t->fs, t->ino, open->flags & VFS_READ, &open->copied);
	t->handle = open->copied;
	pthread_mutex_unlock(&open->lock);
	return r;
}

/* Of an open file, or of the object itself. */
static int aim(struct overlay_node *node, struct overlay_open *open, struct target *t)
{
	struct overlay_object o = overlay_top(node);

	if (open && open->layer != o.layer)
		return follow_copy(open, t);
	t->fs = overlay_fs(node->fs, o.layer);
	t->ino = o.ino;
	t->handle = open ? open->handle : VFS_NO_HANDLE;
	return 0;
}

static int check_file(const struct overlay_node *node)
{
	return S_ISREG(node->type) ? 0 : S_ISDIR(node->type) ? -EISDIR : -EINVAL;
}

/* The node of a call, and its open file, if it has one. needs: what it was opened for. */
static int begin(struct overlay *fs, uint64_t ino, vfs_handle handle, unsigned needs,
	struct overlay_node **node, struct overlay_open **open)
{
	int r = handle == VFS_NO_HANDLE ? 0 : overlay_open_get(fs, ino, handle, false, open);

	if (r == 0)
		r = overlay_get(fs, ino, node);
	if (r == 0)
		r = check_file(*node);
	if (r == 0 && *open && ((*open)->flags & needs) != needs)
		r = -EBADF;
	return r;
}

int overlay_open_node(struct overlay_node *node, unsigned flags, vfs_handle *handle)
{
	struct overlay *fs = node->fs;
	struct overlay_object o;
	vfs_handle layer_handle;
	int r = check_file(node);

	if (r == -EINVAL)
		r = S_ISLNK(node->type) ? -ELOOP : -ENXIO;
	if (r == 0 && flags & (VFS_WRITE | VFS_TRUNCATE))
		r = overlay_raise(node, flags & VFS_TRUNCATE ? 0 : OVERLAY_KEEP_ALL);
	if (r < 0)
		return r;
	o = overlay_top(node);
	r = vfs_open(overlay_fs(fs, o.layer), o.ino, flags & ~(unsigned)VFS_EXCLUSIVE, &layer_handle);
	if (r < 0)
		return r;
	r = overlay_open_new(node, flags, o.layer, layer_handle, handle);
	if (r < 0)
		vfs_release(overlay_fs(fs, o.layer), o.ino, layer_handle);
	return r;
}

int overlay_open(struct vfs *vfs, uint64_t ino, unsigned flags, vfs_handle *handle)
{
	_cleanup_node_ struct overlay_node *node = NULL;
	int r = overlay_get(overlay_of(vfs), ino, &node);

	return r < 0 ? r : overlay_open_node(node, flags, handle);
}

void overlay_release(struct vfs *vfs, uint64_t ino, vfs_handle handle)
{
	overlay_open_close(overlay_of(vfs), ino, handle, false);
}

int64_t overlay_read(
	struct vfs *vfs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset)
{
	_cleanup_open_ struct overlay_open *open = NULL;
	_cleanup_node_ struct overlay_node *node = NULL;
	struct target t;
	int r = begin(overlay_of(vfs), ino, handle, VFS_READ, &node, &open);

	if (r == 0)
		r = aim(node, open, &t);
	return r < 0 ? r : vfs_read(t.fs, t.ino, t.handle, bytes, size, offset);
}

/* Of a call that changes data. */
static int begin_change(struct overlay *fs, uint64_t ino, vfs_handle handle, struct overlay_node **node,
	struct overlay_open **open, struct target *t)
{
	int r = begin(fs, ino, handle, VFS_WRITE, node, open);

	if (r == 0)
		r = overlay_raise(*node, OVERLAY_KEEP_ALL);
	return r < 0 ? r : aim(*node, *open, t);
}

int64_t overlay_write(
	struct vfs *vfs, uint64_t ino, vfs_handle handle, const void *bytes, size_t size, uint64_t offset)
{
	_cleanup_open_ struct overlay_open *open = NULL;
	_cleanup_node_ struct overlay_node *node = NULL;
	struct target t;
	int r = begin_change(overlay_of(vfs), ino, handle, &node, &open, &t);

	return r < 0 ? r : vfs_write(t.fs, t.ino, t.handle, bytes, size, offset);
}

int overlay_allocate(
	struct vfs *vfs, uint64_t ino, vfs_handle handle, unsigned mode, uint64_t offset, uint64_t length)
{
	_cleanup_open_ struct overlay_open *open = NULL;
	_cleanup_node_ struct overlay_node *node = NULL;
	struct target t;
	int r = begin_change(overlay_of(vfs), ino, handle, &node, &open, &t);

	return r < 0 ? r : vfs_allocate(t.fs, t.ino, t.handle, mode, offset, length);
}

int overlay_fsync(struct vfs *vfs, uint64_t ino, vfs_handle handle, bool data_only)
{
	_cleanup_open_ struct overlay_open *open = NULL;
	_cleanup_node_ struct overlay_node *node = NULL;
	struct target t;
	int r = begin(overlay_of(vfs), ino, handle, 0, &node, &open);

	/* What a lower has is not written by us. */
	if (r < 0 || !atomic_load(&node->upper))
		return r;
	r = aim(node, open, &t);
	return r < 0 ? r : vfs_fsync(t.fs, t.ino, t.handle, data_only);
}

int64_t overlay_seek(struct vfs *vfs, uint64_t ino, vfs_handle handle, uint64_t offset, enum vfs_seek whence)
{
	_cleanup_open_ struct overlay_open *open = NULL;
	_cleanup_node_ struct overlay_node *node = NULL;
	struct target t;
	int r = begin(overlay_of(vfs), ino, handle, 0, &node, &open);

	if (r == 0)
		r = aim(node, open, &t);
	return r < 0 ? r : vfs_seek(t.fs, t.ino, t.handle, offset, whence);
}
