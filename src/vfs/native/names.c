/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of objects that are there: further ones, removed and moved ones. The descriptor of a known object is
 * kept before its name goes, so that it stays usable until it is forgotten.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vfs/native/native_parts.h"

int native_link(struct vfs *vfs, uint64_t ino, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	struct native *fs = native_of(vfs);
	_cleanup_pin_ struct native_pin directory = {.fd = -1};
	_cleanup_pin_ struct native_pin pin;
	int r = native_pin(fs, ino, &pin);
	char path[NATIVE_PROC_PATH];

	if (r == 0)
		r = native_pin(fs, parent, &directory);
	if (r < 0)
		return r;
	if (S_ISDIR(pin.inode->type))
		return -EPERM;
	/* The link of /proc leads to the object itself, also where that is a symbolic link. */
	native_proc_path(pin.fd, path);
	if (linkat(AT_FDCWD, path, directory.fd, name, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	native_changed(fs, pin.inode);
	native_changed(fs, directory.inode);
	r = native_attributes(fs, pin.inode, pin.fd, NULL, out);
	native_lock(fs);
	if (r == 0) {
		pin.inode->lookups++;
		native_put(fs, pin.inode, directory.inode, name); /* where that fails, it has another name */
	}
	native_unlock(fs);
	return r;
}

/* ---- what loses a name --------------------------------------------------------------------------------- */

/* If the name is there and known, *victim has its inode, and its descriptor where it is looked up. *last:
 * whether it has no other. */
static void pin_victim(
	const struct native_pin *directory, const char *name, struct native_pin *victim, bool *last)
{
	struct native *fs = directory->fs;
	struct native_inode *inode;
	struct native_identity is;
	struct statx s;
	bool kept, looked_up;
	int fd = -1;

	*victim = (struct native_pin){.fd = -1};
	*last = false;
	if (native_statx_name(directory->fd, name, &s) < 0)
		return;
	is = native_identity_of(fs, &s);
	*last = S_ISDIR(s.stx_mode) || s.stx_nlink == 1;
	native_lock(fs);
	inode = native_recall(fs, &is, s.stx_mode & S_IFMT);
	looked_up = inode && inode->lookups;
	kept = inode && inode->descriptor;
	native_unlock(fs);
	*victim = (struct native_pin){.fs = fs, .inode = inode, .fd = -1};
	if (!looked_up)
		return;
	if (!kept)
		fd = native_open_name(fs, directory->fd, name);
	if (fd >= 0 && (native_statx(fd, &s) < 0 || !native_is(inode, fs, &s))) {
		close(fd);
		fd = -1;
	}
	native_lock(fs);
	if (fd >= 0)
		native_keep_descriptor(fs, inode, fd);
	native_unlock(fs);
	native_pin_inode(fs, inode, victim);
}

/* It was called that; what is told of it changes. */
static void lost_name(
	const struct native_pin *directory, const char *name, const struct native_pin *victim, bool last)
{
	struct native *fs = directory->fs;
	const struct native_index *index = &fs->options.index;
	struct statx s;
	bool gone = last;

	native_changed(fs, directory->inode);
	if (!victim->inode)
		return;
	native_changed(fs, victim->inode);
	if (victim->fd >= 0)
		gone = native_statx(victim->fd, &s) == 0 && s.stx_nlink == 0;
	native_lock(fs);
	native_unput(fs, victim->inode, directory->inode, name);
	if (gone)
		native_orphan(fs, victim->inode);
	native_unlock(fs);
	if (gone && victim->inode->persistent && index->forget)
		index->forget(index->context, &victim->inode->is);
}

static int remove_name(struct vfs *vfs, uint64_t parent, const char *name, int flags)
{
	_cleanup_pin_ struct native_pin directory, victim = {.fd = -1};
	int r = native_pin(native_of(vfs), parent, &directory);
	bool last;

	if (r < 0)
		return r;
	pin_victim(&directory, name, &victim, &last);
	if (unlinkat(directory.fd, name, flags) < 0)
		return -errno;
	lost_name(&directory, name, &victim, last);
	return 0;
}

int native_unlink(struct vfs *fs, uint64_t parent, const char *name)
{
	return remove_name(fs, parent, name, 0);
}

int native_rmdir(struct vfs *fs, uint64_t parent, const char *name)
{
	return remove_name(fs, parent, name, AT_REMOVEDIR);
}

/* ---- rename -------------------------------------------------------------------------------------------- */

/* The object that is called new_name now was called otherwise. */
static void moved(
	const struct native_pin *from, const char *name, const struct native_pin *to, const char *new_name)
{
	struct native *fs = to->fs;
	struct native_inode *inode;
	struct native_identity is;
	struct statx s;

	if (native_statx_name(to->fd, new_name, &s) < 0)
		return;
	is = native_identity_of(fs, &s);
	native_lock(fs);
	inode = native_find(fs, &is, s.stx_mode & S_IFMT);
	if (inode) {
		atomic_fetch_add(&inode->changes, 1);
		native_touch(fs, inode);
		inode->references++;
		native_put(fs, inode, to->inode, new_name);
		native_unput(fs, inode, from->inode, name);
		native_release(fs, inode);
	}
	native_unlock(fs);
}

/* `renames` is held. */
static int rename_held(const struct native_pin *from, const char *name, const struct native_pin *to,
	const char *new_name, unsigned flags, const struct native_pin *victim, bool last)
{
	unsigned how = flags & VFS_EXCHANGE ? RENAME_EXCHANGE : flags & VFS_NO_REPLACE ? RENAME_NOREPLACE : 0;

	if (renameat2(from->fd, name, to->fd, new_name, how) < 0)
		return -errno;
	if (from->inode == to->inode && !strcmp(name, new_name))
		return 0;
	native_changed(to->fs, from->inode);
	lost_name(to, new_name, victim, last);
	moved(from, name, to, new_name);
	if (flags & VFS_EXCHANGE)
		moved(to, new_name, from, name);
	return 0;
}

int native_rename(
	struct vfs *vfs, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags)
{
	struct native *fs = native_of(vfs);
	_cleanup_pin_ struct native_pin source, target = {.fd = -1}, victim = {.fd = -1};
	int r = native_pin(fs, from, &source);
	bool last = false;

	if (r == 0)
		r = native_pin(fs, to, &target);
	if (r < 0)
		return r;
	if (!flags)
		pin_victim(&target, new_name, &victim, &last);
	pthread_rwlock_wrlock(&fs->renames);
	atomic_fetch_add(&fs->moves, 1);
	r = rename_held(&source, name, &target, new_name, flags, &victim, last);
	atomic_fetch_add(&fs->moves, 1);
	pthread_rwlock_unlock(&fs->renames);
	return r;
}
