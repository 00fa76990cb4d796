/* SPDX-License-Identifier: Apache-2.0 */
/* Objects by name and by number, and their attributes. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vfs/native/native_parts.h"

int native_looked_up(const struct native_pin *directory, struct native_inode *inode, int fd,
	const struct statx *s, struct vfs_attributes *out)
{
	struct native *fs = directory->fs;
	/* What it was before it was watched may have changed. */
	bool again = native_watch_directory(fs, inode, fd);
	int r = native_attributes(fs, inode, fd, again ? NULL : s, out);

	native_lock(fs);
	if (r == 0) {
		inode->lookups++;
		native_keep_descriptor(fs, inode, fd);
	} else {
		native_doom(fs, fd);
	}
	native_release(fs, inode);
	native_unlock(fs);
	return r;
}

int native_look_closed(const struct native_pin *pin, const char *name, struct vfs_attributes *out)
{
	struct native *fs = pin->fs;
	uint64_t moves = atomic_load(&fs->moves);
	struct native_inode *inode;
	struct statx s;
	int r;

	if (fs->options.owners != NATIVE_PLAIN)
		return -EAGAIN;
	r = native_statx_name(pin->fd, name, &s);
	if (r < 0)
		return r == -ENOENT ? r : -EAGAIN;
	if (!(s.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) || s.stx_attributes & STATX_ATTR_MOUNT_ROOT ||
		native_wants_watch(fs, &s))
		return -EAGAIN;
	native_lock(fs);
	r = moves & 1 || moves != atomic_load(&fs->moves) ? -EAGAIN : native_enter(fs, &s, &inode);
	if (r == 0) {
		r = native_put(fs, inode, pin->inode, name);
		if (r == 0)
			inode->lookups++;
		native_release(fs, inode);
	}
	native_unlock(fs);
	return r == 0 ? native_attributes(fs, inode, -1, &s, out) : -EAGAIN;
}

int native_lookup(struct vfs *vfs, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	_cleanup_pin_ struct native_pin directory;
	int r = native_pin(native_of(vfs), parent, &directory), fd;
	struct native_inode *inode;
	struct statx s;

	if (r < 0)
		return r;
	native_watch_directory(directory.fs, directory.inode, directory.fd);
	r = native_look_closed(&directory, name, out);
	if (r != -EAGAIN)
		return r;
	r = native_look(&directory, name, &s, &inode, &fd);
	return r < 0 ? r : native_looked_up(&directory, inode, fd, &s, out);
}

void native_forget(struct vfs *vfs, uint64_t ino, uint64_t times)
{
	struct native *fs = native_of(vfs);
	struct native_inode *inode;

	native_lock(fs);
	inode = native_find_number(fs, ino);
	if (inode && inode != fs->root)
		native_forget_lookups(fs, inode, times);
	native_unlock(fs);
}

int native_getattr(struct vfs *vfs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out)
{
	struct native *fs = native_of(vfs);
	_cleanup_pin_ struct native_pin pin;
	int r = native_pin_handle(fs, ino, handle, false, &pin);

	return r < 0 ? r : native_attributes(fs, pin.inode, pin.fd, NULL, out);
}

int native_readlink(struct vfs *vfs, uint64_t ino, char target[VFS_PATH_MAX + 1])
{
	_cleanup_pin_ struct native_pin pin;
	int r = native_pin(native_of(vfs), ino, &pin);
	ssize_t n;

	if (r < 0)
		return r;
	if (!S_ISLNK(pin.inode->type))
		return -EINVAL;
	n = readlinkat(pin.fd, "", target, VFS_PATH_MAX + 1);
	if (n < 0)
		return -errno;
	if (n > (ssize_t)VFS_PATH_MAX)
		return -ENAMETOOLONG;
	target[n] = '\0';
	return 0;
}

/* ---- setattr ------------------------------------------------------------------------------------------- */

#define CAPABILITY      "security.capability"
#define KEPT_CAPABILITY "user.containers.override_security.capability"

static int set_size(const struct native_pin *pin, uint64_t size)
{
	_cleanup_fd_ int fd = -1;
	int r;

	if (pin->open) {
		do
			r = ftruncate(pin->fd, (off_t)size);
		while (r < 0 && errno == EINTR);
		if (r == 0 || (errno != EINVAL && errno != EBADF))
			return r < 0 ? -errno : 0;
	}
	fd = native_open_data(pin, VFS_WRITE);
	if (fd < 0)
		return fd;
	do
		r = ftruncate(fd, (off_t)size);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static uint32_t without_privileges(uint32_t mode)
{
	if (!S_ISREG(mode))
		return mode;
	return mode & ~(uint32_t)(S_ISUID | (mode & S_IXGRP ? S_ISGID : 0));
}

static void change_shown(const struct native *fs, struct native_shown *shown,
	const struct vfs_attributes *values, unsigned what)
{
	bool squash = fs->options.owners == NATIVE_SQUASH;

	if (what & (VFS_SET_UID | VFS_SET_GID | VFS_CLEAR_PRIVILEGES))
		shown->mode = without_privileges(shown->mode);
	if (what & VFS_SET_MODE)
		shown->mode = (shown->mode & S_IFMT) | (values->mode & 07777);
	if (what & VFS_SET_UID && !squash)
		shown->uid = values->uid;
	if (what & VFS_SET_GID && !squash)
		shown->gid = values->gid;
}

static void drop_capability(const struct native *fs, const struct native_pin *pin)
{
	if (S_ISREG(pin->inode->type))
		native_remove_xattr(
			pin->fd, fs->options.owners == NATIVE_PLAIN ? CAPABILITY : KEPT_CAPABILITY);
}

static int set_owner(
	struct native *fs, const struct native_pin *pin, const struct vfs_attributes *values, unsigned what)
{
	pthread_mutex_t *stripe = native_stripe(fs, pin->inode);
	struct native_shown shown;
	struct statx s;
	bool kept;
	int r;

	if (S_ISLNK(pin->inode->type) && what & VFS_SET_MODE)
		return -EOPNOTSUPP;
	pthread_mutex_lock(stripe);
	r = native_statx(pin->fd, &s);
	if (r == 0)
		r = native_show(fs, pin->fd, &s, &shown, &kept);
	if (r == 0) {
		change_shown(fs, &shown, values, what);
		r = native_make_shown(fs, pin->fd, &s, &shown, kept, false);
	}
	if (r == 0 && what & (VFS_SET_UID | VFS_SET_GID | VFS_CLEAR_PRIVILEGES))
		drop_capability(fs, pin);
	pthread_mutex_unlock(stripe);
	return r;
}

static struct timespec time_to_set(const struct vfs_time *t, bool set, bool now)
{
	if (now)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	if (!set)
		return (struct timespec){.tv_nsec = UTIME_OMIT};
	return (struct timespec){.tv_sec = t->seconds, .tv_nsec = t->nanoseconds};
}

static int set_times(const struct native_pin *pin, const struct vfs_attributes *values, unsigned what)
{
	const struct timespec times[2] = {
		time_to_set(&values->atime, what & VFS_SET_ATIME, what & VFS_SET_ATIME_NOW),
		time_to_set(&values->mtime, what & VFS_SET_MTIME, what & VFS_SET_MTIME_NOW)};
	int r;

	do
		r = utimensat(pin->fd, "", times, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int native_setattr(struct vfs *vfs, const struct vfs_caller *who, uint64_t ino, vfs_handle handle,
	const struct vfs_attributes *values, unsigned what, struct vfs_attributes *out)
{
	struct native *fs = native_of(vfs);
	_cleanup_pin_ struct native_pin pin;
	int r = native_pin_handle(fs, ino, handle, false, &pin);

	(void)who;
	if (r < 0)
		return r;
	if (what & VFS_SET_SIZE)
		r = set_size(&pin, values->size);
	if (r == 0 && what & (VFS_SET_MODE | VFS_SET_UID | VFS_SET_GID | VFS_CLEAR_PRIVILEGES))
		r = set_owner(fs, &pin, values, what);
	if (r == 0 && what & (VFS_SET_ATIME | VFS_SET_MTIME | VFS_SET_ATIME_NOW | VFS_SET_MTIME_NOW))
		r = set_times(&pin, values, what);
	native_changed(fs, pin.inode);
	return r < 0 ? r : native_attributes(fs, pin.inode, pin.fd, NULL, out);
}
