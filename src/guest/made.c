/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mark is an attribute whose value is the mode and the owner that the object had then; that of a directory
 * around something has its time, too, which may be any.
 */
#include "guest/made.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define VALUE_SIZE 96
#define NAMES_SIZE 1024 /* bytes of names of attributes: whoever set more has touched it */

static size_t mark_of(const char *name, const struct stat *s, char value[VALUE_SIZE])
{
	int n = snprintf(value, VALUE_SIZE, "%o %u %u", s->st_mode & 07777, s->st_uid, s->st_gid);

	if (!strcmp(name, MADE_AROUND))
		n += snprintf(value + n, VALUE_SIZE - (size_t)n, " %lld.%09ld", (long long)s->st_mtim.tv_sec,
			s->st_mtim.tv_nsec);
	return (size_t)n;
}

/* A file system without such attributes just keeps no mark. */
static void mark(int fd, const char *name)
{
	char value[VALUE_SIZE];
	struct stat s;

	if (fd >= 0 && fstat(fd, &s) == 0)
		fsetxattr(fd, name, value, mark_of(name, &s, value), 0);
}

void made_mark(int fd)
{
	mark(fd, MADE_ATTRIBUTE);
}

static void keep_around(int at, const struct stat *before, bool first)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, before->st_mtim};
	_cleanup_fd_ int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	utimensat(at, ".", times, 0);
	if (first)
		mark(fd, MADE_AROUND);
}

static int make(int at, const char *name, mode_t mode, bool first)
{
	_cleanup_fd_ int fd = -1;
	struct stat before;

	if (fstatat(at, ".", &before, 0) < 0 || mkdirat(at, name, mode) < 0)
		return -1;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	mark(fd, MADE_ATTRIBUTE);
	keep_around(at, &before, first);
	return 0;
}

int made_directory_first(int at, const char *name, mode_t mode)
{
	return make(at, name, mode, true);
}

int made_directory(int at, const char *name, mode_t mode)
{
	return make(at, name, mode, false);
}

bool made_file(int at, const char *name, bool first)
{
	_cleanup_fd_ int fd = -1;
	struct stat before;

	if (fstatat(at, ".", &before, 0) < 0)
		return false;
	if (unlinkat(at, name, 0) < 0 && (errno == EISDIR || errno == EPERM))
		unlinkat(at, name, AT_REMOVEDIR);
	fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	mark(fd, MADE_ATTRIBUTE);
	keep_around(at, &before, first);
	return fd >= 0;
}

/* Whether all its attributes are marks and the overlay's. */
static bool has_no_others(int fd)
{
	char names[NAMES_SIZE + 1];
	ssize_t n = flistxattr(fd, names, NAMES_SIZE);

	if (n < 0)
		return false;
	names[n] = '\0';
	for (const char *name = names; name < names + n; name += strlen(name) + 1)
		if (strcmp(name, MADE_ATTRIBUTE) && strcmp(name, MADE_AROUND) &&
			!text_starts(name, "trusted.overlay."))
			return false;
	return true;
}

static bool has_mark(int fd, const char *name, const struct stat *s)
{
	char value[VALUE_SIZE], now[VALUE_SIZE];
	ssize_t n = fgetxattr(fd, name, value, sizeof value);

	return n > 0 && (size_t)n == mark_of(name, s, now) && !memcmp(value, now, (size_t)n);
}

bool made_is_untouched(int fd, const struct stat *s)
{
	if (S_ISREG(s->st_mode) && s->st_size)
		return false;
	return (has_mark(fd, MADE_ATTRIBUTE, s) || (S_ISDIR(s->st_mode) && has_mark(fd, MADE_AROUND, s))) &&
	       has_no_others(fd);
}
