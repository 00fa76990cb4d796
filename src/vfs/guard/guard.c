/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that change something are judged by what names lead to just now, and then made as they are. Those
 * that give a client the number of an object have the names looked up again before the next change: it may be
 * one that the host has put there a moment ago.
 */
#include "vfs/guard/guard.h"

#include <errno.h>
#include <stdlib.h>

#include "vfs/guard/chain.h"

#define WRITES (VFS_WRITE | VFS_APPEND | VFS_TRUNCATE)

struct guard {
	struct vfs vfs; /* the first member */
	struct vfs *fs;
	struct chain *chain;
};

static struct guard *of(struct vfs *fs)
{
	return (struct guard *)fs;
}

static struct vfs *inner(struct vfs *fs)
{
	return of(fs)->fs;
}

struct vfs *guard_inner(struct vfs *fs)
{
	return inner(fs);
}

/* ---- judging ------------------------------------------------------------------------------------------- */

/* 0, or a negative errno: the object is not to be changed. */
static int check_object(struct vfs *fs, uint64_t ino)
{
	int r = chain_refresh(of(fs)->chain);

	if (r < 0)
		return r;
	return chain_has_object(of(fs)->chain, ino) ? -EROFS : 0;
}

/* ... the name is not to be changed. */
static int check_name(struct vfs *fs, uint64_t parent, const char *name)
{
	int r = chain_refresh(of(fs)->chain);

	if (r == 0)
		r = chain_has_name(of(fs)->chain, parent, name);
	return r > 0 ? -EROFS : r;
}

/* ... the name is not to be made. One that is there is that first of all (mkdir -p). */
static int check_new(struct vfs *fs, uint64_t parent, const char *name)
{
	int r = check_name(fs, parent, name);
	struct vfs_attributes a;

	if (r != -EROFS || vfs_lookup(inner(fs), parent, name, &a) < 0)
		return r;
	vfs_forget(inner(fs), a.ino, 1);
	return -EEXIST;
}

/* ---- calls that change something ------------------------------------------------------------------------
 */

static int guard_setattr(struct vfs *fs, const struct vfs_caller *who, uint64_t ino, vfs_handle handle,
	const struct vfs_attributes *values, unsigned what, struct vfs_attributes *out)
{
	int r = check_object(fs, ino);

	return r < 0 ? r : vfs_setattr(inner(fs), who, ino, handle, values, what, out);
}

static int guard_mknod(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, uint32_t major, uint32_t minor, struct vfs_attributes *out)
{
	int r = check_new(fs, parent, name);

	return r < 0 ? r : vfs_mknod(inner(fs), who, parent, name, mode, major, minor, out);
}

static int guard_mkdir(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, struct vfs_attributes *out)
{
	int r = check_new(fs, parent, name);

	return r < 0 ? r : vfs_mkdir(inner(fs), who, parent, name, mode, out);
}

static int guard_symlink(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	const char *target, struct vfs_attributes *out)
{
	int r = check_new(fs, parent, name);

	return r < 0 ? r : vfs_symlink(inner(fs), who, parent, name, target, out);
}

static int guard_link(
	struct vfs *fs, uint64_t ino, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	int r = check_new(fs, parent, name);

	if (r == 0)
		r = check_object(fs, ino);
	return r < 0 ? r : vfs_link(inner(fs), ino, parent, name, out);
}

static int guard_unlink(struct vfs *fs, uint64_t parent, const char *name)
{
	int r = check_name(fs, parent, name);

	return r < 0 ? r : vfs_unlink(inner(fs), parent, name);
}

static int guard_rmdir(struct vfs *fs, uint64_t parent, const char *name)
{
	int r = check_name(fs, parent, name);

	return r < 0 ? r : vfs_rmdir(inner(fs), parent, name);
}

static int guard_rename(
	struct vfs *fs, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags)
{
	int r = check_name(fs, from, name);

	if (r == 0)
		r = check_name(fs, to, new_name);
	return r < 0 ? r : vfs_rename(inner(fs), from, name, to, new_name, flags);
}

/* Opens what the name leads to, an object that is not to be changed. */
static int open_guarded(struct vfs *fs, uint64_t ino, unsigned flags, vfs_handle *handle)
{
	int r = flags & VFS_EXCLUSIVE ? -EEXIST : flags & WRITES ? -EROFS : 0;

	if (r == 0)
		r = vfs_open(inner(fs), ino, flags, handle);
	if (r < 0)
		vfs_forget(inner(fs), ino, 1);
	return r;
}

/* A name that is not guarded may be another one of a guarded object. */
static int guard_create(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, unsigned flags, struct vfs_attributes *out, vfs_handle *handle)
{
	int r = check_name(fs, parent, name), found;

	if (r < 0 && r != -EROFS)
		return r;
	if (r == 0 && flags & VFS_EXCLUSIVE)
		return vfs_create(inner(fs), who, parent, name, mode, flags, out, handle);
	found = vfs_lookup(inner(fs), parent, name, out);
	if (found < 0)
		return r < 0 ? r : vfs_create(inner(fs), who, parent, name, mode, flags, out, handle);
	if (r < 0 || chain_has_object(of(fs)->chain, out->ino))
		return open_guarded(fs, out->ino, flags, handle);
	vfs_forget(inner(fs), out->ino, 1);
	return vfs_create(inner(fs), who, parent, name, mode, flags, out, handle);
}

static int guard_open(struct vfs *fs, uint64_t ino, unsigned flags, vfs_handle *handle)
{
	int r = flags & WRITES ? check_object(fs, ino) : 0;

	return r < 0 ? r : vfs_open(inner(fs), ino, flags, handle);
}

static int64_t guard_write(
	struct vfs *fs, uint64_t ino, vfs_handle handle, const void *bytes, size_t size, uint64_t offset)
{
	int r = check_object(fs, ino);

	return r < 0 ? r : vfs_write(inner(fs), ino, handle, bytes, size, offset);
}

static int guard_allocate(
	struct vfs *fs, uint64_t ino, vfs_handle handle, unsigned mode, uint64_t offset, uint64_t length)
{
	int r = check_object(fs, ino);

	return r < 0 ? r : vfs_allocate(inner(fs), ino, handle, mode, offset, length);
}

static int guard_setxattr(
	struct vfs *fs, uint64_t ino, const char *name, const void *value, size_t size, unsigned flags)
{
	int r = check_object(fs, ino);

	return r < 0 ? r : vfs_setxattr(inner(fs), ino, name, value, size, flags);
}

static int guard_removexattr(struct vfs *fs, uint64_t ino, const char *name)
{
	int r = check_object(fs, ino);

	return r < 0 ? r : vfs_removexattr(inner(fs), ino, name);
}

/* ---- calls that give out numbers ------------------------------------------------------------------------
 */

static int guard_lookup(struct vfs *fs, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	int r = vfs_lookup(inner(fs), parent, name, out);

	if (r == 0 && chain_may_have_name(of(fs)->chain, name))
		chain_doubt(of(fs)->chain);
	return r;
}

static int guard_readdir(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context)
{
	int r = vfs_readdir(inner(fs), ino, handle, cookie, attributes, take, context);

	chain_doubt(of(fs)->chain);
	return r;
}

static int guard_resolve(struct vfs *fs, const uint8_t *bytes, size_t size, struct vfs_attributes *out)
{
	return vfs_resolve(inner(fs), bytes, size, out);
}

/* ---- calls that only read -------------------------------------------------------------------------------
 */

static void guard_destroy(struct vfs *fs)
{
	chain_free(of(fs)->chain);
	vfs_destroy(inner(fs));
	free(fs);
}

static void guard_forget(struct vfs *fs, uint64_t ino, uint64_t times)
{
	vfs_forget(inner(fs), ino, times);
}

static int guard_getattr(struct vfs *fs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out)
{
	return vfs_getattr(inner(fs), ino, handle, out);
}

static int guard_readlink(struct vfs *fs, uint64_t ino, char target[VFS_PATH_MAX + 1])
{
	return vfs_readlink(inner(fs), ino, target);
}

static void guard_release(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	vfs_release(inner(fs), ino, handle);
}

static int64_t guard_read(
	struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset)
{
	return vfs_read(inner(fs), ino, handle, bytes, size, offset);
}

static int guard_fsync(struct vfs *fs, uint64_t ino, vfs_handle handle, bool data_only)
{
	return vfs_fsync(inner(fs), ino, handle, data_only);
}

static int64_t guard_seek(
	struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, enum vfs_seek whence)
{
	return vfs_seek(inner(fs), ino, handle, offset, whence);
}

static int guard_opendir(struct vfs *fs, uint64_t ino, vfs_handle *handle)
{
	return vfs_opendir(inner(fs), ino, handle);
}

static void guard_releasedir(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	vfs_releasedir(inner(fs), ino, handle);
}

static int guard_fsyncdir(struct vfs *fs, uint64_t ino)
{
	return vfs_fsyncdir(inner(fs), ino);
}

static int64_t guard_getxattr(struct vfs *fs, uint64_t ino, const char *name, void *value, size_t size)
{
	return vfs_getxattr(inner(fs), ino, name, value, size);
}

static int64_t guard_listxattr(struct vfs *fs, uint64_t ino, char *names, size_t size)
{
	return vfs_listxattr(inner(fs), ino, names, size);
}

static int guard_statfs(struct vfs *fs, struct vfs_statistics *out)
{
	return vfs_statfs(inner(fs), out);
}

static int guard_watch(struct vfs *fs, const struct vfs_watcher *watcher)
{
	return vfs_watch(inner(fs), watcher);
}

static void guard_unwatch(struct vfs *fs)
{
	vfs_unwatch(inner(fs));
}

static bool guard_watched(struct vfs *fs, uint64_t ino)
{
	return vfs_watched(inner(fs), ino);
}

static uint64_t guard_version(struct vfs *fs, uint64_t ino)
{
	return vfs_version(inner(fs), ino);
}

static int guard_persist(struct vfs *fs, uint64_t ino, uint8_t *bytes, size_t room, size_t *size)
{
	return room < VFS_PERSISTENT_MAX ? -EINVAL : vfs_persist(inner(fs), ino, bytes, size);
}

static const struct vfs_operations operations = {
	.name = "guard",
	.destroy = guard_destroy,
	.lookup = guard_lookup,
	.forget = guard_forget,
	.getattr = guard_getattr,
	.setattr = guard_setattr,
	.readlink = guard_readlink,
	.mknod = guard_mknod,
	.mkdir = guard_mkdir,
	.symlink = guard_symlink,
	.link = guard_link,
	.unlink = guard_unlink,
	.rmdir = guard_rmdir,
	.rename = guard_rename,
	.create = guard_create,
	.open = guard_open,
	.release = guard_release,
	.read = guard_read,
	.write = guard_write,
	.fsync = guard_fsync,
	.allocate = guard_allocate,
	.seek = guard_seek,
	.opendir = guard_opendir,
	.releasedir = guard_releasedir,
	.readdir = guard_readdir,
	.fsyncdir = guard_fsyncdir,
	.getxattr = guard_getxattr,
	.setxattr = guard_setxattr,
	.listxattr = guard_listxattr,
	.removexattr = guard_removexattr,
	.statfs = guard_statfs,
	.watch = guard_watch,
	.unwatch = guard_unwatch,
	.watched = guard_watched,
	.version = guard_version,
	.persist = guard_persist,
	.resolve = guard_resolve,
};

int guard_new(struct vfs *fs, const char *paths, size_t size, struct vfs **out, struct error *err)
{
	struct guard *g;
	int r;

	*out = fs;
	if (!size)
		return 0;
	g = calloc(1, sizeof *g);
	r = g ? chain_new(fs, paths, size, &g->chain, err) : error_no_memory(err, "guard names");
	if (r < 0) {
		free(g);
		vfs_destroy(fs);
		return r;
	}
	g->vfs = (struct vfs){.operations = &operations, .read_only = fs->read_only};
	g->fs = fs;
	*out = &g->vfs;
	return 0;
}
