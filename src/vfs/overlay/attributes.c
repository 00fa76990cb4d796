/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up, and what objects are: the topmost layer's attributes, with the union's number and links. */
#include <errno.h>
#include <string.h>

#include "vfs/overlay/overlay_parts.h"

void overlay_show(struct overlay_node *node, struct vfs_attributes *a)
{
	a->ino = node->number;
	a->generation = node->generation;
	a->links = (uint32_t)overlay_links(node, a->links);
	a->change += atomic_load(&node->change_base);
	if (S_ISDIR(node->type) && atomic_load(&node->removed))
		a->links = 0;
}

int overlay_attributes(struct overlay_node *node, struct vfs_attributes *out)
{
	struct overlay_object o = overlay_top(node);
	int r = vfs_getattr(overlay_fs(node->fs, o.layer), o.ino, VFS_NO_HANDLE, out);

	if (r == 0)
		overlay_show(node, out);
	return r;
}

int overlay_attributes_found(
	struct overlay_node *node, const struct overlay_found *f, struct vfs_attributes *out)
{
	struct overlay_object o = overlay_top(node);

	if (o.layer != f->one.layer || o.ino != f->one.ino)
		return overlay_attributes(node, out);
	*out = f->top;
	overlay_show(node, out);
	return 0;
}

int overlay_lookup(struct vfs *vfs, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	struct overlay *fs = overlay_of(vfs);
	_cleanup_node_ struct overlay_node *directory = NULL, *node = NULL;
	_cleanup_found_ struct overlay_found f = {.fs = fs};
	_cleanup_tree_ struct overlay *held = NULL;
	int r = overlay_get_directory(fs, parent, &directory);

	if (r < 0)
		return r;
	held = overlay_tree_read(fs);
	r = overlay_find(directory, name, &f);
	if (r == 0)
		r = overlay_enter(fs, &f, directory, name, &node);
	if (r == 0)
		r = overlay_attributes_found(node, &f, out);
	if (r == 0)
		overlay_looked_up(node);
	return r;
}

int overlay_getattr(struct vfs *vfs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out)
{
	struct overlay *fs = overlay_of(vfs);
	_cleanup_node_ struct overlay_node *node = NULL;
	_cleanup_open_ struct overlay_open *open = NULL;
	int r = overlay_get(fs, ino, &node);

	if (r == 0 && handle != VFS_NO_HANDLE)
		r = overlay_open_get(fs, ino, handle, S_ISDIR(node->type), &open);
	return r < 0 ? r : overlay_attributes(node, out);
}

int overlay_setattr(struct vfs *vfs, const struct vfs_caller *who, uint64_t ino, vfs_handle handle,
	const struct vfs_attributes *values, unsigned what, struct vfs_attributes *out)
{
	struct overlay *fs = overlay_of(vfs);
	_cleanup_node_ struct overlay_node *node = NULL;
	_cleanup_open_ struct overlay_open *open = NULL;
	_cleanup_tree_ struct overlay *held = NULL;
	vfs_handle own = VFS_NO_HANDLE;
	int r = overlay_get(fs, ino, &node);

	if (r == 0 && handle != VFS_NO_HANDLE)
		r = overlay_open_get(fs, ino, handle, S_ISDIR(node->type), &open);
	if (r == 0 && what & VFS_SET_SIZE && !S_ISREG(node->type))
		r = S_ISDIR(node->type) ? -EISDIR : -EINVAL;
	if (r == 0 && what & VFS_SET_SIZE && open && !(open->flags & VFS_WRITE))
		r = -EBADF;
	if (r == 0)
		r = overlay_raise(node, what & VFS_SET_SIZE ? values->size : OVERLAY_KEEP_ALL);
	if (r < 0)
		return r;
	if (open && !open->directory && open->layer == OVERLAY_UPPER)
		own = open->handle;
	held = overlay_tree_read(fs); /* copies put times of directories back with it held for writing */
	r = vfs_setattr(overlay_upper(fs), who, atomic_load(&node->upper), own, values, what, out);
	if (r == 0)
		overlay_show(node, out);
	return r;
}

int overlay_readlink(struct vfs *vfs, uint64_t ino, char target[VFS_PATH_MAX + 1])
{
	struct overlay *fs = overlay_of(vfs);
	_cleanup_node_ struct overlay_node *node = NULL;
	struct overlay_object o;
	int r = overlay_get(fs, ino, &node);

	if (r < 0)
		return r;
	if (!S_ISLNK(node->type))
		return -EINVAL;
	o = overlay_top(node);
	return vfs_readlink(overlay_fs(fs, o.layer), o.ino, target);
}

/* ---- extended attributes: under their names in the layers -------------------------------------------- */

int64_t overlay_getxattr(struct vfs *vfs, uint64_t ino, const char *name, void *value, size_t size)
{
	struct overlay *fs = overlay_of(vfs);
	_cleanup_node_ struct overlay_node *node = NULL;
	char escaped[VFS_XATTR_NAME_MAX + 1];
	struct overlay_object o;
	int r = overlay_get(fs, ino, &node);

	if (r == 0)
		r = overlay_escape(name, escaped);
	if (r < 0)
		return r;
	o = overlay_top(node);
	return vfs_getxattr(overlay_fs(fs, o.layer), o.ino, escaped, value, size);
}

int overlay_setxattr(
	struct vfs *vfs, uint64_t ino, const char *name, const void *value, size_t size, unsigned flags)
{
	struct overlay *fs = overlay_of(vfs);
	_cleanup_node_ struct overlay_node *node = NULL;
	char escaped[VFS_XATTR_NAME_MAX + 1];
	int r = overlay_get(fs, ino, &node);

	if (r == 0)
		r = overlay_escape(name, escaped);
	if (r == 0)
		r = overlay_raise(node, OVERLAY_KEEP_ALL);
	if (r < 0)
		return r;
	return vfs_setxattr(overlay_upper(fs), atomic_load(&node->upper), escaped, value, size, flags);
}

int overlay_removexattr(struct vfs *vfs, uint64_t ino, const char *name)
{
	struct overlay *fs = overlay_of(vfs);
	_cleanup_node_ struct overlay_node *node = NULL;
	char escaped[VFS_XATTR_NAME_MAX + 1];
	struct overlay_object o;
	int64_t n;
	int r = overlay_get(fs, ino, &node);

	if (r == 0)
		r = overlay_escape(name, escaped);
	if (r < 0)
		return r;
	o = overlay_top(node);
	n = vfs_getxattr(overlay_fs(fs, o.layer), o.ino, escaped, NULL, 0);
	if (n < 0) /* nothing to copy for */
		return (int)n;
	r = overlay_raise(node, OVERLAY_KEEP_ALL);
	return r < 0 ? r : vfs_removexattr(overlay_upper(fs), atomic_load(&node->upper), escaped);
}

/* Without the marks, and the rest under their own names, in place. Returns how many bytes are left. */
static size_t show_names(char *names, size_t size)
{
	size_t kept = 0, next;

	for (size_t at = 0; at < size; at = next) {
		next = at + strlen(names + at) + 1;
		if (overlay_is_private(names + at))
			continue;
		memmove(names + kept, names + at, next - at);
		kept += overlay_unescape(names + kept) + 1;
	}
	return kept;
}

int64_t overlay_listxattr(struct vfs *vfs, uint64_t ino, char *names, size_t size)
{
	struct overlay *fs = overlay_of(vfs);
	_cleanup_node_ struct overlay_node *node = NULL;
	_cleanup_free_ char *all = NULL;
	struct overlay_object o;
	size_t kept;
	int64_t n;
	int r = overlay_get(fs, ino, &node);

	if (r < 0)
		return r;
	o = overlay_top(node);
	n = vfs_listxattr(overlay_fs(fs, o.layer), o.ino, NULL, 0);
	if (n <= 0)
		return n;
	all = malloc((size_t)n + 1);
	if (!all)
		return -ENOMEM;
	n = vfs_listxattr(overlay_fs(fs, o.layer), o.ino, all, (size_t)n);
	if (n <= 0)
		return n;
	all[n] = 0;
	kept = show_names(all, (size_t)n);
	if (size && kept > size)
		return -ERANGE;
	if (size)
		memcpy(names, all, kept);
	return (int64_t)kept;
}
