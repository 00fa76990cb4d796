/* SPDX-License-Identifier: Apache-2.0 */
#include "os/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

int fs_open(int dirfd, const char *path, int flags, mode_t mode, struct error *err)
{
	int fd;

	do
		fd = openat(dirfd, path, flags | O_CLOEXEC, mode);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? error_errno(err, errno, "open %s", path) : fd;
}

int fs_lies_in(int fd, const struct stat *above, struct error *err)
{
	_cleanup_fd_ int at = openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat s, below = {0};

	for (;;) {
		int parent;

		if (at < 0 || fstat(at, &s) < 0)
			return error_errno(err, errno, "look at what is above it");
		if (s.st_dev == above->st_dev && s.st_ino == above->st_ino)
			return 1;
		if (s.st_dev == below.st_dev && s.st_ino == below.st_ino) /* the root */
			return 0;
		below = s;
		parent = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (parent < 0)
			return error_errno(err, errno, "look at what is above it");
		close(at);
		at = parent;
	}
}

int fs_list_open(int dirfd, const char *path, DIR **list, struct error *err)
{
	int fd = fs_open(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);

	*list = fd < 0 ? NULL : fdopendir(fd);
	if (fd >= 0 && !*list) {
		close(fd);
		return error_no_memory(err, "list a directory");
	}
	return fd < 0 ? fd : 0;
}

const char *fs_list_next(DIR *list)
{
	const struct dirent *entry;

	while (list && (entry = readdir(list)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			return entry->d_name;
	return NULL;
}

int fs_open_beneath(int dirfd, const char *path, int flags, mode_t mode, struct error *err)
{
	struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.mode = flags & (O_CREAT | O_TMPFILE) ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	long fd;

	do
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof how);
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? error_errno(err, errno, "open %s", path) : (int)fd;
}

int fs_path_of(int fd, char **path, struct error *err)
{
	char link[64], target[PATH_MAX];
	struct stat here, there;
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof target);
	if (n < 0)
		return error_errno(err, errno, "find the path of descriptor %d", fd);
	if ((size_t)n == sizeof target)
		return error_set(err, ERROR_LIMIT, "find the path of descriptor %d: it is too long", fd);
	target[n] = 0;
	if (fstat(fd, &here) < 0 || lstat(target, &there) < 0 || here.st_dev != there.st_dev ||
		here.st_ino != there.st_ino)
		return error_set(err, ERROR_NOT_FOUND, "%s is not there any more", target);
	*path = text_copy(target, err);
	return *path ? 0 : -ERROR_NO_MEMORY;
}

int fs_make_directories(int dirfd, const char *path, mode_t mode, struct error *err)
{
	_cleanup_free_ char *part = text_copy(path, err);

	if (!part)
		return -ERROR_NO_MEMORY;
	for (char *slash = part + strspn(part, "/"); slash;) {
		slash = strchr(slash, '/');
		if (slash)
			*slash = 0;
		if (*part && mkdirat(dirfd, part, mode) < 0 && errno != EEXIST)
			return error_errno(err, errno, "make directory %s", part);
		if (slash) {
			*slash++ = '/';
			slash += strspn(slash, "/");
			if (!*slash)
				break;
		}
	}
	return 0;
}

int fs_read_fd(int fd, const char *name, size_t limit, struct buffer *out, struct error *err)
{
	size_t start = out->size;

	for (;;) {
		ssize_t n;

		if (!buffer_reserve(out, 65536))
			return error_no_memory(err, name);
		n = read(fd, out->data + out->size, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "read %s", name);
		if (n == 0)
			return 0;
		out->size += (size_t)n;
		if (out->size - start > limit)
			return error_set(err, ERROR_LIMIT, "read %s: over %zu bytes", name, limit);
	}
}

int fs_read_file(int dirfd, const char *path, size_t limit, struct buffer *out, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(dirfd, path, O_RDONLY | O_NOCTTY, 0, err);

	return fd < 0 ? fd : fs_read_fd(fd, path, limit, out, err);
}

int fs_read_regular(int dirfd, const char *path, size_t limit, struct buffer *out, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(dirfd, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0, err);
	struct stat s;

	if (fd < 0)
		return fd;
	if (fstat(fd, &s) < 0)
		return error_errno(err, errno, "look at %s", path);
	if (!S_ISREG(s.st_mode))
		return error_set(err, ERROR_CORRUPT, "%s is no file", path);
	return fs_read_fd(fd, path, limit, out, err);
}

int fs_write_all(int fd, const void *data, size_t n, const char *name, struct error *err)
{
	for (size_t done = 0; done < n;) {
		ssize_t wrote = write(fd, (const char *)data + done, n - done);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return error_errno(err, errno, "write %s", name);
		done += (size_t)wrote;
	}
	return 0;
}

static int sync_and_rename(int dirfd, int fd, const char *temporary, const char *name, struct error *err)
{
	_cleanup_fd_ int directory = -1;

	if (fsync(fd) < 0)
		return error_errno(err, errno, "sync %s", name);
	if (renameat(dirfd, temporary, dirfd, name) < 0)
		return error_errno(err, errno, "rename %s to %s", temporary, name);
	directory = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 || fsync(directory) < 0)
		return error_errno(err, errno, "sync the directory of %s", name);
	return 0;
}

int fs_write_atomic(int dirfd, const char *name, const void *data, size_t n, mode_t mode, struct error *err)
{
	uint64_t random = 0;
	_cleanup_free_ char *temporary = NULL;
	_cleanup_fd_ int fd = -1;
	int r;

	if (getrandom(&random, sizeof random, 0) < 0)
		return error_errno(err, errno, "get random bytes");
	temporary = text_format(err, ".%s.%016llx.tmp", name, (unsigned long long)random);
	if (!temporary)
		return -ERROR_NO_MEMORY;
	fd = fs_open(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL, mode, err);
	if (fd < 0)
		return fd;
	r = fs_write_all(fd, data, n, name, err);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = error_errno(err, errno, "set the mode of %s", name);
	if (r == 0)
		r = sync_and_rename(dirfd, fd, temporary, name, err);
	if (r < 0)
		unlinkat(dirfd, temporary, 0);
	return r;
}

static bool names_file(int dirfd, const char *name, int fd)
{
	struct stat there, here;

	return fstatat(dirfd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &here) == 0 &&
	       there.st_dev == here.st_dev && there.st_ino == here.st_ino;
}

int fs_lock(int dirfd, const char *name, enum fs_lock_mode mode, bool wait, int *out, struct error *err)
{
	int operation = (mode == FS_LOCK_SHARED ? LOCK_SH : LOCK_EX) | (wait ? 0 : LOCK_NB);

	for (;;) {
		_cleanup_fd_ int fd = fs_open(dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, err);

		if (fd < 0)
			return fd;
		while (flock(fd, operation) < 0)
			if (errno == EWOULDBLOCK)
				return error_set(err, ERROR_BUSY, "lock %s: another process holds it", name);
			else if (errno != EINTR)
				return error_errno(err, errno, "lock %s", name);
		if (names_file(dirfd, name, fd)) {
			*out = TAKE_FD(fd);
			return 0;
		}
	}
}

bool fs_is_locked(int dirfd, const char *name)
{
	_cleanup_fd_ int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

int fs_space(int fd, uint64_t *free_bytes, uint64_t *total_bytes, struct error *err)
{
	struct statvfs s;

	if (fstatvfs(fd, &s) < 0)
		return error_errno(err, errno, "ask for free disk space");
	*free_bytes = (uint64_t)s.f_bavail * s.f_frsize;
	*total_bytes = (uint64_t)s.f_blocks * s.f_frsize;
	return 0;
}
