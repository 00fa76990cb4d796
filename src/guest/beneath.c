/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

int beneath_open(int at, const char *path, int flags, mode_t mode, enum beneath how)
{
	static const uint64_t rules[] = {[BENEATH_ROOT] = RESOLVE_IN_ROOT,
		[BENEATH_ONLY] = RESOLVE_BENEATH,
		[BENEATH_FLAT] = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
		[BENEATH_MOUNT] = RESOLVE_IN_ROOT | RESOLVE_NO_XDEV};
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

int beneath_make(int at, const char *path)
{
	int there = beneath_open(at, path, O_PATH | O_DIRECTORY, 0, BENEATH_ROOT);
	_cleanup_fd_ int parent = -1;
	char part[PATH_MAX];
	size_t end = 0;

	if (there >= 0 || errno != ENOENT)
		return there;
	parent = beneath_open(at, "/", O_PATH | O_DIRECTORY, 0, BENEATH_ROOT);
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
		next = beneath_open(at, part, O_PATH | O_DIRECTORY, 0, BENEATH_ROOT);
		if (next < 0 && errno == ENOENT && mkdirat(parent, part + start, 0755) == 0)
			next = beneath_open(at, part, O_PATH | O_DIRECTORY, 0, BENEATH_ROOT);
		if (next < 0)
			return -1;
		close(parent);
		parent = next;
	}
	return -1;
}

int beneath_insist(int at, const char *name)
{
	for (int tries = 0; tries < 3; tries++) {
		int fd = beneath_open(at, name, O_PATH | O_DIRECTORY, 0, BENEATH_FLAT);

		if (fd >= 0)
			return fd;
		if (errno != ENOENT && unlinkat(at, name, 0) < 0 && errno != ENOENT)
			return -1;
		if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
			return -1;
	}
	errno = ELOOP;
	return -1;
}
