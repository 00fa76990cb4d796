/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/stage/object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

#define NAMES_MOST 65536 /* bytes of names of attributes, by Linux */

void object_put(struct object *o)
{
	if (o->fs && o->a.ino)
		vfs_forget(o->fs, o->a.ino, 1);
	*o = OBJECT_NONE;
}

int object_root(struct vfs *fs, struct object *o, struct error *err)
{
	int r = vfs_getattr(fs, VFS_ROOT, VFS_NO_HANDLE, &o->a);

	o->fs = NULL;
	return r < 0 ? error_errno(err, -r, "look at the volume's directory") : 0;
}

int object_find(struct vfs *fs, uint64_t parent, const char *name, const char *path, struct object *o,
	struct error *err)
{
	int r;

	*o = (struct object){.fs = fs};
	r = vfs_lookup(fs, parent, name, &o->a);
	if (r == 0)
		return 0;
	*o = OBJECT_NONE;
	return r == -ENOENT || r == -ENOTDIR ? 0 : error_errno(err, -r, "look at '%s'", path);
}

int object_walk(struct vfs *fs, const char *path, struct object *o, struct error *err)
{
	int r = object_root(fs, o, err);

	for (const char *at = path; r == 0 && *at && object_there(o);) {
		_cleanup_object_ struct object around = *o;
		char name[VFS_NAME_MAX + 1];
		size_t n = strcspn(at, "/");

		*o = OBJECT_NONE;
		if (n > VFS_NAME_MAX)
			return error_set(err, ERROR_INVALID, "'%s': a name is too long", path);
		memcpy(name, at, n);
		name[n] = '\0';
		r = object_find(fs, around.a.ino, name, path, o, err);
		at += n + (at[n] == '/');
	}
	return r;
}

int object_walk_parent(
	struct vfs *fs, const char *path, struct object *parent, const char **name, struct error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *around = text_copy_bytes(path, slash ? (size_t)(slash - path) : 0, err);

	*name = slash ? slash + 1 : path;
	return around ? object_walk(fs, around, parent, err) : -ERROR_NO_MEMORY;
}

uint64_t object_changed(const struct vfs_attributes *a)
{
	return (uint64_t)a->ctime.seconds * NANOSECONDS_PER_SECOND + a->ctime.nanoseconds;
}

/* ---- names in a directory ---------------------------------------------------------------------------- */

struct names {
	char **list;
	size_t count, room;
};

static int take_name(void *context, const struct vfs_entry *e)
{
	struct names *n = context;

	if ((e->name_size == 1 && e->name[0] == '.') || (e->name_size == 2 && !memcmp(e->name, "..", 2)))
		return 0;
	if (n->count + 1 >= n->room) {
		size_t room = n->room ? 2 * n->room : 64;
		char **grown = reallocarray(n->list, room, sizeof *grown);

		if (!grown)
			return -ENOMEM;
		n->list = grown;
		n->room = room;
	}
	n->list[n->count] = text_copy_bytes(e->name, e->name_size, NULL);
	if (!n->list[n->count])
		return -ENOMEM;
	n->list[++n->count] = NULL;
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int object_names(struct vfs *fs, uint64_t ino, const char *path, char ***names, struct error *err)
{
	struct names n = {0};
	vfs_handle handle;
	int r = vfs_opendir(fs, ino, &handle);

	if (r == 0) {
		r = vfs_readdir(fs, ino, handle, 0, false, take_name, &n);
		vfs_releasedir(fs, ino, handle);
	}
	if (r < 0) {
		text_list_free(n.list);
		return error_errno(err, -r, "list '%s'", path);
	}
	*names = n.list ? n.list : calloc(1, sizeof **names);
	if (!*names)
		return error_no_memory(err, "list a directory");
	qsort(*names, n.count, sizeof **names, by_bytes);
	return 0;
}

/* ---- attributes -------------------------------------------------------------------------------------- */

/* Those that a volume keeps; the overlay's own are none. */
static bool is_kept(const char *name)
{
	if (text_starts(name, "trusted.overlay.") || text_starts(name, "user.containers."))
		return false;
	return text_starts(name, "user.") || text_starts(name, "trusted.") || text_starts(name, "security.");
}

static bool has_xattrs(uint32_t mode)
{
	return S_ISREG(mode) || S_ISDIR(mode);
}

static bool same_value(const struct object *o, const struct tar_xattr *x, uint8_t *room)
{
	int64_t n = vfs_getxattr(o->fs, o->a.ino, x->name, room, VFS_XATTR_VALUE_MAX);

	return n >= 0 && (uint64_t)n == x->size && !memcmp(room, x->value, x->size);
}

/* How many attributes that count the host's object has; negative errno. */
static int64_t list_xattrs(struct vfs *fs, uint64_t ino, char *names)
{
	int64_t n = vfs_listxattr(fs, ino, names, NAMES_MOST), count = 0;

	if (n < 0)
		return n == -EOPNOTSUPP || n == -ENOSYS ? 0 : n;
	for (const char *name = names; name < names + n; name += strlen(name) + 1)
		count += is_kept(name);
	return count;
}

static int xattrs_differ(struct vfs *fs, const struct object *o, const struct tar_entry *t, const char *path,
	struct error *err)
{
	_cleanup_free_ char *room = malloc(NAMES_MOST + 1);
	const struct object here = {.fs = fs, .a = o->a};
	int64_t left;

	if (!room)
		return error_no_memory(err, "compare attributes");
	left = list_xattrs(fs, o->a.ino, room);
	if (left < 0)
		return error_errno(err, (int)-left, "read the attributes of '%s'", path);
	for (size_t i = 0; i < t->xattr_count; i++)
		if (is_kept(t->xattrs[i].name)) {
			if (!same_value(&here, &t->xattrs[i], (uint8_t *)room))
				return 1;
			left--;
		}
	return left != 0;
}

static int target_differs(
	struct vfs *fs, const struct object *o, const struct stage_entry *e, struct error *err)
{
	char target[VFS_PATH_MAX + 1];
	int r = vfs_readlink(fs, o->a.ino, target);

	if (r < 0)
		return error_errno(err, -r, "read the link '%s'", e->path);
	return strcmp(target, e->tar->link) != 0;
}

int object_differs(
	const struct stage_view *v, const struct object *o, const struct stage_entry *e, struct error *err)
{
	uint32_t bits = v->squash ? 0777 : 07777;

	if (S_ISLNK(e->mode))
		return target_differs(v->fs, o, e, err);
	if ((e->mode ^ o->a.mode) & bits)
		return 1;
	if (!v->squash && (e->tar->uid != o->a.uid || e->tar->gid != o->a.gid))
		return 1;
	if ((S_ISCHR(e->mode) || S_ISBLK(e->mode)) &&
		(e->tar->device_major != o->a.major || e->tar->device_minor != o->a.minor))
		return 1;
	return has_xattrs(e->mode) ? xattrs_differ(v->fs, o, e->tar, e->path, err) : 0;
}

/* What the sandbox has removed. */
static int drop_xattrs(struct vfs *fs, const struct object *o, const struct tar_entry *t)
{
	_cleanup_free_ char *names = malloc(NAMES_MOST + 1);
	int64_t n = names ? vfs_listxattr(fs, o->a.ino, names, NAMES_MOST) : 0;

	for (const char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
		bool wanted = !is_kept(name);

		for (size_t i = 0; !wanted && i < t->xattr_count; i++)
			wanted = !strcmp(t->xattrs[i].name, name);
		if (!wanted && vfs_removexattr(fs, o->a.ino, name) == -ENOMEM)
			return -ENOMEM;
	}
	return names ? 0 : -ENOMEM;
}

/* Those that the host's file system has no place for are left out. */
static int set_xattrs(struct vfs *fs, const struct object *o, const struct stage_entry *e, struct error *err)
{
	int r = drop_xattrs(fs, o, e->tar);

	for (size_t i = 0; r == 0 && i < e->tar->xattr_count; i++) {
		const struct tar_xattr *x = &e->tar->xattrs[i];

		if (is_kept(x->name))
			r = vfs_setxattr(fs, o->a.ino, x->name, x->value, x->size, 0);
		if (r == -EOPNOTSUPP || r == -ENOSYS)
			r = 0;
	}
	return r < 0 ? error_errno(err, -r, "set the attributes of '%s'", e->path) : 0;
}

int object_dress(const struct stage_view *v, struct object *o, const struct stage_entry *e, struct error *err)
{
	const struct vfs_caller who = {0};
	struct vfs_attributes values = {.mode = e->mode & (v->squash ? 0777 : 07777),
		.uid = e->tar->uid,
		.gid = e->tar->gid,
		.mtime = {e->tar->mtime, e->tar->mtime_nanoseconds}};
	unsigned what = VFS_SET_MODE | (v->squash ? 0u : (unsigned)(VFS_SET_UID | VFS_SET_GID)) |
			(S_ISREG(e->mode) ? VFS_SET_MTIME : 0u);
	int r;

	if (S_ISLNK(e->mode))
		return 0;
	r = vfs_setattr(v->fs, &who, o->a.ino, VFS_NO_HANDLE, &values, what, &o->a);
	if (r == -EPERM)
		return error_set(err, ERROR_DENIED,
			"'%s': this file system cannot keep its owner or mode, which a volume with :squash "
			"does "
			"without",
			e->path);
	if (r < 0)
		return error_errno(err, -r, "set owner and mode of '%s'", e->path);
	return has_xattrs(e->mode) ? set_xattrs(v->fs, o, e, err) : 0; /* a new owner ends capabilities */
}
