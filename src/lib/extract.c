/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "codec/tar.h"
#include "lib/extract_path.h"

/* A directory that was made and is being filled: it stays writable for us until nothing more goes into it. */
struct filling {
	char *path;
	uint32_t mode;
	struct timespec modified;
};

struct extraction {
	struct extract_options options;
	struct tar_reader *reader;
	struct path_map map;
	bool started;
	struct buffer path; /* of the entry at hand, from `directory` on */
	char *parent_path;  /* of `parent`, the directory that was written to last */
	int parent;
	struct filling *fillings; /* each within the one before */
	size_t filling_count, filling_room;
	char temporary[40]; /* what a file is called until it is complete; no guest can guess it */
	int file;           /* the one that is being written, or -1 */
	uint64_t devices;
};

int extraction_new(const struct extract_options *options, struct extraction **out, struct error *err)
{
	struct extraction *x = calloc(1, sizeof *x);
	uint64_t random[2];

	*out = NULL;
	if (!x)
		return error_no_memory(err, "unpack");
	x->options = *options;
	x->parent = x->file = -1;
	x->reader = tar_reader_new(NULL, err);
	if (!x->reader || getrandom(random, sizeof random, 0) != sizeof random) {
		extraction_free(x);
		return error_set(err, ERROR_SYSTEM, "unpack: no memory, or no random bytes");
	}
	snprintf(x->temporary, sizeof x->temporary, ".mc-%016" PRIx64 "%016" PRIx64, random[0], random[1]);
	*out = x;
	return 0;
}

static void drop_file(struct extraction *x)
{
	if (x->file < 0)
		return;
	unlinkat(x->parent, x->temporary, 0);
	close(TAKE_FD(x->file));
}

void extraction_free(struct extraction *x)
{
	if (!x)
		return;
	drop_file(x);
	for (size_t i = 0; i < x->filling_count; i++)
		free(x->fillings[i].path);
	free(x->fillings);
	if (x->parent >= 0)
		close(x->parent);
	free(x->parent_path);
	buffer_free(&x->path);
	path_map_free(&x->map);
	tar_reader_free(x->reader);
	free(x);
}

static const char *entry_path(const struct extraction *x)
{
	return (const char *)x->path.data;
}

static struct timespec entry_time(const struct tar_entry *e)
{
	return (struct timespec){.tv_sec = (time_t)e->mtime, .tv_nsec = e->mtime_nanoseconds};
}

/* Gives the innermost directory its time and its permissions: within the umask, which making it has told. */
static int finish_directory(struct extraction *x, struct error *err)
{
	const struct filling *top = &x->fillings[x->filling_count - 1];
	const struct timespec times[2] = {top->modified, top->modified};
	_cleanup_fd_ int fd = path_open_readable(x->options.directory, top->path, err);
	struct stat s;

	if (fd < 0)
		return fd;
	if (futimens(fd, times) < 0 || fstat(fd, &s) < 0 || fchmod(fd, s.st_mode & (top->mode | 07077)) < 0)
		return error_errno(err, errno, "set time and permissions of '%s'", top->path);
	free(x->fillings[--x->filling_count].path);
	return 0;
}

/* Finishes the directories that `path` does not lie in; NULL: all. */
static int leave_directories(struct extraction *x, const char *path, struct error *err)
{
	while (x->filling_count) {
		const char *top = x->fillings[x->filling_count - 1].path;
		size_t n = strlen(top);
		int r;

		if (path && !strncmp(path, top, n) && path[n] == '/')
			return 0;
		r = finish_directory(x, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int enter_directory(struct extraction *x, const struct tar_entry *e, struct error *err)
{
	struct filling *f;

	if (x->filling_count == x->filling_room) {
		size_t room = x->filling_room ? 2 * x->filling_room : 16;

		f = reallocarray(x->fillings, room, sizeof *f);
		if (!f)
			return error_no_memory(err, "unpack");
		x->fillings = f;
		x->filling_room = room;
	}
	f = &x->fillings[x->filling_count];
	*f = (struct filling){
		.path = text_copy(entry_path(x), err), .mode = e->mode & 0777, .modified = entry_time(e)};
	if (!f->path)
		return -ERROR_NO_MEMORY;
	x->filling_count++;
	return 0;
}

/* Opens the directory that the entry at hand goes into, made where the archive has not named it, and gives
 * out the entry's name there. The last one is kept: files come directory by directory. */
static int open_parent(struct extraction *x, const char **leaf, struct error *err)
{
	const char *path = entry_path(x), *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = slash ? strndup(path, (size_t)(slash - path)) : text_copy("", NULL);

	*leaf = slash ? slash + 1 : path;
	if (!parent)
		return error_no_memory(err, "unpack");
	if (x->parent_path && !strcmp(parent, x->parent_path))
		return 0;
	if (x->parent >= 0)
		close(TAKE_FD(x->parent));
	free(x->parent_path);
	x->parent_path = NULL;
	x->parent = path_open_directory(x->options.directory, parent, true, err);
	if (x->parent < 0)
		return x->parent;
	x->parent_path = TAKE_PTR(parent);
	return 0;
}

/* Whether something has the entry's name; an error where it is a directory. */
static int look_at(struct extraction *x, const char *leaf, bool *there, struct error *err)
{
	struct stat s;

	*there = fstatat(x->parent, leaf, &s, AT_SYMLINK_NOFOLLOW) == 0;
	if (!*there && errno != ENOENT)
		return error_errno(err, errno, "look at '%s'", entry_path(x));
	if (*there && S_ISDIR(s.st_mode))
		return error_set(err, ERROR_EXISTS,
			"'%s' is a directory here, but none in the sandbox: remove it first", entry_path(x));
	return 0;
}

static int make_room(struct extraction *x, const char *leaf, struct error *err)
{
	bool there;
	int r = look_at(x, leaf, &there, err);

	if (r == 0 && there && unlinkat(x->parent, leaf, 0) < 0)
		return error_errno(err, errno, "replace '%s'", entry_path(x));
	return r;
}

static int make_directory(
	struct extraction *x, const struct tar_entry *e, const char *leaf, struct error *err)
{
	struct stat s;

	if (mkdirat(x->parent, leaf, (e->mode & 0777) | 0700) == 0)
		return enter_directory(x, e, err);
	if (errno != EEXIST)
		return error_errno(err, errno, "make directory '%s'", entry_path(x));
	if (fstatat(x->parent, leaf, &s, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(s.st_mode))
		return 0;
	return error_set(err, ERROR_EXISTS,
		"'%s' is a directory in the sandbox, but none here: remove it first", entry_path(x));
}

static int begin_file(struct extraction *x, const struct tar_entry *e, const char *leaf, struct error *err)
{
	bool there;
	int r = look_at(x, leaf, &there, err);

	if (r < 0)
		return r;
	x->file = openat(x->parent, x->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		e->mode & 0777);
	return x->file < 0 ? error_errno(err, errno, "write '%s'", entry_path(x)) : 0;
}

static int end_file(struct extraction *x, const struct tar_entry *e, const char *leaf, struct error *err)
{
	const struct timespec times[2] = {entry_time(e), entry_time(e)};

	if (e->size > INT64_MAX || ftruncate(x->file, (off_t)e->size) < 0 || futimens(x->file, times) < 0)
		return error_errno(err, errno, "write '%s'", entry_path(x));
	if (renameat(x->parent, x->temporary, x->parent, leaf) < 0)
		return error_errno(err, errno, "write '%s'", entry_path(x));
	return close(TAKE_FD(x->file)) < 0 ? error_errno(err, errno, "write '%s'", entry_path(x)) : 0;
}

/* To a file that this archive (or an earlier copy) has laid down beneath the same root. */
static int make_hard_link(
	struct extraction *x, const struct tar_entry *e, const char *leaf, struct error *err)
{
	_cleanup_buffer_ struct buffer target = {0};
	_cleanup_free_ char *directory = NULL;
	_cleanup_fd_ int fd = -1;
	char *slash;
	int r = path_map_find(&x->map, e->link, &target, err);

	if (r < 0)
		return error_prefix(err, "the hard link '%s'", entry_path(x));
	directory = text_copy((const char *)target.data, err);
	if (!directory)
		return -ERROR_NO_MEMORY;
	if (!strcmp(directory, entry_path(x))) /* to itself */
		return 0;
	slash = strrchr(directory, '/');
	if (slash)
		*slash = 0;
	fd = path_open_directory(x->options.directory, slash ? directory : "", false, err);
	if (fd < 0)
		return error_prefix(err, "the hard link '%s'", entry_path(x));
	r = make_room(x, leaf, err);
	if (r < 0)
		return r;
	if (linkat(fd, slash ? slash + 1 : directory, x->parent, leaf, 0) < 0)
		return error_errno(err, errno, "make the hard link '%s' to '%s'", entry_path(x), target.data);
	return 0;
}

static int make_other(struct extraction *x, const struct tar_entry *e, const char *leaf, struct error *err)
{
	const struct timespec times[2] = {entry_time(e), entry_time(e)};
	int r = make_room(x, leaf, err);

	if (r < 0)
		return r;
	r = e->type == TAR_FIFO ? mkfifoat(x->parent, leaf, e->mode & 0777)
				: symlinkat(e->link, x->parent, leaf);
	if (r < 0 || utimensat(x->parent, leaf, times, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(err, errno, "make '%s'", entry_path(x));
	return 0;
}

static int check_root(struct extraction *x, const struct tar_entry *e, struct error *err)
{
	int r = path_map_start(&x->map, x->options.name, e->path, err);

	if (r < 0)
		return r;
	x->started = true;
	if (e->type != TAR_DIRECTORY && (x->options.directory_wanted || !x->options.name))
		return error_set(err, ERROR_INVALID, "'%s' in the sandbox is no directory", e->path);
	return 0;
}

static int begin_entry(struct extraction *x, const struct tar_entry *e, struct error *err)
{
	const char *leaf;
	int r = x->started ? 0 : check_root(x, e, err);

	if (r == 0)
		r = path_map_find(&x->map, e->path, &x->path, err);
	if (r == 0)
		r = leave_directories(x, entry_path(x), err);
	if (r < 0 || !*entry_path(x)) /* the directory that is there already */
		return r;
	if (e->type == TAR_CHARACTER_DEVICE || e->type == TAR_BLOCK_DEVICE) {
		x->devices++;
		return 0;
	}
	r = open_parent(x, &leaf, err);
	if (r < 0)
		return r;
	switch (e->type) {
	case TAR_DIRECTORY:
		return make_directory(x, e, leaf, err);
	case TAR_FILE:
		return begin_file(x, e, leaf, err);
	case TAR_HARD_LINK:
		return make_hard_link(x, e, leaf, err);
	default:
		return make_other(x, e, leaf, err);
	}
}

static int write_data(struct extraction *x, const struct tar_data *d, struct error *err)
{
	size_t at = 0;

	while (x->file >= 0 && at < d->size) {
		ssize_t n = pwrite(x->file, d->bytes + at, d->size - at, (off_t)(d->offset + at));

		if (n < 0 && errno != EINTR)
			return error_errno(err, errno, "write '%s'", entry_path(x));
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int end_entry(struct extraction *x, const struct tar_entry *e, struct error *err)
{
	const char *slash = strrchr(entry_path(x), '/');

	return x->file < 0 ? 0 : end_file(x, e, slash ? slash + 1 : entry_path(x), err);
}

int extraction_feed(struct extraction *x, const void *data, size_t n, struct error *err)
{
	const uint8_t *in = data;
	int r = 0;

	while (r == 0) {
		enum tar_event event;

		r = tar_reader_step(x->reader, &in, &n, &event, err);
		if (r < 0 || event == TAR_MORE)
			return r;
		if (event == TAR_ENTRY)
			r = begin_entry(x, tar_reader_entry(x->reader), err);
		else if (event == TAR_DATA)
			r = write_data(x, tar_reader_data(x->reader), err);
		else if (event == TAR_ENTRY_END)
			r = end_entry(x, tar_reader_entry(x->reader), err);
	}
	return r;
}

int extraction_finish(struct extraction *x, struct error *err)
{
	int r = tar_reader_finish(x->reader, err);

	if (r < 0)
		return r;
	if (!x->started)
		return error_set(err, ERROR_INVALID, "the sandbox sent nothing");
	return leave_directories(x, NULL, err);
}

uint64_t extraction_devices(const struct extraction *x)
{
	return x->devices;
}
