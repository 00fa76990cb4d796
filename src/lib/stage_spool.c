/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/stage.h"
#include "os/fs.h"

#define NAME  ".spool"
#define BLOCK 4096
#define PIECE 65536

/* Without O_TMPFILE the name is there for a moment. */
int spool_open(struct spool *s, int at, uint64_t most, struct error *err)
{
	*s = (struct spool){.fd = openat(at, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), .most = most};
	if (s->fd < 0) {
		unlinkat(at, NAME, 0);
		s->fd = fs_open(at, NAME, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, err);
		unlinkat(at, NAME, 0);
	}
	return s->fd < 0 ? s->fd : 0;
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
	return !*bytes && !memcmp(bytes, bytes + 1, n - 1);
}

static int write_at(struct spool *s, const uint8_t *bytes, size_t n, struct error *err)
{
	s->stored += n;
	if (s->stored > s->most)
		return error_set(err, ERROR_LIMIT, "the sandbox tells of more than its disk can hold");
	while (n) {
		ssize_t done = pwrite(s->fd, bytes, n, (off_t)s->size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return error_errno(err, done ? errno : ENOSPC, "keep what is staged");
		s->size += (uint64_t)done;
		bytes += done;
		n -= (size_t)done;
	}
	return 0;
}

int spool_add(struct spool *s, const void *data, size_t n, struct error *err)
{
	const uint8_t *bytes = data;
	int r = 0;

	while (r == 0 && n) {
		size_t part = BLOCK - s->size % BLOCK;

		part = n < part ? n : part;
		if (is_zero(bytes, part)) /* a hole */
			s->size += part;
		else
			r = write_at(s, bytes, part, err);
		bytes += part;
		n -= part;
	}
	return r == 0 && ftruncate(s->fd, (off_t)s->size) < 0 ? error_errno(err, errno, "keep what is staged")
							      : r;
}

int spool_read(int fd, upper_taker *take, void *context, struct error *err)
{
	_cleanup_free_ uint8_t *piece = malloc(PIECE);
	uint64_t at = 0;

	if (!piece)
		return error_no_memory(err, "read what is staged");
	for (;;) {
		ssize_t n = pread(fd, piece, PIECE, (off_t)at);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "read what is staged");
		if (n == 0)
			return 0;
		r = take(context, piece, (size_t)n, err);
		if (r < 0)
			return r;
		at += (uint64_t)n;
	}
}
