/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/replace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "base/cleanup.h"

#define DEPTH_MOST 2048 /* of a tree that is removed: each level holds a descriptor */
#define COPY_PIECE (1 << 20)

CLEANUP_DEFINE(directory_stream, DIR, closedir);

int replace_name(char *name, struct error *err)
{
	uint64_t random[2];

	if (getrandom(random, sizeof random, 0) != sizeof random)
		return error_errno(err, errno, "make a temporary name");
	snprintf(name, REPLACE_NAME_SIZE, ".mc-%016" PRIx64 "%016" PRIx64, random[0], random[1]);
	return 0;
}

static int remove_level(int directory, const char *name, int depth);

static int remove_below(int fd, int depth)
{
	_cleanup_(cleanup_directory_stream) DIR *stream = fdopendir(fd);
	struct dirent *d;

	if (!stream) {
		close(fd);
		return -1;
	}
	while (errno = 0, (d = readdir(stream)))
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 &&
			remove_level(dirfd(stream), d->d_name, depth + 1) < 0)
			return -1;
	return errno ? -1 : 0;
}

/* -1 with errno. A directory that gains entries meanwhile is tried a few times. */
static int remove_level(int directory, const char *name, int depth)
{
	if (unlinkat(directory, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	for (int tries = 0; tries < 4; tries++) {
		int fd;

		if (unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != ENOTEMPTY && errno != EEXIST)
			return -1;
		if (depth >= DEPTH_MOST) {
			errno = ELOOP;
			return -1;
		}
		fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || remove_below(fd, depth) < 0)
			return -1;
	}
	errno = EBUSY;
	return -1;
}

int replace_remove(int directory, const char *name, const char *shown, struct error *err)
{
	if (remove_level(directory, name, 0) < 0)
		return error_errno(err, errno, "remove '%s'", shown);
	return 0;
}

static bool is_regular(int directory, const char *name)
{
	struct stat s;

	return fstatat(directory, name, &s, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(s.st_mode);
}

static int write_in_place(
	int directory, const char *temporary, const char *leaf, const char *shown, struct error *err)
{
	_cleanup_fd_ int from = -1, to = -1;
	ssize_t n = 0;

	if (!is_regular(directory, temporary) || !is_regular(directory, leaf))
		return error_set(err, ERROR_BUSY, "replace '%s': something is mounted there", shown);
	from = openat(directory, temporary, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	to = openat(directory, leaf, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (from < 0 || to < 0 || ftruncate(to, 0) < 0)
		return error_errno(err, errno, "write '%s'", shown);
	do
		n = sendfile(to, from, NULL, COPY_PIECE);
	while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		return error_errno(err, errno, "write '%s'", shown);
	if (unlinkat(directory, temporary, 0) < 0)
		return error_errno(err, errno, "write '%s'", shown);
	return 0;
}

int replace_commit(int directory, const char *temporary, const char *leaf, bool trees, const char *shown,
	struct error *err)
{
	int r;

	if (renameat(directory, temporary, directory, leaf) == 0) {
		/* Two names of one file: the rename has done nothing (POSIX). */
		unlinkat(directory, temporary, 0);
		return 0;
	}
	if (errno == EBUSY)
		return write_in_place(directory, temporary, leaf, shown, err);
	if (errno != EISDIR)
		return error_errno(err, errno, "write '%s'", shown);
	if (!trees)
		return error_set(err, ERROR_EXISTS,
			"'%s' is a directory in the sandbox, and what was sent for it is none", shown);
	r = replace_remove(directory, leaf, shown, err);
	if (r == 0 && renameat(directory, temporary, directory, leaf) < 0)
		return error_errno(err, errno, "write '%s'", shown);
	return r;
}
