/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LINKS_MOST 40 /* as the kernel has it */

int beneath_open(int at, const char *path, int flags, mode_t mode, enum beneath how)
{
	static const uint64_t rules[] = {[BENEATH_ROOT] = RESOLVE_IN_ROOT,
		[BENEATH_ONLY] = RESOLVE_BENEATH,
		[BENEATH_FLAT] = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
		[BENEATH_MOUNT] = RESOLVE_IN_ROOT | RESOLVE_NO_XDEV,
		[BENEATH_KNOWN] = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_CACHED};
	struct open_how h = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.mode = flags & (O_CREAT | O_TMPFILE) & ~O_DIRECTORY ? mode : 0,
		.resolve = rules[how] | RESOLVE_NO_MAGICLINKS};

	/* EAGAIN: a rename elsewhere raced with "..", so the kernel could not be sure. */
	for (int tries = 0;; tries++) {
		int fd = (int)syscall(SYS_openat2, at, path, &h, sizeof h);

		if (fd >= 0 || (errno != EINTR && (errno != EAGAIN || tries == 16)))
			return fd;
	}
}

int beneath_make(int at, const char *path, enum beneath how, beneath_maker *make)
{
	int there = beneath_open(at, path, O_PATH | O_DIRECTORY, 0, how);
	_cleanup_fd_ int parent = -1;
	char part[PATH_MAX];
	size_t end = 0;

	if (there >= 0 || errno != ENOENT)
		return there;
	parent = beneath_open(at, ".", O_PATH | O_DIRECTORY, 0, how);
	while (parent >= 0) {
		size_t start = end + strspn(path + end, "/");
		size_t n = strcspn(path + start, "/");
		int next;

		if (!n)
			return TAKE_FD(parent);
		end = start + n;
		if (end >= sizeof part) {
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(part, path, end);
		part[end] = '\0';
		next = beneath_open(at, part, O_PATH | O_DIRECTORY, 0, how);
		if (next < 0 && errno == ENOENT && (make(parent, part + start, 0755) == 0 || errno == EEXIST))
			next = beneath_open(at, part, O_PATH | O_DIRECTORY, 0, how);
		if (next < 0)
			return -1;
		close(parent);
		parent = next;
	}
	return -1;
}

int beneath_insist(int at, const char *name, beneath_maker *make)
{
	for (int tries = 0; tries < 3; tries++) {
		int fd = beneath_open(at, name, O_PATH | O_DIRECTORY, 0, BENEATH_FLAT);

		if (fd >= 0)
			return fd;
		if (errno != ENOENT && unlinkat(at, name, 0) < 0 && errno != ENOENT)
			return -1;
		if (make(at, name, 0755) < 0 && errno != EEXIST)
			return -1;
	}
	errno = ELOOP;
	return -1;
}

/* Cuts `path` into what stands before its last name ("." where that is nothing) and the name. False, with
 * errno, where it ends in none, or in one that is too long. */
static bool split(char *path, const char **directory, char *leaf)
{
	char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t n = strlen(name);

	if (!n || !strcmp(name, ".") || !strcmp(name, "..")) {
		errno = EISDIR;
		return false;
	}
	if (n >= BENEATH_LEAF_SIZE) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(leaf, name, n + 1);
	*directory = slash == path ? "/" : slash ? path : ".";
	if (slash)
		*slash = '\0';
	return true;
}

/* Whether a link may be followed: not where it stands in a directory that all may write to and only owners
 * may remove from, and belongs to neither us nor the directory's owner. */
static bool may_follow(int parent, const struct stat *link)
{
	struct stat s;

	if (link->st_uid == geteuid() || fstat(parent, &s) < 0)
		return true;
	return (s.st_mode & (S_ISVTX | S_IWOTH)) != (S_ISVTX | S_IWOTH) || s.st_uid == link->st_uid;
}

/* Replaces `path` by what the link `leaf` of the directory `before` leads to. */
static bool follow_link(int parent, const char *before, const char *leaf, char *path)
{
	char target[PATH_MAX], joined[PATH_MAX];
	ssize_t n = readlinkat(parent, leaf, target, sizeof target - 1);
	int length;

	if (n <= 0)
		return false;
	target[n] = '\0';
	length = target[0] == '/' ? snprintf(joined, sizeof joined, "%s", target)
				  : snprintf(joined, sizeof joined, "%s/%s", before, target);
	if (length < 0 || (size_t)length >= sizeof joined) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(path, joined, (size_t)length + 1);
	return true;
}

int beneath_parent(int at, const char *path, bool follow, char *leaf)
{
	char now[PATH_MAX];
	const char *directory;

	if (strlen(path) >= sizeof now) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(now, path, strlen(path) + 1);
	for (int links = 0; links <= LINKS_MOST; links++) {
		_cleanup_fd_ int parent = -1;
		struct stat s;

		if (!split(now, &directory, leaf))
			return -1;
		parent = beneath_open(at, directory, O_PATH | O_DIRECTORY, 0, BENEATH_ROOT);
		if (parent < 0 || !follow || fstatat(parent, leaf, &s, AT_SYMLINK_NOFOLLOW) < 0 ||
			!S_ISLNK(s.st_mode))
			return TAKE_FD(parent);
		if (!may_follow(parent, &s)) {
			errno = EACCES;
			return -1;
		}
		if (!follow_link(parent, directory, leaf, now))
			return -1;
	}
	errno = ELOOP;
	return -1;
}
