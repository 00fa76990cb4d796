/* SPDX-License-Identifier: Apache-2.0 */
#include "project/rewrite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "os/fs.h"

#define LOCK_LIMIT (10 * NANOSECONDS_PER_SECOND)

void rewrite_close(struct rewrite *w)
{
	buffer_free(&w->bytes);
	free(w->path);
	free(w->name);
	cleanup_fd(&w->directory);
	w->path = w->name = NULL;
	w->directory = -1;
}

static int open_directory(const char *path, struct rewrite *w, struct error *err)
{
	char *slash;

	w->path = realpath(path, NULL);
	if (!w->path)
		return error_errno(err, errno, "open %s", path);
	slash = strrchr(w->path, '/');
	w->name = text_copy(slash + 1, err);
	if (!w->name)
		return -ERROR_NO_MEMORY;
	*slash = 0;
	w->directory = fs_open(AT_FDCWD, slash == w->path ? "/" : w->path, O_RDONLY | O_DIRECTORY, 0, err);
	*slash = '/';
	return w->directory < 0 ? w->directory : 0;
}

static int lock(const struct rewrite *w, struct error *err)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	uint64_t deadline = clock_monotonic() + LOCK_LIMIT;

	while (flock(w->directory, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_errno(err, errno, "lock the directory of %s", w->path);
		if (clock_monotonic() > deadline)
			return error_set(err, ERROR_BUSY, "%s: another command has been changing it for long",
				w->path);
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int read_seen(const struct rewrite *w, const char *name, struct buffer *bytes, struct stat *s,
	size_t limit, struct error *err)
{
	_cleanup_fd_ int fd =
		fs_open(w->directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0, err);

	if (fd < 0)
		return fd;
	if (fstat(fd, s) < 0)
		return error_errno(err, errno, "examine %s", w->path);
	if (!S_ISREG(s->st_mode))
		return error_set(err, ERROR_INVALID, "%s is no regular file", w->path);
	return fs_read_fd(fd, w->path, limit, bytes, err);
}

int rewrite_open(const char *path, size_t limit, struct rewrite *w, struct error *err)
{
	int r;

	*w = (struct rewrite){.directory = -1};
	r = open_directory(path, w, err);
	if (r == 0)
		r = lock(w, err);
	return r == 0 ? read_seen(w, w->name, &w->bytes, &w->seen, limit, err) : r;
}

static int set_owner(const struct rewrite *w, int fd, struct error *err)
{
	struct stat s;

	if (fstat(fd, &s) < 0)
		return error_errno(err, errno, "examine a file beside %s", w->path);
	if (s.st_uid != w->seen.st_uid && fchown(fd, w->seen.st_uid, (gid_t)-1) < 0)
		return error_errno(err, errno, "%s belongs to user %u: give its new form to him", w->path,
			(unsigned)w->seen.st_uid);
	/* A group that the user is not in cannot be given; then it has no more than all others have. */
	if (s.st_gid != w->seen.st_gid && fchown(fd, (uid_t)-1, w->seen.st_gid) < 0)
		return fchmod(fd, (w->seen.st_mode & 0700) | (w->seen.st_mode & 07) |
					  (w->seen.st_mode & 07) << 3) < 0
			       ? error_errno(err, errno, "set the mode of %s", w->path)
			       : 0;
	return fchmod(fd, w->seen.st_mode & 07777) < 0
		       ? error_errno(err, errno, "set the mode of %s", w->path)
		       : 0;
}

static int write_beside(
	const struct rewrite *w, const char *name, const void *bytes, size_t n, struct error *err)
{
	_cleanup_fd_ int fd =
		fs_open(w->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, err);
	int r = fd < 0 ? fd : fs_write_all(fd, bytes, n, w->path, err);

	if (r == 0)
		r = set_owner(w, fd, err);
	if (r == 0 && fsync(fd) < 0)
		r = error_errno(err, errno, "sync %s", w->path);
	return r;
}

static bool is_as_read(const struct rewrite *w, const char *name)
{
	_cleanup_buffer_ struct buffer now = {0};
	struct stat s;

	return read_seen(w, name, &now, &s, w->bytes.size, NULL) == 0 && s.st_ino == w->seen.st_ino &&
	       s.st_dev == w->seen.st_dev && buffer_equal(&now, &w->bytes);
}

static int busy(const struct rewrite *w, struct error *err)
{
	return error_set(err, ERROR_BUSY,
		"%s was changed by somebody else meanwhile, and is left as it is now: "
		"try again",
		w->path);
}

/* Both change places, so that what is taken away can be looked at, and put back. */
static int exchange(const struct rewrite *w, const char *name, struct error *err)
{
	if (renameat2(w->directory, name, w->directory, w->name, RENAME_EXCHANGE) == 0) {
		if (is_as_read(w, name))
			return 0;
		if (renameat2(w->directory, name, w->directory, w->name, RENAME_EXCHANGE) < 0)
			return error_errno(err, errno, "put back %s, which is %s now", w->path, name);
		return busy(w, err);
	}
	if (errno != EINVAL && errno != ENOSYS)
		return error_errno(err, errno, "replace %s", w->path);
	if (!is_as_read(w, w->name))
		return busy(w, err);
	return renameat(w->directory, name, w->directory, w->name) < 0
		       ? error_errno(err, errno, "replace %s", w->path)
		       : 0;
}

int rewrite_commit(struct rewrite *w, const void *bytes, size_t n, struct error *err)
{
	_cleanup_free_ char *name = NULL;
	uint64_t random;
	int r;

	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return error_errno(err, errno, "get random bytes");
	name = text_format(err, ".%s.%016llx.tmp", w->name, (unsigned long long)random);
	if (!name)
		return -ERROR_NO_MEMORY;
	if (!is_as_read(w, w->name))
		return busy(w, err);
	r = write_beside(w, name, bytes, n, err);
	if (r == 0)
		r = exchange(w, name, err);
	if (r == 0 || r == -ERROR_BUSY || is_as_read(w, w->name))
		unlinkat(w->directory, name, 0);
	if (r == 0 && fsync(w->directory) < 0)
		r = error_errno(err, errno, "sync the directory of %s", w->path);
	return r;
}
