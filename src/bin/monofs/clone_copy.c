/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monofs/clone_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "codec/sha256.h"
#include "os/fs.h"

#define SMALL_MOST (64u << 20) /* bytes of refs; of others less */
#define COPY_SIZE  (1u << 18)
#define TRIES      100 /* as often may references or packs change while they are copied */

struct clone {
	int from, to;
	const struct progress *progress;
	uint64_t done;
};

static void tell(struct clone *c, bool finished)
{
	const struct progress_event e = {
		.task = "packs", .unit = "bytes", .done = c->done, .total = 0, .finished = finished};

	progress_report(c->progress, &e);
}

static int copy_small(int from, int to, const char *name, struct error *err)
{
	_cleanup_buffer_ struct buffer b = {0};
	int r = fs_read_regular(from, name, SMALL_MOST, &b, err);

	return r < 0 ? r : fs_write_atomic(to, name, b.data, b.size, 0600, err);
}

static int copy_bytes(struct clone *c, int from, int to, const char *name, const char *hex, struct error *err)
{
	_cleanup_free_ uint8_t *bytes = malloc(COPY_SIZE);
	_cleanup_sha256_ struct sha256 hash = {0};
	uint8_t sum[SHA256_SIZE];
	char found[SHA256_HEX_SIZE];
	ssize_t n;
	int r = bytes ? sha256_init(&hash, err) : error_no_memory(err, "copy a pack");

	while (r == 0 && (n = read(from, bytes, COPY_SIZE)) != 0) {
		if (n < 0) {
			r = errno == EINTR ? 0 : error_errno(err, errno, "read '%s'", name);
			continue;
		}
		sha256_update(&hash, bytes, (size_t)n);
		r = fs_write_all(to, bytes, (size_t)n, name, err);
		c->done += (uint64_t)n;
		tell(c, false);
	}
	if (r == 0)
		r = sha256_final(&hash, sum, err);
	if (r == 0 && strcmp(sha256_hex(sum, found), hex) != 0)
		r = error_set(
			err, ERROR_CORRUPT, "'%s' does not hold what its name says: it is damaged", name);
	return r;
}

/* 1: it is gone meanwhile, as gc does with one that nobody needs. */
static int copy_pack(struct clone *c, const char *folder, const char *name, struct error *err)
{
	_cleanup_free_ char *path = text_format(err, "packs/%s/%s", folder, name);
	_cleanup_free_ char *made = text_format(err, "packs/%s/%s.new", folder, name);
	_cleanup_fd_ int from = -1, to = -1;
	int r;

	if (!path || !made)
		return -ERROR_NO_MEMORY;
	if (faccessat(c->to, path, F_OK, 0) == 0)
		return 0;
	from = fs_open(c->from, path, O_RDONLY | O_NOFOLLOW, 0, err);
	if (from < 0)
		return from == -ERROR_NOT_FOUND ? 1 : from;
	to = fs_open(c->to, made, O_WRONLY | O_CREAT | O_EXCL, 0600, err);
	r = to < 0 ? to : copy_bytes(c, from, to, path, name, err);
	if (r == 0 && fsync(to) < 0)
		r = error_errno(err, errno, "sync '%s'", made);
	if (r == 0 && renameat(c->to, made, c->to, path) < 0)
		r = error_errno(err, errno, "rename '%s'", made);
	return r;
}

static bool is_hex(const char *name, size_t digits)
{
	return strlen(name) == digits && strspn(name, "0123456789abcdef") == digits;
}

static int sync_directory(int parent, const char *name, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(parent, name, O_RDONLY | O_DIRECTORY, 0, err);

	return fd < 0 ? fd : fsync(fd) < 0 ? error_errno(err, errno, "sync '%s'", name) : 0;
}

/* *changed: what was listed is not what was there when all was copied. */
static int copy_folder(struct clone *c, const char *folder, bool *changed, struct error *err)
{
	_cleanup_free_ char *path = text_format(err, "packs/%s", folder);
	_cleanup_list_ DIR *list = NULL;
	const char *name;
	int r = path ? fs_make_directories(c->to, path, 0700, err) : -ERROR_NO_MEMORY;

	if (r == 0)
		r = fs_list_open(c->from, path, &list, err);
	while (r >= 0 && (name = fs_list_next(list))) {
		if (!is_hex(name, 64))
			continue;
		r = copy_pack(c, folder, name, err);
		*changed |= r == 1;
	}
	return r < 0 ? r : sync_directory(c->to, path, err);
}

static int copy_packs(struct clone *c, bool *changed, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	const char *name;
	int r = fs_list_open(c->from, "packs", &list, err);

	while (r == 0 && (name = fs_list_next(list)))
		if (is_hex(name, 2))
			r = copy_folder(c, name, changed, err);
	return r < 0 ? r : sync_directory(c->to, "packs", err);
}

/* References whose packs are all there: those that were the same before and after the packs were copied. */
static int copy_state(struct clone *c, struct error *err)
{
	_cleanup_buffer_ struct buffer before = {0}, after = {0};

	for (int i = 0; i < TRIES; i++) {
		bool changed = false;
		int r;

		buffer_clear(&before);
		buffer_clear(&after);
		r = fs_read_regular(c->from, "refs", SMALL_MOST, &before, err);
		if (r == 0)
			r = copy_packs(c, &changed, err);
		if (r == 0)
			r = fs_read_regular(c->from, "refs", SMALL_MOST, &after, err);
		if (r < 0)
			return r;
		if (!changed && buffer_equal(&before, &after))
			return fs_write_atomic(c->to, "refs", after.data, after.size, 0600, err);
	}
	return error_set(err, ERROR_BUSY, "it changes faster than it can be copied");
}

/* ---- keys ---- */

/* Empty: a plain repository has none. */
static int read_master(struct clone *c, struct buffer *out, struct error *err)
{
	int r;

	buffer_clear(out);
	r = fs_read_regular(c->from, "keys/master", SMALL_MOST, out, err);
	return r == -ERROR_NOT_FOUND ? 0 : r;
}

static int write_master(struct clone *c, const struct buffer *master, struct error *err)
{
	_cleanup_fd_ int keys = -1;

	if (!master->size)
		return 0;
	keys = fs_open(c->to, "keys", O_RDONLY | O_DIRECTORY, 0, err);
	return keys < 0 ? keys : fs_write_atomic(keys, "master", master->data, master->size, 0600, err);
}

/* One that is gone meanwhile opens nothing any more. */
static int copy_slots(struct clone *c, struct error *err)
{
	_cleanup_fd_ int from = fs_open(c->from, "keys", O_RDONLY | O_DIRECTORY, 0, err), to = -1;
	_cleanup_list_ DIR *list = NULL;
	const char *name;
	int r = from < 0 ? from : fs_list_open(from, ".", &list, err);

	if (r == 0)
		to = fs_open(c->to, "keys", O_RDONLY | O_DIRECTORY, 0, err);
	r = r == 0 && to < 0 ? to : r;
	while (r == 0 && (name = fs_list_next(list))) {
		r = is_hex(name, 16) ? copy_small(from, to, name, err) : 0;
		r = r == -ERROR_NOT_FOUND ? 0 : r;
	}
	return r;
}

/* Behind the packs, whose keys are all there then; slots that open keys/master, though the keys be rotated
 * meanwhile: those that were there while it was the same. */
static int copy_keys(struct clone *c, struct error *err)
{
	_cleanup_buffer_ struct buffer before = {0}, after = {0};

	for (int i = 0; i < TRIES; i++) {
		int r = fs_remove_tree(c->to, "keys", err);

		if (r == 0)
			r = fs_make_directories(c->to, "keys", 0700, err);
		if (r == 0)
			r = read_master(c, &before, err);
		if (r == 0)
			r = copy_slots(c, err);
		if (r == 0)
			r = read_master(c, &after, err);
		if (r < 0)
			return r;
		if (buffer_equal(&before, &after))
			return write_master(c, &after, err);
	}
	return error_set(err, ERROR_BUSY, "its keys change faster than they can be copied");
}

static int copy_all(struct clone *c, struct error *err)
{
	static const char *const folders[] = {"keys", "packs", "journal", "known", "locks", "sessions"};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(folders); i++)
		r = fs_make_directories(c->to, folders[i], 0700, err);
	if (r == 0)
		r = copy_state(c, err);
	if (r == 0)
		r = copy_keys(c, err);
	if (r == 0) /* the last: what has none is no repository */
		r = copy_small(c->from, c->to, "format", err);
	return r;
}

int clone_copy(const char *from, const char *to, const struct progress *progress, struct error *err)
{
	struct clone c = {.from = -1, .to = -1, .progress = progress};
	int r;

	if (mkdir(to, 0700) < 0)
		return errno == EEXIST ? error_set(err, ERROR_EXISTS,
						 "'%s' is there already, whole or of a clone that was "
						 "stopped: remove it, "
						 "or name another",
						 to)
				       : error_errno(err, errno, "make '%s'", to);
	r = c.from = fs_open(AT_FDCWD, from, O_RDONLY | O_DIRECTORY, 0, err);
	if (r >= 0)
		r = c.to = fs_open(AT_FDCWD, to, O_RDONLY | O_DIRECTORY, 0, err);
	if (r >= 0)
		r = copy_all(&c, err);
	tell(&c, true);
	cleanup_fd(&c.from);
	cleanup_fd(&c.to);
	if (r < 0)
		fs_remove_tree(AT_FDCWD, to, NULL);
	return r < 0 ? r : 0;
}
