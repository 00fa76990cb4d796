/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/tree_unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "codec/message.h"
#include "codec/tar.h"
#include "guest/attributes.h"
#include "guest/beneath.h"
#include "guest/replace.h"

#define TIMES_MOST (1024 * 1024) /* bytes of directories' paths that are kept for their times */

/* A directory's time is set at the end, since what goes into it changes it. */
struct late_time {
	char *path;
	struct timespec time;
};

struct tree_unpack {
	int directory;
	enum beneath how;
	bool keep_owners, keep_directories, alone;
	struct tar_reader *reader;
	struct buffer path;                /* of the entry at hand, beneath `directory`; "" that itself */
	char leaf[BENEATH_LEAF_SIZE];      /* its last name */
	int parent;                        /* where that stands; -1: nothing is to be made */
	char temporary[REPLACE_NAME_SIZE]; /* "": nothing is half written */
	int file;                          /* that is being written, or -1; */
	struct stat made;                  /* as it was made, */
	uint64_t end;                      /* and how far it was written */
	struct late_time *times;
	size_t time_count, time_room, times_size;
};

static bool is_root(int root, int directory)
{
	struct stat a, b;

	return fstat(root, &a) == 0 && fstat(directory, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

int tree_unpack_new(
	int root, const char *path, uint32_t flags, struct tree_unpack **unpack, struct error *err)
{
	/* A map of a sparse file, or attributes, that need more than this are not worth the memory. */
	const struct tar_limits limits = {.extended = 2 * ATTRIBUTES_MOST, .sparse_parts = 100000};
	struct tree_unpack *u = calloc(1, sizeof *u);

	*unpack = NULL;
	if (!u)
		return error_no_memory(err, "unpack an archive");
	u->parent = u->file = -1;
	u->keep_owners = flags & PUT_KEEP_OWNERS;
	u->keep_directories = flags & PUT_KEEP_DIRECTORIES;
	u->alone = flags & TREE_UNPACK_ALONE;
	u->directory = beneath_open(root, path, O_PATH | O_DIRECTORY, 0, BENEATH_ROOT);
	if (u->directory < 0)
		error_errno(err, errno, "open the directory '%s'", path);
	else
		u->reader = tar_reader_new(&limits, err);
	if (!u->reader) {
		int code = u->directory < 0 ? -(int)err->code : -ERROR_NO_MEMORY;

		tree_unpack_free(u);
		return code;
	}
	u->how = is_root(root, u->directory) ? BENEATH_ROOT : BENEATH_ONLY;
	*unpack = u;
	return 0;
}

/* Ends the entry at hand, whole or not. */
static void drop_entry(struct tree_unpack *u)
{
	if (u->file >= 0)
		close(TAKE_FD(u->file));
	if (u->temporary[0])
		unlinkat(u->parent, u->temporary, 0);
	u->temporary[0] = '\0';
	if (u->parent >= 0)
		close(TAKE_FD(u->parent));
}

void tree_unpack_free(struct tree_unpack *u)
{
	if (!u)
		return;
	drop_entry(u);
	for (size_t i = 0; i < u->time_count; i++)
		free(u->times[i].path);
	free(u->times);
	if (u->directory >= 0)
		close(u->directory);
	buffer_free(&u->path);
	tar_reader_free(u->reader);
	free(u);
}

static const char *entry_path(const struct tree_unpack *u)
{
	return (const char *)u->path.data;
}

/* The parts of a path, joined by single slashes, and a NUL. */
static int tidy(const char *path, struct buffer *out, struct error *err)
{
	buffer_clear(out);
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && !memcmp(p, "..", 2))
			return error_set(err, ERROR_INVALID,
				"the archive has a name that may lead out of the target: '%s'", path);
		if (n && !(n == 1 && *p == '.')) {
			if (out->size)
				buffer_u8(out, '/');
			buffer_append(out, p, n);
		}
		p += n + (p[n] == '/');
	}
	return buffer_u8(out, 0) ? 0 : error_no_memory(err, "unpack an archive");
}

/* The directory that a tidy path stands in, opened, and the path's last name. */
static int open_parent(
	struct tree_unpack *u, const struct buffer *path, bool make, char *leaf, struct error *err)
{
	_cleanup_free_ char *parent = text_copy((const char *)path->data, err);
	char *slash = parent ? strrchr(parent, '/') : NULL;
	const char *name = slash ? slash + 1 : parent, *where = slash ? parent : ".";
	int fd;

	if (!parent)
		return -ERROR_NO_MEMORY;
	if (strlen(name) >= BENEATH_LEAF_SIZE)
		return error_errno(err, ENAMETOOLONG, "unpack '%s'", parent);
	memcpy(leaf, name, strlen(name) + 1);
	if (slash)
		*slash = '\0';
	fd = make ? beneath_make(u->directory, where, u->how, mkdirat)
		  : beneath_open(u->directory, where, O_PATH | O_DIRECTORY, 0, u->how);
	if (fd < 0 && errno == EXDEV)
		return error_set(err, ERROR_INVALID, "'%s': a link on its way leads out of the target",
			(const char *)path->data);
	return fd < 0 ? error_errno(err, errno, "unpack '%s'", (const char *)path->data) : fd;
}

static void set_late_times(struct tree_unpack *u)
{
	for (size_t i = u->time_count; i-- > 0;) {
		const struct timespec times[2] = {u->times[i].time, u->times[i].time};
		_cleanup_fd_ int fd = beneath_open(u->directory, u->times[i].path,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK, 0, u->how);

		if (fd >= 0) /* otherwise somebody has moved it since */
			futimens(fd, times);
		free(u->times[i].path);
	}
	u->time_count = u->times_size = 0;
}

static int remember_time(struct tree_unpack *u, struct timespec time, struct error *err)
{
	struct late_time *grown;
	char *path;

	if (u->times_size + u->path.size > TIMES_MOST)
		set_late_times(u);
	if (u->time_count == u->time_room) {
		size_t room = u->time_room ? 2 * u->time_room : 16;

		grown = reallocarray(u->times, room, sizeof *grown);
		if (!grown)
			return error_no_memory(err, "unpack an archive");
		u->times = grown;
		u->time_room = room;
	}
	path = text_copy(entry_path(u), err);
	if (!path)
		return -ERROR_NO_MEMORY;
	u->times[u->time_count++] = (struct late_time){path, time};
	u->times_size += u->path.size + sizeof *grown;
	return 0;
}

static struct timespec entry_time(const struct tar_entry *e)
{
	return (struct timespec){.tv_sec = (time_t)e->mtime, .tv_nsec = e->mtime_nanoseconds};
}

/* Owner first, since a change of it takes setuid bits and capabilities away. `now`: what it has. */
static int set_metadata(
	struct tree_unpack *u, int fd, const struct stat *now, const struct tar_entry *e, struct error *err)
{
	const struct timespec times[2] = {entry_time(e), entry_time(e)};
	bool given = u->keep_owners && (now->st_uid != e->uid || now->st_gid != e->gid);
	int r;

	if ((given && fchown(fd, e->uid, e->gid) < 0) ||
		((given || (now->st_mode & 07777) != e->mode) && fchmod(fd, (mode_t)e->mode) < 0))
		return error_errno(err, errno, "set owner and mode of '%s'", entry_path(u));
	r = attributes_write(fd, e, err);
	if (r < 0)
		return r;
	if (e->type == TAR_DIRECTORY)
		return remember_time(u, entry_time(e), err);
	return futimens(fd, times) < 0 ? error_errno(err, errno, "set the time of '%s'", entry_path(u)) : 0;
}

/* Where others may look, nobody does before it is whole and has its owner. */
static mode_t first_mode(const struct tree_unpack *u, const struct tar_entry *e, mode_t otherwise)
{
	return u->alone ? (mode_t)e->mode & 0777 : otherwise;
}

/* The directory that is there under the entry's name, opened; -1: none is. */
static int find_directory(const struct tree_unpack *u)
{
	int fd = openat(u->parent, u->leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && u->keep_directories)
		fd = beneath_open(
			u->directory, entry_path(u), O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0, u->how);
	return fd;
}

static int set_of_directory(struct tree_unpack *u, int fd, const struct tar_entry *e, struct error *err)
{
	struct stat now;

	if (fstat(fd, &now) < 0)
		return error_errno(err, errno, "look at '%s'", entry_path(u));
	return set_metadata(u, fd, &now, e, err);
}

static int make_directory(struct tree_unpack *u, const struct tar_entry *e, struct error *err)
{
	_cleanup_fd_ int there = find_directory(u), fd = -1;
	int r;

	if (there >= 0)
		return u->keep_owners ? set_of_directory(u, there, e, err) : 0;
	if (mkdirat(u->parent, u->leaf, first_mode(u, e, 0700)) < 0) {
		if (errno != EEXIST)
			return error_errno(err, errno, "make the directory '%s'", entry_path(u));
		if (u->keep_directories)
			return error_set(err, ERROR_EXISTS,
				"'%s' is none in the sandbox, but a directory was sent for it",
				entry_path(u));
		r = replace_remove(u->parent, u->leaf, entry_path(u), err);
		if (r < 0)
			return r;
		if (mkdirat(u->parent, u->leaf, 0700) < 0)
			return error_errno(err, errno, "make the directory '%s'", entry_path(u));
	}
	fd = openat(u->parent, u->leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "make the directory '%s'", entry_path(u));
	return set_of_directory(u, fd, e, err);
}

/* The name under which something is made that commit() gives its own name; kept until then. */
static int begin_name(const struct tree_unpack *u, char name[REPLACE_NAME_SIZE], struct error *err)
{
	name[0] = '\0';
	return u->alone ? 0 : replace_name(name, err);
}

static const char *made_name(const struct tree_unpack *u, const char *name)
{
	return *name ? name : u->leaf;
}

static int commit(struct tree_unpack *u, struct error *err)
{
	int r;

	if (!u->temporary[0])
		return 0;
	r = replace_commit(u->parent, u->temporary, u->leaf, !u->keep_directories, entry_path(u), err);

	if (r == 0)
		u->temporary[0] = '\0';
	return r;
}

static int begin_file(struct tree_unpack *u, const struct tar_entry *e, struct error *err)
{
	char name[REPLACE_NAME_SIZE];
	int r = begin_name(u, name, err);

	if (r < 0)
		return r;
	u->end = 0;
	u->file = openat(u->parent, made_name(u, name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		first_mode(u, e, 0600));
	if (u->file < 0 || fstat(u->file, &u->made) < 0)
		return error_errno(err, errno, "write '%s'", entry_path(u));
	memcpy(u->temporary, name, sizeof name);
	return 0;
}

static int end_file(struct tree_unpack *u, const struct tar_entry *e, struct error *err)
{
	int r;

	/* Also sets the end of a file that ends in a hole. */
	if (e->size > INT64_MAX || (u->end != e->size && ftruncate(u->file, (off_t)e->size) < 0))
		return error_errno(err, e->size > INT64_MAX ? EFBIG : errno, "write '%s'", entry_path(u));
	r = set_metadata(u, u->file, &u->made, e, err);
	if (r == 0 && close(TAKE_FD(u->file)) < 0)
		r = error_errno(err, errno, "write '%s'", entry_path(u));
	return r < 0 ? r : commit(u, err);
}

/* To something beneath the target, which the archive or the sandbox has put there. */
static int make_hard_link(struct tree_unpack *u, const struct tar_entry *e, struct error *err)
{
	_cleanup_buffer_ struct buffer target = {0};
	_cleanup_fd_ int from = -1;
	char name[REPLACE_NAME_SIZE], leaf[BENEATH_LEAF_SIZE];
	int r = tidy(e->link, &target, err);

	if (r < 0 || !strcmp((const char *)target.data, entry_path(u))) /* to itself */
		return r;
	from = open_parent(u, &target, false, leaf, err);
	if (from < 0)
		return error_prefix(err, "the hard link '%s'", entry_path(u));
	r = begin_name(u, name, err);
	if (r < 0)
		return r;
	if (linkat(from, leaf, u->parent, made_name(u, name), 0) < 0)
		return error_errno(err, errno, "make the hard link '%s' to '%s'", entry_path(u), target.data);
	memcpy(u->temporary, name, sizeof name);
	return commit(u, err);
}

static int make_node(struct tree_unpack *u, const struct tar_entry *e, const char *name)
{
	const dev_t device = makedev(e->device_major, e->device_minor);

	switch (e->type) {
	case TAR_SYMBOLIC_LINK:
		return symlinkat(e->link, u->parent, name);
	case TAR_FIFO:
		return mknodat(u->parent, name, S_IFIFO | (mode_t)e->mode, 0);
	default:
		return mknodat(u->parent, name,
			(e->type == TAR_BLOCK_DEVICE ? S_IFBLK : S_IFCHR) | (mode_t)e->mode, device);
	}
}

/* Its mode comes with its making, since chmod(2) would follow a link that somebody has put in its place: the
 * agent has no umask. */
static int make_other(struct tree_unpack *u, const struct tar_entry *e, struct error *err)
{
	const struct timespec times[2] = {entry_time(e), entry_time(e)};
	char name[REPLACE_NAME_SIZE];
	int r = begin_name(u, name, err);

	if (r < 0)
		return r;
	if (make_node(u, e, made_name(u, name)) < 0)
		return error_errno(err, errno, "make '%s'", entry_path(u));
	memcpy(u->temporary, name, sizeof name);
	if ((u->keep_owners &&
		    fchownat(u->parent, made_name(u, name), e->uid, e->gid, AT_SYMLINK_NOFOLLOW) < 0) ||
		utimensat(u->parent, made_name(u, name), times, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(err, errno, "set owner and time of '%s'", entry_path(u));
	return commit(u, err);
}

static int begin_entry(struct tree_unpack *u, const struct tar_entry *e, struct error *err)
{
	struct stat s;
	int r = tidy(e->path, &u->path, err);

	if (r < 0)
		return r;
	if (!*entry_path(u)) {
		if (e->type == TAR_DIRECTORY)
			return 0;
		return error_set(err, ERROR_INVALID, "the archive has no name for a file: '%s'", e->path);
	}
	u->parent = open_parent(u, &u->path, true, u->leaf, err);
	if (u->parent < 0)
		return -(int)err->code;
	if (e->type == TAR_DIRECTORY)
		return make_directory(u, e, err);
	if (u->keep_directories && fstatat(u->parent, u->leaf, &s, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISDIR(s.st_mode))
		return error_set(err, ERROR_EXISTS,
			"'%s' is a directory in the sandbox, and what was sent for it is none",
			entry_path(u));
	if (e->type == TAR_FILE)
		return begin_file(u, e, err);
	return e->type == TAR_HARD_LINK ? make_hard_link(u, e, err) : make_other(u, e, err);
}

static int write_data(struct tree_unpack *u, const struct tar_data *d, struct error *err)
{
	size_t at = 0;

	while (u->file >= 0 && at < d->size) {
		ssize_t n = pwrite(u->file, d->bytes + at, d->size - at, (off_t)(d->offset + at));

		if (n < 0 && errno != EINTR)
			return error_errno(err, errno, "write '%s'", entry_path(u));
		at += n > 0 ? (size_t)n : 0;
	}
	if (u->end < d->offset + at)
		u->end = d->offset + at;
	return 0;
}

static int end_entry(struct tree_unpack *u, const struct tar_entry *e, struct error *err)
{
	int r = u->file < 0 ? 0 : end_file(u, e, err);

	if (r == 0)
		drop_entry(u);
	return r;
}

int tree_unpack_feed(struct tree_unpack *u, const void *data, size_t n, struct error *err)
{
	const uint8_t *in = data;
	int r = 0;

	while (r == 0) {
		enum tar_event event;

		r = tar_reader_step(u->reader, &in, &n, &event, err);
		if (r < 0 || event == TAR_MORE)
			return r;
		if (event == TAR_ENTRY)
			r = begin_entry(u, tar_reader_entry(u->reader), err);
		else if (event == TAR_DATA)
			r = write_data(u, tar_reader_data(u->reader), err);
		else if (event == TAR_ENTRY_END)
			r = end_entry(u, tar_reader_entry(u->reader), err);
	}
	return r;
}

int tree_unpack_finish(struct tree_unpack *u, struct error *err)
{
	int r = tar_reader_finish(u->reader, err);

	set_late_times(u);
	return r;
}
