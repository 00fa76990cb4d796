/* SPDX-License-Identifier: Apache-2.0 */
/* The mark is an attribute whose value is the mode and the owner that the object had when it was made. */
#include "guest/made.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define VALUE_SIZE 64
#define NAMES_SIZE 1024 /* bytes of names of attributes: whoever set more has touched it */

static size_t mark_of(const struct stat *s, char value[VALUE_SIZE])
{
	return (size_t)snprintf(value, VALUE_SIZE, "%o %u %u", s->st_mode & 07777, s->st_uid, s->st_gid);
}

/* A file system without such attributes just keeps no mark. */
static void mark(int fd)
{
	char value[VALUE_SIZE];
	struct stat s;

	if (fd >= 0 && fstat(fd, &s) == 0)
		fsetxattr(fd, MADE_ATTRIBUTE, value, mark_of(&s, value), 0);
}

static void keep_time(int at, const struct stat *before)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, before->st_mtim};

	utimensat(at, ".", times, 0);
}

int made_directory(int at, const char *name, mode_t mode)
{
	_cleanup_fd_ int fd = -1;
	struct stat before;

	if (fstatat(at, ".", &before, 0) < 0 || mkdirat(at, name, mode) < 0)
		return -1;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	mark(fd);
	keep_time(at, &before);
	return 0;
}

bool made_file(int at, const char *name)
{
	_cleanup_fd_ int fd = -1;
	struct stat before;

	if (fstatat(at, ".", &before, 0) < 0)
		return false;
	if (unlinkat(at, name, 0) < 0 && (errno == EISDIR || errno == EPERM))
		unlinkat(at, name, AT_REMOVEDIR);
	fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	mark(fd);
	keep_time(at, &before);
	return fd >= 0;
}

/* Whether all its attributes are the mark and the overlay's. */
static bool has_no_others(int fd)
{
	char names[NAMES_SIZE + 1];
	ssize_t n = flistxattr(fd, names, NAMES_SIZE);

	if (n < 0)
		return false;
	names[n] = '\0';
	for (const char *name = names; name < names + n; name += strlen(name) + 1)
		if (strcmp(name, MADE_ATTRIBUTE) && !text_starts(name, "trusted.overlay."))
			return false;
	return true;
}

bool made_is_untouched(int fd, const struct stat *s)
{
	char value[VALUE_SIZE], now[VALUE_SIZE];
	ssize_t n = fgetxattr(fd, MADE_ATTRIBUTE, value, sizeof value);

	return n > 0 && (size_t)n == mark_of(s, now) && !memcmp(value, now, (size_t)n) &&
	       (!S_ISREG(s->st_mode) || s->st_size == 0) && has_no_others(fd);
}
