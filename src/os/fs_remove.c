/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees go that others have made, guests among them: as deep as they like. Descriptors and stack stay
 * bounded: a directory that lies too deep is renamed into the uppermost one, and is removed from there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/fs.h"

#define DEPTH_MAX 32 /* directories that are open at once */

struct removal {
	int top;        /* the uppermost directory */
	uint64_t moved; /* names that were tried there */
};

static int remove_entry(struct removal *r, int parent, const char *name, unsigned depth, struct error *err);

static int open_directory(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
		fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && faccessat(fd, ".", W_OK | X_OK, 0) < 0)
		fchmod(fd, 0700);
	return fd;
}

/* Takes fd. */
static int remove_children(struct removal *r, int fd, const char *name, unsigned depth, struct error *err)
{
	DIR *directory = fdopendir(fd);
	struct dirent *entry;
	int result = 0;

	if (!directory) {
		close(fd);
		return error_errno(err, ENOMEM, "read %s", name);
	}
	while (result == 0 && (entry = readdir(directory)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			result = remove_entry(r, fd, entry->d_name, depth, err);
	closedir(directory);
	return result;
}

/* To a name that is free there, or an empty directory's, which it replaces. */
static int move_up(struct removal *r, int parent, const char *name, struct error *err)
{
	char fresh[32];

	do {
		snprintf(fresh, sizeof fresh, "%llu", (unsigned long long)r->moved++);
		if (renameat(parent, name, r->top, fresh) == 0)
			return 0;
		if (errno == EACCES && fchmodat(parent, name, 0700, 0) == 0 &&
			renameat(parent, name, r->top, fresh) == 0)
			return 0;
	} while (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR);
	return error_errno(err, errno, "move %s out of what lies above it", name);
}

static int remove_directory(
	struct removal *r, int parent, const char *name, unsigned depth, struct error *err)
{
	int fd, result;

	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (depth == DEPTH_MAX)
		return move_up(r, parent, name, err);
	fd = open_directory(parent, name);
	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, errno, "open %s", name);
	result = remove_children(r, fd, name, depth + 1, err);
	if (result < 0)
		return error_prefix(err, "remove %s", name);
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return error_errno(err, errno, "remove %s", name);
	return 0;
}

static int remove_entry(struct removal *r, int parent, const char *name, unsigned depth, struct error *err)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return error_errno(err, errno, "remove %s", name);
	return remove_directory(r, parent, name, depth, err);
}

/* Again, as long as it got something from below. */
static int remove_top(int dirfd, const char *name, struct error *err)
{
	_cleanup_fd_ int top = open_directory(dirfd, name);
	struct removal r = {.top = top};
	uint64_t before;

	if (top < 0)
		return errno == ENOENT ? 0 : error_errno(err, errno, "open %s", name);
	do {
		int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		int result;

		before = r.moved;
		if (fd < 0)
			return error_errno(err, errno, "open %s", name);
		result = remove_children(&r, fd, name, 1, err);
		if (result < 0)
			return error_prefix(err, "remove %s", name);
		if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
	} while ((errno == ENOTEMPTY || errno == EEXIST) && r.moved != before);
	return error_errno(err, errno, "remove %s", name);
}

int fs_remove_tree(int dirfd, const char *name, struct error *err)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return error_errno(err, errno, "remove %s", name);
	return remove_top(dirfd, name, err);
}
