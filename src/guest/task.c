/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/beneath.h"
#include "guest/freeze.h"
#include "guest/replace.h"
#include "guest/staged.h"
#include "guest/tree_pack.h"
#include "guest/tree_unpack.h"
#include "guest/upper.h"
#include "guest/write_file.h"

#define PIECE 65536

CLEANUP_DEFINE(directory_stream, DIR, closedir);
CLEANUP_DEFINE(unpack, struct tree_unpack, tree_unpack_free);

static int send_piece(void *context, const void *data, size_t n, struct error *err)
{
	return worker_send(context, data, n, err);
}

static int run_get(struct worker *w, int root, const char *path, struct error *err)
{
	return tree_pack(root, path, send_piece, w, err);
}

static int run_put(struct worker *w, int root, const struct message_request *m, struct error *err)
{
	_cleanup_(cleanup_unpack) struct tree_unpack *u = NULL;
	_cleanup_free_ uint8_t *piece = malloc(PIECE);
	size_t n = 1;
	int r = tree_unpack_new(root, m->path, m->option, &u, err);

	if (!piece)
		return error_no_memory(err, "unpack an archive");
	while (r == 0 && n) {
		r = worker_receive(w, piece, PIECE, &n, err);
		if (r == 0 && n)
			r = tree_unpack_feed(u, piece, n, err);
	}
	return r < 0 ? r : tree_unpack_finish(u, err);
}

/* Opens a regular file and nothing else: a device may do things when it is opened. */
static int open_regular(int root, const char *path, struct error *err)
{
	_cleanup_fd_ int there = beneath_open(root, path, O_PATH, 0, BENEATH_ROOT), fd = -1;
	struct stat before, s;

	if (there < 0 || fstat(there, &before) < 0)
		return error_errno(err, errno, "open '%s'", path);
	if (!S_ISREG(before.st_mode))
		return error_set(err, ERROR_INVALID, "'%s' is %s", path,
			S_ISDIR(before.st_mode) ? "a directory" : "no regular file");
	fd = beneath_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, BENEATH_ROOT);
	if (fd < 0 || fstat(fd, &s) < 0)
		return error_errno(err, errno, "open '%s'", path);
	if (!S_ISREG(s.st_mode))
		return error_set(err, ERROR_BUSY, "'%s' became another file", path);
	return TAKE_FD(fd);
}

static int run_read(struct worker *w, int root, const char *path, struct error *err)
{
	_cleanup_fd_ int fd = open_regular(root, path, err);
	_cleanup_free_ uint8_t *piece = malloc(PIECE);

	if (fd < 0)
		return -(int)err->code;
	if (!piece)
		return error_no_memory(err, "read a file");
	for (;;) {
		ssize_t n = read(fd, piece, PIECE);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "read '%s'", path);
		if (n == 0)
			return 0;
		r = worker_send(w, piece, (size_t)n, err);
		if (r < 0)
			return r;
	}
}

static int run_write(struct worker *w, int root, const struct message_request *m, struct error *err)
{
	_cleanup_(write_file_drop) struct write_file f = WRITE_FILE_NONE;
	_cleanup_free_ uint8_t *piece = malloc(PIECE);
	size_t n = 1;
	int r = write_file_begin(&f, root, m->path, m->option, err);

	if (!piece)
		return error_no_memory(err, "write a file");
	while (r == 0 && n) {
		r = worker_receive(w, piece, PIECE, &n, err);
		if (r == 0 && n)
			r = write_file_add(&f, piece, n, err);
	}
	return r < 0 ? r : write_file_finish(&f, err);
}

/* `at` and `leaf` are the object's; leaf "": `at` itself. */
static int tell_entry(
	struct worker *w, const char *name, const struct stat *s, int at, const char *leaf, struct error *err)
{
	_cleanup_buffer_ struct buffer payload = {0};
	struct message_entry m = {.name = (char *)name,
		.mode = s->st_mode,
		.uid = s->st_uid,
		.gid = s->st_gid,
		.size = (uint64_t)s->st_size,
		.mtime = s->st_mtim.tv_sec,
		.mtime_nanoseconds = (uint32_t)s->st_mtim.tv_nsec};
	char link[PATH_MAX];
	ssize_t n = S_ISLNK(s->st_mode) ? readlinkat(at, leaf, link, sizeof link - 1) : 0;

	link[n > 0 ? n : 0] = '\0';
	m.link = link;
	message_entry_encode(&m, &payload);
	return worker_tell(w, MESSAGE_ENTRY, &payload, err);
}

static int run_stat(struct worker *w, int root, const struct message_request *m, struct error *err)
{
	_cleanup_fd_ int fd =
		beneath_open(root, m->path, O_PATH | (m->option ? 0 : O_NOFOLLOW), 0, BENEATH_ROOT);
	struct stat s;

	if (fd < 0 || fstat(fd, &s) < 0)
		return error_errno(err, errno, "look at '%s'", m->path);
	return tell_entry(w, m->path, &s, fd, "", err);
}

static int list_each(struct worker *w, DIR *stream, const char *path, struct error *err)
{
	size_t count = 0;
	struct dirent *d;

	while (errno = 0, (d = readdir(stream))) {
		struct stat s;
		int r;

		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (fstatat(dirfd(stream), d->d_name, &s, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT) /* removed meanwhile */
				continue;
			return error_errno(err, errno, "look at '%s/%s'", path, d->d_name);
		}
		if (++count > LIST_MOST)
			return error_set(err, ERROR_LIMIT, "'%s' has more than %d entries", path, LIST_MOST);
		r = tell_entry(w, d->d_name, &s, dirfd(stream), d->d_name, err);
		if (r < 0)
			return r;
	}
	return errno ? error_errno(err, errno, "list '%s'", path) : 0;
}

static int run_list(struct worker *w, int root, const char *path, struct error *err)
{
	_cleanup_(cleanup_directory_stream) DIR *stream = NULL;
	int fd = beneath_open(root, path, O_RDONLY | O_DIRECTORY, 0, BENEATH_ROOT);

	if (fd < 0)
		return error_errno(err, errno, "list '%s'", path);
	stream = fdopendir(fd);
	if (!stream) {
		close(fd);
		return error_no_memory(err, "list a directory");
	}
	return list_each(w, stream, path, err);
}

/* Of a sandbox that keeps nothing the layer is empty. */
static int run_upper(struct worker *w, const struct message_request *m, struct error *err)
{
	_cleanup_buffer_ struct buffer empty = {0};
	int r = m->option && w->given.cgroup >= 0 ? freeze_wait(w->given.cgroup, err) : 0;

	if (r < 0)
		return r;
	if (w->given.upper >= 0)
		return upper_pack(w->given.upper, m->upper == UPPER_ROOT ? UPPER_LAYER : UPPER_AS_IT_IS,
			send_piece, w, err);
	return tar_write_end(&empty) ? send_piece(w, empty.data, empty.size, err)
				     : error_no_memory(err, "pack the changes");
}

static int run_remove(struct worker *w, int root, const struct message_request *m, struct error *err)
{
	char leaf[BENEATH_LEAF_SIZE];
	_cleanup_fd_ int parent = -1;

	if (m->upper != UPPER_ROOT)
		return staged_remove(w->given.upper, m->upper, m->path, err);
	parent = beneath_parent(root, m->path, false, leaf);
	if (parent < 0)
		return error_errno(err, errno, "find '%s'", m->path);
	return replace_remove(parent, leaf, m->path, err);
}

int task_run(struct worker *w, uint16_t type, const struct message_request *m, struct error *err)
{
	_cleanup_fd_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return error_errno(err, errno, "open the root");
	switch (type) {
	case MESSAGE_GET:
		return run_get(w, root, m->path, err);
	case MESSAGE_PUT:
		return run_put(w, root, m, err);
	case MESSAGE_READ:
		return run_read(w, root, m->path, err);
	case MESSAGE_WRITE:
		return run_write(w, root, m, err);
	case MESSAGE_STAT:
		return run_stat(w, root, m, err);
	case MESSAGE_LIST:
		return run_list(w, root, m->path, err);
	case MESSAGE_UPPER:
		return run_upper(w, m, err);
	case MESSAGE_REMOVE:
		return run_remove(w, root, m, err);
	default:
		return error_set(err, ERROR_UNAVAILABLE, "%s is no transfer", message_name(type));
	}
}

bool task_only_reads(uint16_t type)
{
	return type != MESSAGE_PUT && type != MESSAGE_WRITE && type != MESSAGE_REMOVE;
}
