/* SPDX-License-Identifier: Apache-2.0 */
/* System calls that resolve beneath a descriptor, are made again when a signal came, and return -errno. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "vfs/native/native_parts.h"

#define AGAIN_MOST 64 /* a rename elsewhere raced with the walk */

/* The call's value, made again when a signal came. */
#define RETRY(call) \
	({ \
		__typeof__(call) r_; \
		do \
			r_ = (call); \
		while (r_ < 0 && errno == EINTR); \
		r_; \
	})

static bool is_out_of_descriptors(int r)
{
	return r == -EMFILE || r == -ENFILE;
}

static int open_beneath(const struct native *fs, int at, const char *path, int flags, mode_t mode)
{
	struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = fs->resolve};

	for (int tries = 0;; tries++) {
		int fd = (int)syscall(SYS_openat2, at, path, &how, sizeof how);

		if (fd >= 0)
			return fd;
		if (errno != EINTR && (errno != EAGAIN || tries == AGAIN_MOST))
			return -errno;
	}
}

int native_open_beneath(struct native *fs, int at, const char *path, int flags, mode_t mode)
{
	int fd = open_beneath(fs, at, path, flags, mode);

	while (is_out_of_descriptors(fd) && native_squeeze(fs))
		fd = open_beneath(fs, at, path, flags, mode);
	return fd;
}

int native_open_name(struct native *fs, int at, const char *name)
{
	return native_open_beneath(fs, at, name, O_PATH, 0);
}

void native_proc_path(int fd, char path[NATIVE_PROC_PATH])
{
	snprintf(path, NATIVE_PROC_PATH, "/proc/self/fd/%d", fd);
}

static int open_proc(int fd, int flags)
{
	char path[NATIVE_PROC_PATH];
	int r;

	native_proc_path(fd, path);
	r = RETRY(open(path, flags | O_CLOEXEC | O_NOCTTY));
	return r < 0 ? -errno : r;
}

int native_reopen(struct native *fs, int fd, int flags)
{
	struct stat s;
	int r;

	/* What a descriptor stands for never becomes something else. */
	if (fstat(fd, &s) < 0)
		return -errno;
	if (S_ISLNK(s.st_mode))
		return -ELOOP;
	if (!S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode))
		return -ENXIO;
	r = open_proc(fd, flags);
	while (is_out_of_descriptors(r) && native_squeeze(fs))
		r = open_proc(fd, flags);
	return r;
}

int native_statx(int fd, struct statx *s)
{
	return statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, s) < 0
		       ? -errno
		       : 0;
}

int native_statx_name(int fd, const char *name, struct statx *s)
{
	return statx(fd, name, AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, s) < 0
		       ? -errno
		       : 0;
}

int64_t native_get_xattr(int fd, const char *name, void *value, size_t size)
{
	char path[NATIVE_PROC_PATH];
	ssize_t n;

	native_proc_path(fd, path);
	n = getxattr(path, name, value, size);
	return n < 0 ? -errno : n;
}

int64_t native_list_xattrs(int fd, char *names, size_t size)
{
	char path[NATIVE_PROC_PATH];
	ssize_t n;

	native_proc_path(fd, path);
	n = listxattr(path, names, size);
	return n < 0 ? -errno : n;
}

int native_set_xattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	char path[NATIVE_PROC_PATH];

	native_proc_path(fd, path);
	return RETRY(setxattr(path, name, value, size, flags)) < 0 ? -errno : 0;
}

int native_remove_xattr(int fd, const char *name)
{
	char path[NATIVE_PROC_PATH];

	native_proc_path(fd, path);
	return RETRY(removexattr(path, name)) < 0 ? -errno : 0;
}

int native_chmod(int fd, uint32_t mode)
{
	char path[NATIVE_PROC_PATH];

	native_proc_path(fd, path);
	return RETRY(chmod(path, mode & 07777)) < 0 ? -errno : 0;
}

struct native_identity native_identity_of(const struct native *fs, const struct statx *s)
{
	/* As the kernel has it in 32 bits; the exported directory's own may change between boots. */
	uint32_t device = s->stx_dev_major << 20 | s->stx_dev_minor;
	struct native_identity is = {.device = device == fs->root_device ? 0 : device, .ino = s->stx_ino};

	if (s->stx_mask & STATX_BTIME)
		is.born = (uint64_t)s->stx_btime.tv_sec * 1000000000u + s->stx_btime.tv_nsec;
	return is;
}

bool native_is(const struct native_inode *inode, const struct native *fs, const struct statx *s)
{
	struct native_identity is = native_identity_of(fs, s);

	return is.ino == inode->is.ino && is.device == inode->is.device && is.born == inode->is.born &&
	       (s->stx_mode & S_IFMT) == inode->type;
}
