/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the root to an object: by the places of the table, in one openat2() where the path is no longer than
 * the kernel's limit. What is found must be what was known; where names and table differ because a rename of
 * ours is under way, it is tried again behind it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vfs/native/native_parts.h"

#define LOOKS_MOST 4 /* beside renames, before they are waited for */

int native_open_path(struct native *fs, const char *path)
{
	_cleanup_fd_ int at = -1;
	size_t left = strlen(path);

	while (left >= PATH_MAX) {
		char part[PATH_MAX];
		size_t n = PATH_MAX - 1;
		int next;

		while (n && path[n] != '/')
			n--;
		memcpy(part, path, n);
		part[n] = '\0';
		next = native_open_beneath(fs, at < 0 ? fs->root_fd : at, part, O_PATH | O_DIRECTORY, 0);
		if (next < 0)
			return next;
		cleanup_fd(&at);
		at = next;
		path += n + 1;
		left -= n + 1;
	}
	return native_open_name(fs, at < 0 ? fs->root_fd : at, path);
}

/* Whether the error means that something else is there now. */
static bool is_elsewhere(int r)
{
	return r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EXDEV;
}

static int open_place(struct native *fs, struct native_inode *inode, bool other)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_fd_ int fd = -1;
	struct statx s;
	int r;

	native_lock(fs);
	path = native_path(fs, inode, other, &r);
	native_unlock(fs);
	if (r < 0)
		return r;
	fd = native_open_path(fs, path);
	if (fd < 0)
		return is_elsewhere(fd) ? -ESTALE : fd;
	r = native_statx(fd, &s);
	if (r < 0)
		return r;
	return native_is(inode, fs, &s) ? TAKE_FD(fd) : -ESTALE;
}

int native_open_inode(struct native *fs, struct native_inode *inode)
{
	int fd = open_place(fs, inode, false);

	if (fd != -ESTALE)
		return fd;
	pthread_rwlock_rdlock(&fs->renames);
	fd = open_place(fs, inode, false);
	if (fd == -ESTALE)
		fd = open_place(fs, inode, true);
	pthread_rwlock_unlock(&fs->renames);
	return fd;
}

/* ---- looking ------------------------------------------------------------------------------------------- */

static int look_once(struct native *fs, struct native_inode *parent, int at, const char *name,
	struct statx *s, struct native_inode **inode, int *out)
{
	uint64_t moves = atomic_load(&fs->moves);
	_cleanup_fd_ int fd = native_open_name(fs, at, name);
	int r = fd < 0 ? fd : native_statx(fd, s);

	if (r < 0)
		return r;
	native_lock(fs);
	r = moves & 1 || moves != atomic_load(&fs->moves) ? -EAGAIN : native_enter(fs, s, inode);
	if (r == 0) {
		r = native_put(fs, *inode, parent, name);
		if (r < 0)
			native_release(fs, *inode);
	}
	native_unlock(fs);
	if (r == 0 && out)
		*out = TAKE_FD(fd);
	return r;
}

/* -EXDEV is a mount, or what was renamed out of the directory while the kernel looked. */
static bool is_to_be_tried_again(int r)
{
	return r == -EAGAIN || r == -EXDEV;
}

static int look(struct native *fs, struct native_inode *parent, int at, const char *name, struct statx *s,
	struct native_inode **inode, int *fd)
{
	int r = -EAGAIN;

	for (int tries = 0; is_to_be_tried_again(r) && tries < LOOKS_MOST; tries++)
		r = look_once(fs, parent, at, name, s, inode, fd);
	if (!is_to_be_tried_again(r))
		return r;
	pthread_rwlock_rdlock(&fs->renames);
	r = look_once(fs, parent, at, name, s, inode, fd);
	pthread_rwlock_unlock(&fs->renames);
	return r;
}

int native_look(const struct native_pin *directory, const char *name, struct statx *s,
	struct native_inode **inode, int *fd)
{
	return look(directory->fs, directory->inode, directory->fd, name, s, inode, fd);
}

static void release(struct native *fs, struct native_inode *inode)
{
	native_lock(fs);
	native_release(fs, inode);
	native_unlock(fs);
}

int native_enter_path(struct native *fs, const char *path, struct native_inode **out)
{
	struct native_inode *parent = fs->root;
	_cleanup_fd_ int at = -1;

	native_lock(fs);
	parent->references++;
	native_unlock(fs);
	while (*path) {
		size_t n = strcspn(path, "/");
		char name[VFS_NAME_MAX + 1];
		struct native_inode *inode;
		struct statx s;
		int fd = -1, r = n && n <= VFS_NAME_MAX ? 0 : -ESTALE;

		if (r == 0) {
			memcpy(name, path, n);
			name[n] = '\0';
			r = look(fs, parent, at < 0 ? fs->root_fd : at, name, &s, &inode, &fd);
		}
		release(fs, parent);
		if (r < 0)
			return is_elsewhere(r) ? -ESTALE : r;
		cleanup_fd(&at);
		at = fd;
		parent = inode;
		path += n + (path[n] == '/');
	}
	*out = parent;
	return 0;
}

/* ---- what was moved ------------------------------------------------------------------------------------ */

static int name_of(int fd, char path[PATH_MAX])
{
	char link[NATIVE_PROC_PATH];
	ssize_t n;

	native_proc_path(fd, link);
	n = readlink(link, path, PATH_MAX);
	if (n < 0 || n == PATH_MAX)
		return -ESTALE;
	path[n] = '\0';
	return (int)n;
}

/* The kernel knows where an open object is. That is a hint only: the name may lie, the walk does not. */
int native_find_again(struct native *fs, int fd, struct native_inode **inode)
{
	char root[PATH_MAX], path[PATH_MAX];
	int n = name_of(fs->root_fd, root), r = n < 0 ? n : name_of(fd, path);

	if (r < 0)
		return r;
	if (n == 1)
		n = 0; /* "/" */
	if (strncmp(root, path, (size_t)n) != 0 || path[n] != '/')
		return -ESTALE;
	return native_enter_path(fs, path + n + 1, inode);
}

int native_confirm(struct native *fs, struct native_inode *inode, int fd)
{
	int there = native_open_inode(fs, inode), r;
	struct native_inode *found;
	struct statx s;

	if (there >= 0)
		close(there);
	if (there != -ESTALE)
		return 0; /* there, or not to be told now */
	if (native_statx(fd, &s) == 0 && s.stx_nlink == 0)
		return 0;
	r = native_find_again(fs, fd, &found);
	if (r < 0)
		return r;
	release(fs, found);
	return found == inode ? 0 : -ESTALE;
}
