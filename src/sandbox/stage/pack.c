/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/stage/pack.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "sandbox/stage/object.h"

#define NAMES_MOST 65536
#define PIECE      65536

static void free_xattrs(struct tar_entry *t)
{
	for (size_t i = 0; i < t->xattr_count; i++) {
		free(t->xattrs[i].name);
		free(t->xattrs[i].value);
	}
	free(t->xattrs);
}

static int add_xattr(struct vfs *fs, uint64_t ino, const char *name, struct tar_entry *t, struct error *err)
{
	int64_t n = vfs_getxattr(fs, ino, name, NULL, 0);
	struct tar_xattr *x, *grown;

	if (n < 0)
		return 0; /* gone, or not for us */
	grown = reallocarray(t->xattrs, t->xattr_count + 1, sizeof *grown);
	if (!grown)
		return error_no_memory(err, "read attributes");
	t->xattrs = grown;
	x = &grown[t->xattr_count++];
	*x = (struct tar_xattr){
		.name = text_copy(name, err), .value = malloc((size_t)n + 1), .size = (size_t)n};
	if (!x->name || !x->value)
		return error_no_memory(err, "read attributes");
	n = vfs_getxattr(fs, ino, name, x->value, x->size);
	x->size = n < 0 ? 0 : (size_t)n;
	return 0;
}

static int add_xattrs(struct vfs *fs, uint64_t ino, struct tar_entry *t, struct error *err)
{
	_cleanup_free_ char *names = malloc(NAMES_MOST);
	int64_t n = names ? vfs_listxattr(fs, ino, names, NAMES_MOST) : 0;
	int r = names ? 0 : error_no_memory(err, "read attributes");

	for (const char *name = names; r == 0 && n > 0 && name < names + n; name += strlen(name) + 1)
		r = add_xattr(fs, ino, name, t, err);
	return r;
}

static enum tar_type type_of(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return TAR_DIRECTORY;
	case S_IFLNK:
		return TAR_SYMBOLIC_LINK;
	case S_IFCHR:
		return TAR_CHARACTER_DEVICE;
	case S_IFBLK:
		return TAR_BLOCK_DEVICE;
	case S_IFIFO:
		return TAR_FIFO;
	default:
		return TAR_FILE;
	}
}

static int write_header(
	const struct object *o, struct vfs *fs, const char *path, struct buffer *out, struct error *err)
{
	char target[VFS_PATH_MAX + 1] = "";
	struct tar_entry t = {.type = type_of(o->a.mode),
		.path = (char *)(uintptr_t)path,
		.mode = o->a.mode & 07777,
		.uid = o->a.uid,
		.gid = o->a.gid,
		.size = S_ISREG(o->a.mode) ? o->a.size : 0,
		.mtime = o->a.mtime.seconds,
		.mtime_nanoseconds = o->a.mtime.nanoseconds,
		.device_major = o->a.major,
		.device_minor = o->a.minor};
	int r = 0;

	if (S_ISLNK(o->a.mode) && (r = vfs_readlink(fs, o->a.ino, target)) < 0)
		return error_errno(err, -r, "read the link '%s'", path);
	if (S_ISLNK(o->a.mode))
		t.link = target;
	else if (S_ISREG(o->a.mode) || S_ISDIR(o->a.mode))
		r = add_xattrs(fs, o->a.ino, &t, err);
	if (r == 0)
		r = tar_write_entry(out, &t, err);
	free_xattrs(&t);
	return r;
}

/* As many bytes as the header has promised: a file that became shorter ends in zeroes. */
static int give_data(struct vfs *fs, const struct object *o, const char *path, stage_taker *take,
	void *context, struct error *err)
{
	_cleanup_free_ uint8_t *piece = calloc(1, PIECE);
	size_t padding = tar_padding(o->a.size);
	int r = piece ? 0 : error_no_memory(err, "read a file");

	for (uint64_t at = 0; r == 0 && at < o->a.size;) {
		size_t most = o->a.size - at < PIECE ? (size_t)(o->a.size - at) : PIECE;
		int64_t n = vfs_read(fs, o->a.ino, VFS_NO_HANDLE, piece, most, at);

		if (n < 0)
			return error_errno(err, (int)-n, "read '%s'", path);
		memset(piece + n, 0, most - (size_t)n);
		r = take(context, piece, most, err);
		at += most;
	}
	if (r == 0 && padding) {
		memset(piece, 0, padding);
		r = take(context, piece, padding, err);
	}
	return r;
}

int stage_pack(struct vfs *fs, const char *path, stage_taker *take, void *context, struct error *err)
{
	_cleanup_object_ struct object o = OBJECT_NONE;
	_cleanup_buffer_ struct buffer header = {0};
	int r = object_walk(fs, path, &o, err);

	if (r < 0 || !object_there(&o) || !*path || S_ISSOCK(o.a.mode))
		return r;
	r = write_header(&o, fs, path, &header, err);
	if (r == 0)
		r = take(context, header.data, header.size, err);
	return r == 0 && S_ISREG(o.a.mode) ? give_data(fs, &o, path, take, context, err) : r;
}
