/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is made. It is made where it is to be, unless a whiteout is there: a directory is then made in the
 * work directory, so that it hides what is below it from the first instant, and so is all that takes the
 * place of a device 0:0.
 */
#include <errno.h>
#include <string.h>

#include "vfs/overlay/overlay_parts.h"

#define TRIES 100

struct making {
	const struct vfs_caller *who;
	uint32_t mode, major, minor; /* mode with the type */
	const char *target;
	struct overlay_node *link; /* a further name of it */
	bool open;
	unsigned flags;
	vfs_handle handle; /* the upper's */
};

static int make_at(
	struct overlay *fs, uint64_t directory, const char *name, struct making *m, struct vfs_attributes *a)
{
	struct vfs *upper = overlay_upper(fs);

	if (m->link)
		return vfs_link(upper, atomic_load(&m->link->upper), directory, name, a);
	if (S_ISDIR(m->mode))
		return vfs_mkdir(upper, m->who, directory, name, m->mode, a);
	if (S_ISLNK(m->mode))
		return vfs_symlink(upper, m->who, directory, name, m->target, a);
	if (m->open)
		return vfs_create(
			upper, m->who, directory, name, m->mode, m->flags | VFS_EXCLUSIVE, a, &m->handle);
	return vfs_mknod(upper, m->who, directory, name, m->mode, m->major, m->minor, a);
}

/* What is made in the work directory belongs to whom it would belong to in its own. */
static int inherit(struct overlay *fs, uint64_t directory, struct making *m, struct vfs_caller *who)
{
	struct vfs_attributes a;
	int r = vfs_getattr(overlay_upper(fs), directory, VFS_NO_HANDLE, &a);

	if (r < 0 || m->link)
		return r;
	*who = *m->who;
	if (a.mode & S_ISGID) {
		who->gid = a.gid;
		if (S_ISDIR(m->mode))
			m->mode |= S_ISGID;
	}
	m->who = who;
	return 0;
}

/* The upper's whiteout is a device where it is to be. */
static int replace_device(
	struct overlay *fs, const char *temp, uint64_t directory, const char *name, bool is_directory)
{
	struct vfs *upper = overlay_upper(fs);
	int r;

	if (!is_directory)
		return vfs_rename(upper, fs->work, temp, directory, name, 0);
	r = vfs_rename(upper, fs->work, temp, directory, name, VFS_EXCHANGE);
	if (r == 0)
		overlay_discard(fs, fs->work, temp);
	return r;
}

static int make_in_work(struct overlay *fs, uint64_t directory, const char *name, struct making *m,
	bool device, struct vfs_attributes *a)
{
	struct vfs *upper = overlay_upper(fs);
	bool is_directory = !m->link && S_ISDIR(m->mode);
	char temp[OVERLAY_TEMP_MAX];
	struct vfs_caller who;
	int r = inherit(fs, directory, m, &who);

	overlay_temp_name(fs, temp);
	if (r == 0)
		r = make_at(fs, fs->work, temp, m, a);
	if (r < 0)
		return r;
	if (is_directory)
		r = overlay_write_opaque(fs, a->ino);
	if (r == 0 && device)
		r = replace_device(fs, temp, directory, name, is_directory);
	else if (r == 0)
		r = vfs_rename(upper, fs->work, temp, directory, name, 0);
	if (r < 0) {
		overlay_discard(fs, fs->work, temp);
		vfs_release(upper, a->ino, m->handle);
		vfs_forget(upper, a->ino, 1);
	}
	return r;
}

/* The tree is held, for writing where the directory has lowers. */
static int make_held(
	struct overlay_node *directory, const char *name, struct making *m, struct vfs_attributes *a)
{
	_cleanup_found_ struct overlay_found f = {0};
	struct overlay *fs = directory->fs;
	bool is_directory = !m->link && S_ISDIR(m->mode);
	uint64_t upper;
	int r = overlay_find(directory, name, &f);

	if (r == 0)
		return -EEXIST;
	if (r != -ENOENT || atomic_load(&directory->removed))
		return r;
	if (m->link && S_ISDIR(m->link->type))
		return -EPERM;
	r = overlay_raise_directory(directory);
	if (r < 0)
		return r;
	upper = atomic_load(&directory->upper);
	if (f.device || (f.mark && is_directory))
		r = make_in_work(fs, upper, name, m, f.device, a);
	else
		r = make_at(fs, upper, name, m, a);
	if (r == 0 && f.mark)
		overlay_drop_whiteout(fs, upper, name); /* it hides no more than what is there now does */
	return r;
}

/* A lookup of the node is counted. */
static int make_node(struct overlay_node *directory, const char *name, struct making *m,
	struct vfs_attributes *out, struct overlay_node **node)
{
	struct overlay *fs = directory->fs;
	_cleanup_found_ struct overlay_found f = {.fs = fs, .here = true};
	_cleanup_tree_ struct overlay *held =
		directory->lower_count ? overlay_tree_write(fs) : overlay_tree_read(fs);
	int r = make_held(directory, name, m, &f.top);

	if (r < 0)
		return r;
	f.one = (struct overlay_object){.ino = f.top.ino, .layer = OVERLAY_UPPER};
	f.objects = &f.one;
	f.count = 1;
	*out = f.top;
	r = overlay_enter(fs, &f, directory, name, node);
	if (r < 0) {
		vfs_release(overlay_upper(fs), f.top.ino, m->handle);
		return r;
	}
	overlay_show(*node, out);
	overlay_looked_up(*node);
	return 0;
}

static int make(struct overlay *fs, uint64_t parent, const char *name, struct making *m,
	struct vfs_attributes *out, struct overlay_node **node)
{
	_cleanup_node_ struct overlay_node *directory = NULL;
	int r = overlay_get_directory(fs, parent, &directory);

	m->handle = VFS_NO_HANDLE;
	if (r < 0)
		return r;
	return overlay_is_mark(name) ? -EINVAL : make_node(directory, name, m, out, node);
}

/* ---- the calls -------------------------------------------------------------------------------------- */

int overlay_mknod(struct vfs *vfs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, uint32_t major, uint32_t minor, struct vfs_attributes *out)
{
	struct making m = {.who = who, .mode = mode, .major = major, .minor = minor};
	_cleanup_node_ struct overlay_node *node = NULL;

	if (S_ISCHR(mode) && major == 0 && minor == 0)
		return -EPERM; /* it would be a whiteout */
	return make(overlay_of(vfs), parent, name, &m, out, &node);
}

int overlay_mkdir(struct vfs *vfs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, struct vfs_attributes *out)
{
	struct making m = {.who = who, .mode = S_IFDIR | mode};
	_cleanup_node_ struct overlay_node *node = NULL;

	return make(overlay_of(vfs), parent, name, &m, out, &node);
}

int overlay_symlink(struct vfs *vfs, const struct vfs_caller *who, uint64_t parent, const char *name,
	const char *target, struct vfs_attributes *out)
{
	struct making m = {.who = who, .mode = S_IFLNK | 0777, .target = target};
	_cleanup_node_ struct overlay_node *node = NULL;

	return make(overlay_of(vfs), parent, name, &m, out, &node);
}

int overlay_link(struct vfs *vfs, uint64_t ino, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	_cleanup_node_ struct overlay_node *node = NULL, *same = NULL, *directory = NULL;
	struct overlay *fs = overlay_of(vfs);
	struct making m = {0};
	int r = overlay_get(fs, ino, &node);

	if (r == 0)
		r = overlay_get_directory(fs, parent, &directory);
	if (r < 0)
		return r;
	if (!S_ISDIR(node->type))
		r = overlay_raise(node, OVERLAY_KEEP_ALL);
	if (r < 0)
		return r;
	m.link = node;
	return make(fs, parent, name, &m, out, &same);
}

static int open_made(
	struct overlay_node *node, struct making *m, struct vfs_attributes *out, vfs_handle *handle)
{
	int r = overlay_open_new(node, m->flags, OVERLAY_UPPER, m->handle, handle);

	if (r < 0) {
		vfs_release(overlay_upper(node->fs), atomic_load(&node->upper), m->handle);
		overlay_forget(&node->fs->vfs, out->ino, 1);
	}
	return r;
}

/* -ENOENT: it is gone again. */
static int open_existing(struct vfs *vfs, uint64_t parent, const char *name, unsigned flags,
	struct vfs_attributes *out, vfs_handle *handle)
{
	_cleanup_node_ struct overlay_node *node = NULL;
	int r = overlay_lookup(vfs, parent, name, out);
	uint64_t number = out->ino;

	if (r < 0)
		return r;
	r = overlay_get(overlay_of(vfs), number, &node);
	if (r == 0)
		r = overlay_open_node(node, flags, handle);
	if (r == 0 && flags & VFS_TRUNCATE)
		r = overlay_attributes(node, out);
	if (r < 0) {
		if (*handle != VFS_NO_HANDLE)
			overlay_release(vfs, number, *handle);
		*handle = VFS_NO_HANDLE;
		overlay_forget(vfs, number, 1);
	}
	return r;
}

int overlay_create(struct vfs *vfs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, unsigned flags, struct vfs_attributes *out, vfs_handle *handle)
{
	int r = -EEXIST;

	for (int i = 0; i < TRIES; i++) {
		struct making m = {.who = who, .mode = S_IFREG | mode, .open = true, .flags = flags};
		_cleanup_node_ struct overlay_node *node = NULL;

		r = make(overlay_of(vfs), parent, name, &m, out, &node);
		if (r == 0)
			return open_made(node, &m, out, handle);
		if (r != -EEXIST || flags & VFS_EXCLUSIVE)
			break;
		r = open_existing(vfs, parent, name, flags, out, handle);
		if (r != -ENOENT)
			break;
	}
	return r;
}
