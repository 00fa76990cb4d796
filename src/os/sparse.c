/* SPDX-License-Identifier: Apache-2.0 */
#include "os/sparse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PAGE  4096
#define PIECE (64 * PAGE)

#define PUNCH_LEAST (4 * PAGE) /* smaller holes are more to keep than they free */

/* ---- what there is of it ------------------------------------------------------------------------------ */

/* A walk over the pieces of a file that are no holes. */
struct walk {
	int fd;
	const char *name;
	uint8_t *bytes; /* of the piece at `at`; a last page is filled up with zeroes */
	size_t size;    /* a multiple of PAGE */
	off_t at, next, hole;
};

static void walk_end(struct walk *w)
{
	free(w->bytes);
}

static int walk_begin(struct walk *w, int fd, const char *name, struct error *err)
{
	*w = (struct walk){.fd = fd, .name = name, .bytes = malloc(PIECE)};
	return w->bytes ? 0 : error_no_memory(err, name);
}

static int read_piece(struct walk *w, size_t want, struct error *err)
{
	size_t n = 0;

	while (n < want) {
		ssize_t got = pread(w->fd, w->bytes + n, want - n, w->at + (off_t)n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, errno, "read %s", w->name);
		if (got == 0)
			break;
		n += (size_t)got;
	}
	if (!n)
		return error_set(err, ERROR_CORRUPT, "read %s: it became shorter", w->name);
	w->size = (n + PAGE - 1) / PAGE * PAGE;
	memset(w->bytes + n, 0, w->size - n);
	w->next = w->at + (off_t)w->size;
	return 0;
}

/* 1: there is a piece; 0: that was all. */
static int walk_next(struct walk *w, struct error *err)
{
	off_t data;
	int r;

	w->at = w->next;
	if (w->at >= w->hole) {
		data = lseek(w->fd, w->at, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? 0 : error_errno(err, errno, "read %s", w->name);
		w->hole = lseek(w->fd, data, SEEK_HOLE);
		if (w->hole < 0)
			return error_errno(err, errno, "read %s", w->name);
		w->at = data - data % PAGE;
	}
	r = read_piece(w, w->hole - w->at < PIECE ? (size_t)(w->hole - w->at) : PIECE, err);
	return r < 0 ? r : 1;
}

static bool is_zero(const uint8_t *page)
{
	static const uint8_t zeroes[PAGE];

	return !memcmp(page, zeroes, PAGE);
}

static int digest_piece(const struct walk *w, struct sha256 *s)
{
	for (size_t i = 0; i < w->size; i += PAGE) {
		uint64_t number = ((uint64_t)w->at + i) / PAGE;

		if (is_zero(w->bytes + i))
			continue;
		sha256_update(s, &number, sizeof number);
		sha256_update(s, w->bytes + i, PAGE);
	}
	return 0;
}

int sparse_digest(int fd, const char *name, char digest[SHA256_HEX_SIZE], struct error *err)
{
	_cleanup_sha256_ struct sha256 s = {0};
	uint8_t hash[SHA256_SIZE];
	struct walk w;
	int r = walk_begin(&w, fd, name, err);

	if (r == 0)
		r = sha256_init(&s, err);
	while (r == 0 && (r = walk_next(&w, err)) > 0)
		r = digest_piece(&w, &s);
	walk_end(&w);
	if (r == 0)
		r = sha256_final(&s, hash, err);
	if (r == 0)
		sha256_hex(hash, digest);
	return r;
}

/* ---- what is done with it ----------------------------------------------------------------------------- */

/* The pages from `first` on that are all zeroes, or are not; at least one. */
static size_t run_of(const struct walk *w, size_t first, bool *zero)
{
	size_t end = first + PAGE;

	*zero = is_zero(w->bytes + first);
	while (end < w->size && is_zero(w->bytes + end) == *zero)
		end += PAGE;
	return end - first;
}

static int punch(const struct walk *w, struct error *err)
{
	size_t n;
	bool zero;

	for (size_t i = 0; i < w->size; i += n) {
		n = run_of(w, i, &zero);
		if (zero && n >= PUNCH_LEAST &&
			fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, w->at + (off_t)i,
				(off_t)n) < 0 &&
			errno != EOPNOTSUPP)
			return error_errno(err, errno, "make holes in %s", w->name);
	}
	return 0;
}

int sparse_punch(int fd, const char *name, struct error *err)
{
	struct walk w;
	int r = walk_begin(&w, fd, name, err);

	while (r == 0 && (r = walk_next(&w, err)) > 0)
		r = punch(&w, err);
	walk_end(&w);
	return r;
}

static int write_all(int fd, const uint8_t *bytes, size_t n, off_t at, const char *name, struct error *err)
{
	while (n) {
		ssize_t wrote = pwrite(fd, bytes, n, at);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return error_errno(err, errno, "write %s", name);
		bytes += wrote;
		n -= (size_t)wrote;
		at += wrote;
	}
	return 0;
}

/* `size`: of the file, which may end within its last page. */
static int copy_piece(const struct walk *w, int to, off_t size, struct error *err)
{
	size_t n;
	bool zero;
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->size; i += n) {
		off_t at = w->at + (off_t)i;

		n = run_of(w, i, &zero);
		if (!zero && at < size)
			r = write_all(to, w->bytes + i, size - at < (off_t)n ? (size_t)(size - at) : n, at,
				w->name, err);
	}
	return r;
}

int sparse_copy(int from, int to, const char *name, struct error *err)
{
	struct walk w;
	struct stat s;
	int r;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	if (fstat(from, &s) < 0 || ftruncate(to, s.st_size) < 0)
		return error_errno(err, errno, "copy %s", name);
	r = walk_begin(&w, from, name, err);
	while (r == 0 && (r = walk_next(&w, err)) > 0)
		r = copy_piece(&w, to, s.st_size, err);
	walk_end(&w);
	return r < 0 ? error_prefix(err, "copy") : 0;
}
