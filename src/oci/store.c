/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "disk/erofs_reader.h"
#include "disk/ext4.h"
#include "os/fs.h"

#define NAME_BYTES 80

/* ---- open ------------------------------------------------------------------------------------------- */

bool store_same_file(int directory, const char *name, int fd)
{
	struct stat here, there;

	return fstat(fd, &here) == 0 && fstatat(directory, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

int store_each(int directory, int (*each)(void *context, const char *name, struct error *err), void *context,
	struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	int r = fs_list_open(directory, ".", &list, err);

	for (const char *name; r == 0 && (name = fs_list_next(list));)
		if (name[0] != '.')
			r = each(context, name, err);
	return r;
}

static int sweep_file(void *context, const char *name, struct error *err)
{
	const int *directory = context;
	_cleanup_fd_ int fd = openat(*directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	(void)err;
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && store_same_file(*directory, name, fd))
		unlinkat(*directory, name, 0);
	return 0;
}

/* Removes what dead processes left. What cannot be removed now is tried again the next time. */
static void sweep(int directory)
{
	store_each(directory, sweep_file, &directory, NULL);
}

/* The directory `name` in the store, made with what is above it where it is missing. */
static int open_part(const struct store *s, const char *name, struct error *err)
{
	_cleanup_free_ char *path = text_format(err, "%s/%s", s->path, name);
	int fd, r;

	if (!path)
		return -ERROR_NO_MEMORY;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	r = fs_make_directories(AT_FDCWD, path, 0700, err);
	return r < 0 ? r : fs_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
}

int store_open(const char *home, struct store **out, struct error *err)
{
	struct store *s = calloc(1, sizeof *s);
	int r = 0;

	if (!s)
		return error_no_memory(err, "store");
	s->roots = s->temporary = s->blobs = s->partial = -1;
	s->path = text_format(err, "%s/store", home);
	s->database = text_format(err, "%s/monocore.db", home);
	s->home = text_copy(home, err);
	if (!s->path || !s->database || !s->home)
		r = -ERROR_NO_MEMORY;
	if (r == 0)
		r = s->roots = open_part(s, "rootfs", err);
	if (r >= 0)
		r = s->temporary = open_part(s, "tmp", err);
	if (r >= 0)
		r = s->blobs = open_part(s, "blobs/sha256", err);
	if (r >= 0)
		r = s->partial = open_part(s, "partial", err);
	if (r < 0) {
		store_free(s);
		return error_prefix(err, "open the store in %s", home);
	}
	sweep(s->temporary);
	*out = s;
	return 0;
}

void store_sweep(const char *home)
{
	_cleanup_free_ char *path = text_format(NULL, "%s/store/tmp", home);
	_cleanup_fd_ int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0)
		sweep(fd);
}

void store_free(struct store *s)
{
	if (!s)
		return;
	int directories[] = {s->roots, s->temporary, s->blobs, s->partial};

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
		if (directories[i] >= 0)
			close(directories[i]);
	db_close(s->db);
	free(s->path);
	free(s->database);
	free(s->home);
	free(s);
}

/* ---- find ------------------------------------------------------------------------------------------- */

int store_lock_shared(int fd, struct error *err)
{
	while (flock(fd, LOCK_SH) < 0)
		if (errno != EINTR)
			return error_errno(err, errno, "lock a file of the store");
	return 0;
}

static void root_name(const char *id, const char *form, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "%s.%s", id, strcmp(form, "erofs") ? form : "img");
}

static int check_root(int fd, const char *form, uint64_t *size, struct error *err)
{
	struct erofs_reader reader;
	int r;

	if (!strcmp(form, "ext4"))
		return ext4_check(fd, size, err);
	r = erofs_reader_open(fd, &reader, err);
	*size = r < 0 ? 0 : reader.size;
	return r;
}

int store_find(
	const struct store *s, const char *id, const char *form, int *out, uint64_t *size, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	char name[NAME_BYTES];
	int r;

	root_name(id, form, name);
	fd = openat(s->roots, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "open %s/rootfs/%s", s->path, name);
	r = store_lock_shared(fd, err);
	if (r < 0)
		return r;
	if (!store_same_file(s->roots, name, fd))
		return error_set(err, ERROR_NOT_FOUND, "%s/rootfs/%s: it was removed this moment: try again",
			s->path, name);
	r = check_root(fd, form, size, err);
	if (r < 0)
		return error_prefix(err, "%s/rootfs/%s", s->path, name);
	*out = TAKE_FD(fd);
	return 0;
}

/* ---- make ------------------------------------------------------------------------------------------- */

/* Made read-only last: what still has its temporary name must be able to be opened for writing, by another
 * process that waits for it and by the next one after a crash. */
static int publish(const struct store *s, const char *temporary, const char *name, int fd, struct error *err)
{
	if (fsync(fd) < 0)
		return error_errno(err, errno, "sync %s/rootfs/%s", s->path, name);
	if (renameat(s->temporary, temporary, s->roots, name) < 0 || fchmod(fd, 0400) < 0 ||
		fsync(s->roots) < 0)
		return error_errno(err, errno, "make %s/rootfs/%s", s->path, name);
	return 0;
}

/* Says so where another process is at it, which may take minutes. */
static int lock_temporary(
	const struct store *s, const char *name, const struct progress *progress, int *fd, struct error *err)
{
	struct progress_event waiting = {
		.task = "wait for another process that makes this image", .unit = "steps"};
	int r = fs_lock(s->temporary, name, FS_LOCK_EXCLUSIVE, false, fd, err);

	if (r != -ERROR_BUSY)
		return r;
	progress_report(progress, &waiting);
	r = fs_lock(s->temporary, name, FS_LOCK_EXCLUSIVE, true, fd, err);
	waiting.finished = true;
	progress_report(progress, &waiting);
	return r;
}

int store_make(const struct store *s, const char *id, const char *form, store_make_call make, void *context,
	const struct progress *progress, int *out, uint64_t *size, struct error *err)
{
	char temporary[NAME_BYTES], name[NAME_BYTES];
	_cleanup_fd_ int fd = -1;
	int r;

	root_name(id, form, name);
	snprintf(temporary, sizeof temporary, "%s.%s", id, form);
	r = lock_temporary(s, temporary, progress, &fd, err);
	if (r < 0)
		return r;
	r = store_find(s, id, form, out, size, NULL);
	if (r == 0) {
		unlinkat(s->temporary, temporary, 0); /* ours: another process was faster */
		return 0;
	}
	if (ftruncate(fd, 0) < 0)
		r = error_errno(err, errno, "make %s/tmp/%s", s->path, temporary);
	else
		r = make(context, fd, s->temporary, err);
	if (r == 0)
		r = publish(s, temporary, name, fd, err);
	if (r < 0) {
		unlinkat(s->temporary, temporary, 0);
		return r;
	}
	close(TAKE_FD(fd)); /* lets go of the exclusive lock */
	return store_find(s, id, form, out, size, err);
}
