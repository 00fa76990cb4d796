/* SPDX-License-Identifier: Apache-2.0 */
/* What a copy has of the original: data with its holes, xattrs, owner, mode and times. */
#include <errno.h>
#include <string.h>

#include "vfs/overlay/overlay_parts.h"

#define PIECE   (256u << 10)
#define RETRIES 8

/* ---- data ------------------------------------------------------------------------------------------- */

struct copying {
	struct vfs *from, *to;
	uint64_t from_ino, to_ino;
	vfs_handle from_handle, to_handle;
	uint8_t *bytes;   /* PIECE of them */
	uint64_t written; /* up to here */
};

static void copying_end(struct copying *c)
{
	if (c->from)
		vfs_release(c->from, c->from_ino, c->from_handle);
	if (c->to)
		vfs_release(c->to, c->to_ino, c->to_handle);
	free(c->bytes);
}

/* The next range of data at or behind `at`. Returns 0 where there is none. What a layer answers must lead on.
 */
static int next_data(const struct copying *c, uint64_t at, uint64_t size, uint64_t *start, uint64_t *end)
{
	int64_t data = vfs_seek(c->from, c->from_ino, c->from_handle, at, VFS_SEEK_DATA), hole;

	*start = at;
	*end = size;
	if (data == -ENXIO)
		return 0;
	if (data == -ENOSYS || data == -EINVAL || data == -EOPNOTSUPP)
		return 1;
	if (data < 0)
		return (int)data;
	if ((uint64_t)data >= size)
		return 0;
	hole = vfs_seek(c->from, c->from_ino, c->from_handle, (uint64_t)data, VFS_SEEK_HOLE);
	if ((uint64_t)data < at || (hole >= 0 && hole <= data))
		return -EIO;
	*start = (uint64_t)data;
	if (hole > 0 && (uint64_t)hole < size)
		*end = (uint64_t)hole;
	return 1;
}

/* Returns 1 where the file ends before. */
static int copy_range(struct copying *c, uint64_t at, uint64_t end)
{
	int64_t n, put;

	while (at < end) {
		n = vfs_read(c->from, c->from_ino, c->from_handle, c->bytes,
			end - at < PIECE ? (size_t)(end - at) : PIECE, at);
		if (n <= 0)
			return n < 0 ? (int)n : 1;
		put = vfs_write(c->to, c->to_ino, c->to_handle, c->bytes, (size_t)n, at);
		if (put != n)
			return put < 0 ? (int)put : -ENOSPC;
		at += (uint64_t)n;
		c->written = at;
	}
	return 0;
}

static int copy_ranges(struct copying *c, uint64_t size)
{
	uint64_t start, end;
	int r = 1;

	for (uint64_t at = 0; r > 0 && at < size; at = end) {
		r = next_data(c, at, size, &start, &end);
		if (r > 0) {
			r = copy_range(c, start, end);
			if (r > 0)
				return 0;
			r = r < 0 ? r : 1;
		}
	}
	return r < 0 ? r : 0;
}

int overlay_copy_data(struct overlay *fs, struct overlay_object from, uint64_t to, uint64_t keep)
{
	__attribute__((cleanup(copying_end))) struct copying c = {0};
	struct vfs *lower = overlay_fs(fs, from.layer), *upper = overlay_upper(fs);
	struct vfs_attributes a, out;
	uint64_t size;
	int r = vfs_getattr(lower, from.ino, VFS_NO_HANDLE, &a);

	if (r < 0)
		return r;
	size = a.size < keep ? a.size : keep;
	c.bytes = malloc(PIECE);
	if (!c.bytes)
		return -ENOMEM;
	c.from_ino = from.ino;
	c.to_ino = to;
	r = vfs_open(lower, from.ino, VFS_READ, &c.from_handle);
	if (r < 0)
		return r;
	c.from = lower;
	r = vfs_open(upper, to, VFS_WRITE, &c.to_handle);
	if (r < 0)
		return r;
	c.to = upper;
	r = copy_ranges(&c, size);
	if (r == 0 && c.written < size)
		r = vfs_setattr(upper, &fs->own, to, c.to_handle, &(struct vfs_attributes){.size = size},
			VFS_SET_SIZE, &out);
	return r;
}

/* ---- xattrs ----------------------------------------------------------------------------------------- */

/* All names, each with its NUL; the caller frees them. */
static int list_xattrs(struct vfs *layer, uint64_t ino, char **names, size_t *size)
{
	int64_t n = -ERANGE;

	for (int i = 0; n == -ERANGE && i < RETRIES; i++) {
		free(TAKE_PTR(*names));
		n = vfs_listxattr(layer, ino, NULL, 0);
		if (n <= 0)
			break;
		*size = (size_t)n + 1;
		*names = malloc(*size);
		if (!*names)
			return -ENOMEM;
		n = vfs_listxattr(layer, ino, *names, *size - 1);
	}
	*size = n > 0 ? (size_t)n : 0;
	if (n > 0)
		(*names)[n] = 0;
	return n == -EOPNOTSUPP || n == -ENOSYS || n > 0 ? 0 : (int)n;
}

/* Without these a copy would be another file to whoever judges it. */
static bool must_keep(const char *name)
{
	return !strncmp(name, "security.", 9) || !strncmp(name, "system.posix_acl_", 17);
}

static int copy_xattr(
	struct overlay *fs, struct overlay_object from, uint64_t to, const char *name, uint8_t *value)
{
	int64_t n = vfs_getxattr(overlay_fs(fs, from.layer), from.ino, name, value, VFS_XATTR_VALUE_MAX);
	int r;

	if (n < 0)
		return n == -ENODATA ? 0 : (int)n;
	r = vfs_setxattr(overlay_upper(fs), to, name, value, (size_t)n, 0);
	return (r == -EOPNOTSUPP || r == -ENOSYS) && !must_keep(name) ? 0 : r;
}

int overlay_copy_xattrs(struct overlay *fs, struct overlay_object from, uint64_t to)
{
	_cleanup_free_ char *names = NULL;
	_cleanup_free_ uint8_t *value = NULL;
	size_t size = 0;
	int r = list_xattrs(overlay_fs(fs, from.layer), from.ino, &names, &size);

	if (r < 0 || size == 0)
		return r;
	value = malloc(VFS_XATTR_VALUE_MAX);
	if (!value)
		return -ENOMEM;
	for (size_t at = 0; r == 0 && at < size; at += strlen(names + at) + 1)
		if (names[at] && !overlay_is_private(names + at))
			r = copy_xattr(fs, from, to, names + at, value);
	return r;
}

/* ---- attributes ------------------------------------------------------------------------------------- */

int overlay_copy_attributes(struct overlay *fs, const struct vfs_attributes *from, uint64_t to)
{
	struct vfs *upper = overlay_upper(fs);
	struct vfs_attributes a;
	unsigned what = VFS_SET_ATIME | VFS_SET_MTIME;
	int r = vfs_getattr(upper, to, VFS_NO_HANDLE, &a);

	/* First, since it clears bits of the mode. */
	if (r == 0 && (a.uid != from->uid || a.gid != from->gid))
		r = vfs_setattr(upper, &fs->own, to, VFS_NO_HANDLE, from, VFS_SET_UID | VFS_SET_GID, &a);
	if (!S_ISLNK(from->mode))
		what |= VFS_SET_MODE;
	return r < 0 ? r : vfs_setattr(upper, &fs->own, to, VFS_NO_HANDLE, from, what, &a);
}
