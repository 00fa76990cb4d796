/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New objects: made with no more than the serving user's access, then given the owner and mode that they are
 * to have, then entered. What cannot be finished is removed again.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vfs/native/native_parts.h"

#define CREATES_MOST 16 /* of a name that comes and goes meanwhile */

static bool is_member(const struct vfs_caller *who, uint32_t gid)
{
	for (uint32_t i = 0; i < who->group_count && i < VFS_GROUPS_MAX; i++)
		if (who->groups[i] == gid)
			return true;
	return who->gid == gid;
}

/* Whose it will be, by its directory and who asks. */
static int plan(const struct native_pin *directory, const struct vfs_caller *who, uint32_t mode,
	struct native_shown *shown)
{
	struct native *fs = directory->fs;
	struct native_shown parent;
	struct statx s;
	int r = native_statx(directory->fd, &s);

	if (r == 0)
		r = native_show(fs, directory->fd, &s, &parent, NULL);
	if (r < 0)
		return r;
	if (!S_ISDIR(s.stx_mode))
		return -ENOTDIR;
	*shown = (struct native_shown){.mode = mode, .uid = who->uid, .gid = who->gid};
	if (parent.mode & S_ISGID) {
		shown->gid = parent.gid;
		if (S_ISDIR(mode))
			shown->mode |= S_ISGID;
		else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && who->uid != 0 &&
			 !is_member(who, parent.gid))
			shown->mode &= ~(uint32_t)S_ISGID;
	}
	if (fs->options.owners == NATIVE_SQUASH) {
		shown->uid = fs->options.uid;
		shown->gid = fs->options.gid;
	}
	return 0;
}

/* Most of what is made is what it is to be. */
static bool is_as_shown(const struct native *fs, const struct statx *s, const struct native_shown *shown)
{
	return fs->options.owners == NATIVE_PLAIN && s->stx_uid == shown->uid && s->stx_gid == shown->gid &&
	       (S_ISLNK(s->stx_mode) || ((s->stx_mode ^ shown->mode) & 07777) == 0);
}

/* fd (used up) is what was made. */
static int finish(const struct native_pin *directory, const char *name, int fd,
	const struct native_shown *shown, struct native_inode **inode, struct statx *s)
{
	struct native *fs = directory->fs;
	int r = native_statx(fd, s);

	if (r == 0 && !is_as_shown(fs, s, shown)) {
		r = native_make_shown(fs, fd, s, shown, false, true);
		if (r == 0)
			r = native_statx(fd, s);
	}
	if (r == 0) {
		native_lock(fs);
		r = native_enter(fs, s, inode);
		if (r == 0) {
			r = native_put(fs, *inode, directory->inode, name);
			if (r < 0)
				native_release(fs, *inode);
		}
		native_unlock(fs);
	}
	if (r < 0) {
		unlinkat(directory->fd, name, S_ISDIR(shown->mode) ? AT_REMOVEDIR : 0);
		close(fd);
	}
	native_changed(fs, directory->inode);
	return r;
}

static int give(const struct native_pin *directory, const char *name, int fd,
	const struct native_shown *shown, struct vfs_attributes *out)
{
	struct native_inode *inode;
	struct statx s;
	int r = finish(directory, name, fd, shown, &inode, &s);

	return r < 0 ? r : native_looked_up(directory, inode, fd, &s, out);
}

/* Opens what was just made under the name, as long as it is of that type. */
static int open_made(const struct native_pin *directory, const char *name, uint32_t type)
{
	int fd = native_open_name(directory->fs, directory->fd, name), r;
	struct statx s;

	native_changed(directory->fs, directory->inode);
	if (fd < 0)
		return fd;
	r = native_statx(fd, &s);
	if (r == 0 && (s.stx_mode & S_IFMT) != type)
		r = -ESTALE;
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

/* A new regular file, open. */
static int make_file(
	const struct native_pin *directory, const char *name, const struct native_shown *shown, int flags)
{
	uint32_t needed = directory->fs->options.owners == NATIVE_PLAIN ? 0 : 0600;

	return native_open_beneath(directory->fs, directory->fd, name, flags | O_CREAT | O_EXCL | O_NOCTTY,
		(shown->mode & 0777) | needed);
}

/* A new one that nobody has open, since what is open for writing cannot be executed. */
static int make_closed_file(
	const struct native_pin *directory, const char *name, const struct native_shown *shown)
{
	_cleanup_fd_ int fd = make_file(directory, name, shown, O_WRONLY);

	native_changed(directory->fs, directory->inode);
	return fd < 0 ? fd : native_reopen(directory->fs, fd, O_PATH);
}

int native_mknod(struct vfs *vfs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, uint32_t major, uint32_t minor, struct vfs_attributes *out)
{
	struct native *fs = native_of(vfs);
	_cleanup_pin_ struct native_pin directory;
	int r = native_pin(fs, parent, &directory), fd;
	bool real = fs->options.owners == NATIVE_PLAIN && !S_ISREG(mode);
	struct native_shown shown;

	if (r == 0)
		r = plan(&directory, who, mode, &shown);
	if (r < 0)
		return r;
	if (S_ISCHR(mode) || S_ISBLK(mode)) {
		shown.major = major;
		shown.minor = minor;
	}
	if (real && mknodat(directory.fd, name, mode & (S_IFMT | 0777), makedev(major, minor)) < 0)
		return -errno;
	fd = real ? open_made(&directory, name, mode & S_IFMT) : make_closed_file(&directory, name, &shown);
	return fd < 0 ? fd : give(&directory, name, fd, &shown, out);
}

int native_mkdir(struct vfs *vfs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, struct vfs_attributes *out)
{
	struct native *fs = native_of(vfs);
	_cleanup_pin_ struct native_pin directory;
	int r = native_pin(fs, parent, &directory), fd;
	uint32_t needed = fs->options.owners == NATIVE_PLAIN ? 0 : 0700;
	struct native_shown shown;

	if (r == 0)
		r = plan(&directory, who, S_IFDIR | mode, &shown);
	if (r < 0)
		return r;
	if (mkdirat(directory.fd, name, (mode & 0777) | needed) < 0)
		return -errno;
	fd = open_made(&directory, name, S_IFDIR);
	return fd < 0 ? fd : give(&directory, name, fd, &shown, out);
}

int native_symlink(struct vfs *vfs, const struct vfs_caller *who, uint64_t parent, const char *name,
	const char *target, struct vfs_attributes *out)
{
	_cleanup_pin_ struct native_pin directory;
	int r = native_pin(native_of(vfs), parent, &directory), fd;
	struct native_shown shown;

	if (r == 0)
		r = plan(&directory, who, S_IFLNK | 0777, &shown);
	if (r < 0)
		return r;
	if (symlinkat(target, directory.fd, name) < 0)
		return -errno;
	fd = open_made(&directory, name, S_IFLNK);
	return fd < 0 ? fd : give(&directory, name, fd, &shown, out);
}

/* ---- create -------------------------------------------------------------------------------------------- */

static void forget_one(struct native *fs, struct native_inode *inode)
{
	native_lock(fs);
	native_forget_lookups(fs, inode, 1);
	native_unlock(fs);
}

static int create_new(const struct native_pin *directory, const char *name, int fd,
	const struct native_shown *shown, struct vfs_attributes *out, vfs_handle *handle)
{
	struct native *fs = directory->fs;
	struct native_inode *inode;
	struct statx s;
	int r = finish(directory, name, fd, shown, &inode, &s);

	if (r < 0)
		return r;
	r = native_attributes(fs, inode, fd, &s, out);
	if (r < 0)
		close(fd);
	else
		r = native_open_new(fs, inode, fd, false, handle);
	native_lock(fs);
	if (r == 0)
		inode->lookups++;
	native_release(fs, inode);
	native_unlock(fs);
	return r;
}

static int create_there(const struct native_pin *directory, const char *name, unsigned flags,
	struct vfs_attributes *out, vfs_handle *handle)
{
	struct native *fs = directory->fs;
	struct native_inode *inode;
	struct statx s;
	int fd, r = native_look(directory, name, &s, &inode, &fd);

	if (r == 0)
		r = native_looked_up(directory, inode, fd, &s, out);
	if (r < 0)
		return r;
	r = native_open_file(&fs->vfs, out->ino, flags, handle);
	if (r == 0 && flags & VFS_TRUNCATE)
		r = native_getattr(&fs->vfs, out->ino, *handle, out);
	if (r < 0) {
		if (*handle != VFS_NO_HANDLE)
			native_close(&fs->vfs, out->ino, *handle);
		*handle = VFS_NO_HANDLE;
		forget_one(fs, inode);
	}
	return r;
}

int native_create(struct vfs *vfs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, unsigned flags, struct vfs_attributes *out, vfs_handle *handle)
{
	int access = (flags & VFS_WRITE ? flags & VFS_READ ? O_RDWR : O_WRONLY : O_RDONLY) |
		     (flags & VFS_APPEND ? O_APPEND : 0);
	_cleanup_pin_ struct native_pin directory;
	int r = native_pin(native_of(vfs), parent, &directory);
	struct native_shown shown;

	if (r == 0)
		r = plan(&directory, who, S_IFREG | mode, &shown);
	if (r < 0)
		return r;
	for (int tries = 0; tries < CREATES_MOST; tries++) {
		int fd = make_file(&directory, name, &shown, access);

		if (fd >= 0)
			return create_new(&directory, name, fd, &shown, out, handle);
		if (fd != -EEXIST || flags & VFS_EXCLUSIVE)
			return fd;
		r = create_there(&directory, name, flags, out, handle);
		if (r != -ENOENT)
			return r;
	}
	return -EBUSY;
}
