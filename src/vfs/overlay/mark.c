/* SPDX-License-Identifier: Apache-2.0 */
/* Marks in a layer: what they look like in both forms, how they are found, made and removed. */
#include <errno.h>
#include <string.h>

#include "vfs/overlay/overlay_parts.h"

#define BATCH  64
#define ESCAPE "overlay."

static const char *const opaque_xattrs[] = {"trusted.overlay.opaque", "user.overlay.opaque"};

bool overlay_is_mark(const char *name)
{
	return !strncmp(name, OVERLAY_MARK, OVERLAY_MARK_LEN);
}

bool overlay_is_whiteout(const struct vfs_attributes *a)
{
	return S_ISCHR(a->mode) && a->major == 0 && a->minor == 0;
}

/* Clients' own xattrs of these names, of an overlay on this one for instance, are kept with ESCAPE behind the
 * prefix, as overlayfs has it since Linux 6.7. */
static size_t private_prefix(const char *name)
{
	static const char *const prefixes[] = {"trusted.overlay.", "user.overlay."};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return strlen(prefixes[i]);
	return 0;
}

bool overlay_is_private(const char *xattr)
{
	size_t prefix = private_prefix(xattr);

	return prefix && strncmp(xattr + prefix, ESCAPE, strlen(ESCAPE)) != 0;
}

int overlay_escape(const char *name, char escaped[VFS_XATTR_NAME_MAX + 1])
{
	size_t prefix = private_prefix(name), n = strlen(name), more = prefix ? strlen(ESCAPE) : 0;

	if (n + more > VFS_XATTR_NAME_MAX)
		return -ERANGE;
	memcpy(escaped, name, prefix);
	memcpy(escaped + prefix, ESCAPE, more);
	memcpy(escaped + prefix + more, name + prefix, n - prefix + 1);
	return 0;
}

size_t overlay_unescape(char *name)
{
	size_t prefix = private_prefix(name);

	if (prefix)
		memmove(name + prefix, name + prefix + strlen(ESCAPE),
			strlen(name + prefix + strlen(ESCAPE)) + 1);
	return strlen(name);
}

/* ".wh.NAME"; false: too long for a name. */
static bool mark_name(const char *name, char mark[VFS_NAME_MAX + 1])
{
	size_t n = strlen(name);

	if (n + OVERLAY_MARK_LEN > VFS_NAME_MAX)
		return false;
	memcpy(mark, OVERLAY_MARK, OVERLAY_MARK_LEN);
	memcpy(mark + OVERLAY_MARK_LEN, name, n + 1);
	return true;
}

/* 1: the layer's directory has the name; 0; or an error. */
static int exists(struct overlay *fs, struct overlay_object directory, const char *name)
{
	struct vfs *layer = overlay_fs(fs, directory.layer);
	struct vfs_attributes a;
	int r = vfs_lookup(layer, directory.ino, name, &a);

	if (r == 0)
		vfs_forget(layer, a.ino, 1);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

int overlay_hidden(struct overlay *fs, struct overlay_object directory, const char *name)
{
	char mark[VFS_NAME_MAX + 1];

	return mark_name(name, mark) ? exists(fs, directory, mark) : 0;
}

int overlay_opaque(struct overlay *fs, struct overlay_object directory)
{
	struct vfs *layer = overlay_fs(fs, directory.layer);
	char value[2];

	for (size_t i = 0; i < ARRAY_SIZE(opaque_xattrs); i++)
		if (vfs_getxattr(layer, directory.ino, opaque_xattrs[i], value, sizeof value) == 1 &&
			value[0] == 'y')
			return 1;
	return exists(fs, directory, OVERLAY_OPQ);
}

/* ---- writing ---------------------------------------------------------------------------------------- */

bool overlay_marks_by_device(const struct overlay *fs, const char *name)
{
	return fs->form != OVERLAY_OCI || strlen(name) + OVERLAY_MARK_LEN > VFS_NAME_MAX;
}

static int make_empty(struct overlay *fs, uint64_t directory, const char *name, uint32_t type)
{
	struct vfs_attributes a;
	int r = vfs_mknod(overlay_upper(fs), &fs->own, directory, name, type | 0600, 0, 0, &a);

	if (r == 0)
		vfs_forget(overlay_upper(fs), a.ino, 1);
	return r;
}

int overlay_write_whiteout(struct overlay *fs, uint64_t directory, const char *name)
{
	char mark[VFS_NAME_MAX + 1];
	int r;

	if (overlay_marks_by_device(fs, name))
		return make_empty(fs, directory, name, S_IFCHR);
	mark_name(name, mark);
	r = make_empty(fs, directory, mark, S_IFREG);
	return r == -EEXIST ? 0 : r;
}

int overlay_drop_whiteout(struct overlay *fs, uint64_t directory, const char *name)
{
	char mark[VFS_NAME_MAX + 1];
	int r = mark_name(name, mark) ? vfs_unlink(overlay_upper(fs), directory, mark) : 0;

	return r == -ENOENT ? 0 : r;
}

int overlay_write_opaque(struct overlay *fs, uint64_t directory)
{
	int r;

	if (fs->form != OVERLAY_OCI)
		return vfs_setxattr(overlay_upper(fs), directory,
			opaque_xattrs[fs->form == OVERLAY_KERNEL_USER], "y", 1, 0);
	r = make_empty(fs, directory, OVERLAY_OPQ, S_IFREG);
	return r == -EEXIST ? 0 : r;
}

/* ---- clearing: a layer may not be called while it lists, so names are taken in batches --------------- */

struct batch {
	char names[BATCH][VFS_NAME_MAX + 1];
	size_t count;
	uint64_t cookie;
};

static int take_mark(void *context, const struct vfs_entry *entry)
{
	struct batch *b = context;

	if (b->count == BATCH)
		return 1;
	b->cookie = entry->cookie;
	if (entry->name_size > VFS_NAME_MAX || (!S_ISCHR(entry->type) && entry->type != 0 &&
						       strncmp(entry->name, OVERLAY_MARK, OVERLAY_MARK_LEN)))
		return 0;
	memcpy(b->names[b->count], entry->name, entry->name_size);
	b->names[b->count++][entry->name_size] = 0;
	return 0;
}

static int clear_one(struct overlay *fs, uint64_t directory, const char *name)
{
	struct vfs *upper = overlay_upper(fs);
	struct vfs_attributes a;
	int r;

	if (!overlay_is_mark(name)) {
		r = vfs_lookup(upper, directory, name, &a);
		if (r < 0)
			return r == -EINVAL || r == -ENOENT ? 0
							    : r; /* "." and ".." are of no known type, too */
		vfs_forget(upper, a.ino, 1);
		if (!overlay_is_whiteout(&a))
			return 0;
	}
	r = vfs_unlink(upper, directory, name);
	return r == -EISDIR ? overlay_discard(fs, directory, name) : r == -ENOENT ? 0 : r;
}

int overlay_clear_marks(struct overlay *fs, uint64_t directory)
{
	_cleanup_free_ struct batch *b = calloc(1, sizeof *b);
	uint64_t before;
	int r = b ? 0 : -ENOMEM;

	while (r == 0) {
		before = b->cookie;
		b->count = 0;
		r = vfs_readdir(overlay_upper(fs), directory, VFS_NO_HANDLE, b->cookie, false, take_mark, b);
		for (size_t i = 0; r == 0 && i < b->count; i++)
			r = clear_one(fs, directory, b->names[i]);
		if (b->cookie == before)
			break;
	}
	return r;
}
