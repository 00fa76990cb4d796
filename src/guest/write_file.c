/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/write_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

void write_file_drop(struct write_file *f)
{
	if (f->temporary[0])
		unlinkat(f->directory, f->temporary, 0);
	f->temporary[0] = '\0';
	if (f->fd >= 0)
		close(TAKE_FD(f->fd));
	if (f->directory >= 0)
		close(TAKE_FD(f->directory));
}

static int open_temporary(struct write_file *f, struct error *err)
{
	char name[REPLACE_NAME_SIZE];
	int r = replace_name(name, err);

	if (r < 0)
		return r;
	f->fd = openat(f->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (f->fd < 0)
		return error_errno(err, errno, "write '%s'", f->path);
	memcpy(f->temporary, name, sizeof name);
	return 0;
}

/* Without waiting for a fifo's reader; the writing waits then, as any writer does. */
static int open_in_place(struct write_file *f, struct error *err)
{
	f->fd = openat(f->directory, f->leaf, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (f->fd < 0 || fcntl(f->fd, F_SETFL, 0) < 0)
		return error_errno(err, errno, "write '%s'", f->path);
	return 0;
}

int write_file_begin(struct write_file *f, int root, const char *path, uint32_t mode, struct error *err)
{
	struct stat s;

	f->path = path;
	f->mode = mode;
	f->directory = beneath_parent(root, path, true, f->leaf);
	if (f->directory < 0)
		return error_errno(err, errno, "write '%s'", path);
	if (fstatat(f->directory, f->leaf, &s, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return error_errno(err, errno, "write '%s'", path);
		return open_temporary(f, err);
	}
	if (S_ISDIR(s.st_mode))
		return error_errno(err, EISDIR, "write '%s'", path);
	if (!S_ISREG(s.st_mode))
		return open_in_place(f, err);
	f->replaces = true;
	f->uid = s.st_uid;
	f->gid = s.st_gid;
	return open_temporary(f, err);
}

int write_file_add(struct write_file *f, const void *bytes, size_t n, struct error *err)
{
	const uint8_t *at = bytes;

	while (n) {
		ssize_t done = write(f->fd, at, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return error_errno(err, errno, "write '%s'", f->path);
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

int write_file_finish(struct write_file *f, struct error *err)
{
	int r = 0;

	if (f->temporary[0] &&
		((f->replaces && fchown(f->fd, f->uid, f->gid) < 0) || fchmod(f->fd, (mode_t)f->mode) < 0))
		return error_errno(err, errno, "set owner and mode of '%s'", f->path);
	if (close(TAKE_FD(f->fd)) < 0)
		return error_errno(err, errno, "write '%s'", f->path);
	if (f->temporary[0])
		r = replace_commit(f->directory, f->temporary, f->leaf, false, f->path, err);
	if (r == 0)
		f->temporary[0] = '\0';
	return r;
}
