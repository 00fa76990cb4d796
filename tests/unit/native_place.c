/* SPDX-License-Identifier: Apache-2.0 */
#include "native_place.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>

#include "base/cleanup.h"
#include "os/fs.h"
#include "test.h"
#include "vfs_make.h"

void place_serve(struct place *p, struct native_options options)
{
	struct error err;

	options.directory = p->inside;
	CHECK_OK(native_new(&options, &p->fs, &err));
}

void place_open(struct place *p, struct native_options options)
{
	strcpy(p->path, "/tmp/monocore-test-XXXXXX");
	CHECK(mkdtemp(p->path));
	p->outside = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(mkdirat(p->outside, "in", 0755) == 0);
	p->inside = openat(p->outside, "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(p->inside >= 0);
	place_serve(p, options);
}

void place_close(struct place *p)
{
	struct error err;

	vfs_destroy(p->fs);
	close(p->inside);
	close(p->outside);
	CHECK_OK(fs_remove_tree(AT_FDCWD, p->path, &err));
}

void put_file(int at, const char *name, const char *text)
{
	_cleanup_fd_ int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	CHECK_INT(write(fd, text, strlen(text)), strlen(text));
}

const char *xattr_of(const struct place *p, const char *name, const char *xattr)
{
	static char value[256];
	char path[256];
	ssize_t n;

	snprintf(path, sizeof path, "%s/in/%s", p->path, name);
	n = lgetxattr(path, xattr, value, sizeof value - 1);
	if (n < 0)
		return NULL;
	value[n] = '\0';
	return value;
}

const char *override_of(const struct place *p, const char *name)
{
	return xattr_of(p, name, "user.containers.override_stat");
}

uint32_t host_mode(const struct place *p, const char *name)
{
	struct stat s;

	CHECK(fstatat(p->inside, name, &s, AT_SYMLINK_NOFOLLOW) == 0);
	CHECK_INT(s.st_uid, geteuid());
	return s.st_mode;
}

struct vfs_attributes place_set(
	struct vfs *fs, uint64_t ino, unsigned what, uint32_t mode, uint32_t uid, uint32_t gid)
{
	struct vfs_attributes a = {.mode = mode, .uid = uid, .gid = gid};
	struct vfs_caller root = {0};

	CHECK_CALL(vfs_setattr(fs, &root, ino, VFS_NO_HANDLE, &a, what, &a));
	return a;
}

uint64_t place_make(struct vfs *fs, const char *name, uint32_t mode, uint32_t uid)
{
	struct vfs_caller who = {.uid = uid, .gid = uid};
	struct vfs_attributes a;

	if (S_ISDIR(mode))
		CHECK_CALL(vfs_mkdir(fs, &who, VFS_ROOT, name, mode & 07777, &a));
	else
		CHECK_CALL(vfs_mknod(fs, &who, VFS_ROOT, name, mode, 5, 1, &a));
	CHECK_INT(a.mode, mode);
	CHECK_INT(a.uid, uid);
	return a.ino;
}

void let_confirmations_expire(void)
{
	nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 50000000}, NULL);
}

/* ---- mounts ------------------------------------------------------------------------------------------- */

static bool write_to(const char *path, const char *text)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* In namespaces of its own. */
static bool may_mount(void)
{
	char uids[64], gids[64];

	if (geteuid() == 0)
		return unshare(CLONE_NEWNS) == 0;
	snprintf(uids, sizeof uids, "0 %u 1", geteuid());
	snprintf(gids, sizeof gids, "0 %u 1", getegid());
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_to("/proc/self/uid_map", uids) &&
	       write_to("/proc/self/setgroups", "deny") && write_to("/proc/self/gid_map", gids);
}

/* In a child that may mount: runs `body` with a file system of the type mounted on "mounted". */
void with_mount(struct place *p, const char *type, void (*body)(struct place *p))
{
	char where[64];
	int status;
	pid_t child;

	snprintf(where, sizeof where, "%s/in/mounted", p->path);
	CHECK(mkdir(where, 0755) == 0);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (!may_mount())
			_exit(90);
		if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
			mount("none", where, type, 0, NULL) < 0)
			_exit(91);
		body(p);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_INT(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
}
