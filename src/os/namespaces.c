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

/* Where the new root is put together: a directory that every system has, and from which nothing is bound. */
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

static int make_link(const char *source, const char *target)
{
	char text[PATH_MAX];
	ssize_t n = readlink(source, text, sizeof text - 1);

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

/* Binds read-only at once, so that nothing that is made for a later path can land in the host's files. */
static int bind_sealed(const char *source, const char *target)
{
	struct mount_attr sealed = SEALED;

	/* Recursive, because a new user namespace may not uncover what is mounted below. */
	if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0)
		return -1;
	return mount_setattr(AT_FDCWD, target, AT_RECURSIVE, &sealed, sizeof sealed);
}

static int bind_path(const struct namespace_path *p)
{
	const char *name = p->target ? p->target : p->source;
	char target[PATH_MAX];
	struct stat st, there;

	if (lstat(p->source, &st) < 0)
		return p->optional && (errno == ENOENT || errno == ENOTDIR || errno == EACCES) ? 0 : -1;
	if (strlen(name) > sizeof target - sizeof STAGE) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(target, STAGE, sizeof STAGE - 1);
	memcpy(target + sizeof STAGE - 1, name, strlen(name) + 1);
	if (make_parents(target) < 0)
		return -1;
	if (stat(target, &there) == 0 && stat(p->source, &st) == 0 && there.st_dev == st.st_dev &&
		there.st_ino == st.st_ino)
		return 0; /* beneath a path that came before */
	if (S_ISLNK(st.st_mode) && !p->target)
		return make_link(p->source, target);
	if (S_ISDIR(st.st_mode) ? mkdir(target, 0755) < 0 && errno != EEXIST : make_file(target) < 0)
		return -1;
	return bind_sealed(p->source, target);
}

int namespaces_change_root(const struct namespace_path *paths, size_t count)
{
	struct mount_attr sealed = SEALED;

	umask(0);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	if (mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64k") < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (bind_path(&paths[i]) < 0)
			return -1;
	if (mount_setattr(AT_FDCWD, STAGE, 0, &sealed, sizeof sealed) < 0)
		return -1;
	if (chdir(STAGE) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return -1;
	if (umount2(".", MNT_DETACH) < 0)
		return -1;
	return chdir("/");
}
