/* SPDX-License-Identifier: Apache-2.0 */
#include "os/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Where the new root is put together: a directory that every system has. It covers what lies there, so
 * everything that is to come into the new root is taken hold of before.
 */
#define STAGE "/dev"

#define SEALED \
	{ \
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV \
	}

pid_t namespaces_fork(unsigned long flags)
{
	return (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, 0UL);
}

static int write_proc(pid_t pid, const char *name, const char *text)
{
	char path[64];
	ssize_t n;
	int fd, e;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	e = errno;
	close(fd);
	errno = e;
	return n < 0 ? -1 : 0;
}

int namespaces_map_self(pid_t child)
{
	char uid[48], gid[48];

	snprintf(uid, sizeof uid, "%u %u 1", (unsigned)geteuid(), (unsigned)geteuid());
	snprintf(gid, sizeof gid, "%u %u 1", (unsigned)getegid(), (unsigned)getegid());
	if (write_proc(child, "setgroups", "deny") < 0 || write_proc(child, "uid_map", uid) < 0)
		return -1;
	return write_proc(child, "gid_map", gid);
}

/* The directories above `path`, which lies beneath STAGE. */
static int make_parents(char *path)
{
	for (char *p = path + sizeof STAGE; *p; p++) {
		int r;

		if (*p != '/')
			continue;
		*p = 0;
		r = mkdir(path, 0755);
		*p = '/';
		if (r < 0 && errno != EEXIST)
			return -1;
	}
	return 0;
}

static int make_link(int link, const char *target)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(link, "", text, sizeof text - 1);

	if (n < 0)
		return -1;
	text[n] = 0;
	return symlink(text, target);
}

static int make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);

	return fd < 0 ? -1 : close(fd);
}

/* A mount of its own of what `fd` is, in no directory yet. Sealed at once, so that nothing that is made for
 * a later path can land in the host's files. */
static int clone_sealed(int fd)
{
	struct mount_attr sealed = SEALED;
	/* Recursive, because a new user namespace may not uncover what is mounted below. */
	int tree = (int)syscall(
		SYS_open_tree, fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

	if (tree >= 0 && mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &sealed, sizeof sealed) < 0) {
		close(tree);
		return -1;
	}
	return tree;
}

/* What comes into the new root at a path. */
struct held {
	int fd; /* a mount, or the link itself; or -1: nothing */
	struct stat st;
};

static int hold(const struct namespace_path *p, struct held *h)
{
	int fd = open(p->source, O_PATH | O_CLOEXEC | (p->target ? 0 : O_NOFOLLOW));

	h->fd = -1;
	if (fd < 0)
		return p->optional && (errno == ENOENT || errno == ENOTDIR || errno == EACCES) ? 0 : -1;
	if (fstat(fd, &h->st) < 0)
		return -1;
	h->fd = S_ISLNK(h->st.st_mode) ? fd : clone_sealed(fd);
	if (h->fd != fd)
		close(fd);
	return h->fd < 0 ? -1 : 0;
}

static int place(const struct namespace_path *p, const struct held *h)
{
	const char *name = p->target ? p->target : p->source;
	char target[PATH_MAX];
	struct stat there;

	if (strlen(name) > sizeof target - sizeof STAGE) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(target, STAGE, sizeof STAGE - 1);
	memcpy(target + sizeof STAGE - 1, name, strlen(name) + 1);
	if (make_parents(target) < 0)
		return -1;
	if (lstat(target, &there) == 0 && there.st_dev == h->st.st_dev && there.st_ino == h->st.st_ino)
		return 0; /* beneath a path that came before */
	if (S_ISLNK(h->st.st_mode))
		return make_link(h->fd, target);
	if (S_ISDIR(h->st.st_mode) ? mkdir(target, 0755) < 0 && errno != EEXIST : make_file(target) < 0)
		return -1;
	return (int)syscall(SYS_move_mount, h->fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
}

static int hold_all(const struct namespace_path *paths, struct held *held, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (hold(&paths[i], &held[i]) < 0)
			return -1;
	return 0;
}

static int place_all(const struct namespace_path *paths, const struct held *held, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (held[i].fd >= 0 && place(&paths[i], &held[i]) < 0)
			return -1;
	return 0;
}

static void let_go(const struct held *held, size_t count)
{
	int e = errno;

	for (size_t i = 0; i < count; i++)
		if (held[i].fd >= 0)
			close(held[i].fd);
	errno = e;
}

/* The new root stands at STAGE. */
static int make_root(const struct namespace_path *paths, size_t count)
{
	struct held held[NAMESPACE_PATHS_MAX];
	int r;

	for (size_t i = 0; i < count; i++)
		held[i].fd = -1;
	r = hold_all(paths, held, count);
	if (r == 0)
		r = mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64k");
	if (r == 0)
		r = place_all(paths, held, count);
	let_go(held, count);
	return r;
}

int namespaces_change_root(const struct namespace_path *paths, size_t count)
{
	struct mount_attr sealed = SEALED;

	if (count > NAMESPACE_PATHS_MAX) {
		errno = E2BIG;
		return -1;
	}
	umask(0);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || make_root(paths, count) < 0)
		return -1;
	if (mount_setattr(AT_FDCWD, STAGE, 0, &sealed, sizeof sealed) < 0)
		return -1;
	if (chdir(STAGE) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return -1;
	if (umount2(".", MNT_DETACH) < 0)
		return -1;
	return chdir("/");
}
