/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hidden data are appended to a nameless file that is emptied at every layer's end. What of them belongs to
 * which file is kept in records: pieces with their offsets, so that holes stay holes.
 */
#include "oci/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "os/fs.h"

#define BUFFER_BYTES (1u << 20)
#define PIECES_MAX   4000000u /* of all hidden files of one layer, which take 24 bytes of memory each */

struct piece {
	uint64_t offset, at; /* in the file, in the spool */
	uint64_t size;
};

struct record { /* one hidden file; the merge's inode carries its index in `number` */
	uint64_t size;
	size_t first, count; /* pieces */
};

struct spool {
	struct erofs_writer *writer;
	int directory, fd;
	uint8_t *buffer;
	size_t fill;
	uint64_t flushed; /* bytes in the file; behind them comes the buffer */
	struct piece *pieces;
	size_t piece_count, piece_room;
	struct record *records;
	size_t record_count, record_room;
	bool hidden; /* the file that is open is */
};

int spool_new(struct erofs_writer *w, int directory, struct spool **out, struct error *err)
{
	struct spool *s = calloc(1, sizeof *s);

	if (!s)
		return error_no_memory(err, "hidden files");
	*s = (struct spool){.writer = w, .directory = directory, .fd = -1};
	*out = s;
	return 0;
}

void spool_free(struct spool *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	free(s->buffer);
	free(s->pieces);
	free(s->records);
	free(s);
}

/* ---- the nameless file ------------------------------------------------------------------------------ */

/* O_TMPFILE would do, but not every file system has it. */
static int open_file(struct spool *s, struct error *err)
{
	_cleanup_free_ char *name = text_format(err, "hidden.%d.%p", getpid(), (void *)s);

	if (!name)
		return -ERROR_NO_MEMORY;
	s->fd = fs_open(s->directory, name, O_RDWR | O_CREAT | O_EXCL, 0600, err);
	if (s->fd < 0)
		return s->fd;
	unlinkat(s->directory, name, 0);
	return 0;
}

static int flush(struct spool *s, struct error *err)
{
	size_t done = 0;
	int r = s->fd < 0 ? open_file(s, err) : 0;

	if (r < 0)
		return r;
	while (done < s->fill) {
		ssize_t n = pwrite(s->fd, s->buffer + done, s->fill - done, (off_t)(s->flushed + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "write data of hidden files");
		done += (size_t)n;
	}
	s->flushed += s->fill;
	s->fill = 0;
	return 0;
}

static int append(struct spool *s, const uint8_t *bytes, size_t n, struct error *err)
{
	int r = 0;

	if (!s->buffer)
		s->buffer = malloc(BUFFER_BYTES);
	if (!s->buffer)
		return error_no_memory(err, "hidden files");
	while (r == 0 && n > 0) {
		size_t part = BUFFER_BYTES - s->fill < n ? BUFFER_BYTES - s->fill : n;

		memcpy(s->buffer + s->fill, bytes, part);
		s->fill += part;
		bytes += part;
		n -= part;
		if (s->fill == BUFFER_BYTES)
			r = flush(s, err);
	}
	return r;
}

static int read_back(struct spool *s, uint64_t at, uint8_t *out, size_t n, struct error *err)
{
	while (n > 0 && at < s->flushed) {
		size_t part = n < s->flushed - at ? n : (size_t)(s->flushed - at);
		ssize_t got = pread(s->fd, out, part, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return error_errno(err, got < 0 ? errno : EIO, "read data of hidden files");
		at += (uint64_t)got;
		out += got;
		n -= (size_t)got;
	}
	if (n > 0)
		memcpy(out, s->buffer + (at - s->flushed), n);
	return 0;
}

/* ---- the sink --------------------------------------------------------------------------------------- */

static void *grow(void *list, size_t count, size_t *room, size_t each)
{
	size_t more = *room ? *room * 2 : 64;
	void *new;

	if (count < *room)
		return list;
	new = reallocarray(list, more, each);
	if (new)
		*room = more;
	return new;
}

static int begin(void *context, uint64_t size, bool hidden, struct error *err)
{
	struct spool *s = context;
	struct record *records;

	s->hidden = hidden;
	if (!hidden)
		return erofs_file_begin(s->writer, size, err);
	records = grow(s->records, s->record_count, &s->record_room, sizeof *records);
	if (!records)
		return error_no_memory(err, "hidden files");
	s->records = records;
	s->records[s->record_count++] = (struct record){.size = size, .first = s->piece_count};
	return 0;
}

static int data(void *context, uint64_t offset, const uint8_t *bytes, size_t n, struct error *err)
{
	struct spool *s = context;
	struct piece *last = s->piece_count ? &s->pieces[s->piece_count - 1] : NULL;
	struct record *record;

	if (!s->hidden)
		return erofs_file_data(s->writer, offset, bytes, n, err);
	record = &s->records[s->record_count - 1];
	if (record->count && last && last->offset + last->size == offset) {
		last->size += n;
		return append(s, bytes, n, err);
	}
	if (s->piece_count == PIECES_MAX)
		return error_set(
			err, ERROR_LIMIT, "hidden files with over %u parts between their holes", PIECES_MAX);
	last = grow(s->pieces, s->piece_count, &s->piece_room, sizeof *last);
	if (!last)
		return error_no_memory(err, "hidden files");
	s->pieces = last;
	s->pieces[s->piece_count++] = (struct piece){.offset = offset, .at = s->flushed + s->fill, .size = n};
	record->count++;
	return append(s, bytes, n, err);
}

static int end(void *context, struct erofs_inode *inode, struct error *err)
{
	struct spool *s = context;

	if (!s->hidden)
		return erofs_file_end(s->writer, inode, err);
	inode->number = (uint32_t)(s->record_count - 1);
	return 0;
}

static int copy_piece(struct spool *s, const struct piece *p, uint8_t *bytes, struct error *err)
{
	uint64_t done = 0;
	int r = 0;

	while (r == 0 && done < p->size) {
		size_t part = p->size - done < BUFFER_BYTES ? (size_t)(p->size - done) : BUFFER_BYTES;

		r = read_back(s, p->at + done, bytes, part, err);
		if (r == 0)
			r = erofs_file_data(s->writer, p->offset + done, bytes, part, err);
		done += part;
	}
	return r;
}

static int claim(void *context, struct erofs_inode *inode, struct error *err)
{
	struct spool *s = context;
	const struct record *record = &s->records[inode->number];
	_cleanup_free_ uint8_t *bytes = malloc(BUFFER_BYTES);
	int r;

	if (!bytes)
		return error_no_memory(err, "hidden files");
	r = erofs_file_begin(s->writer, record->size, err);
	for (size_t i = 0; r == 0 && i < record->count; i++)
		r = copy_piece(s, &s->pieces[record->first + i], bytes, err);
	return r == 0 ? erofs_file_end(s->writer, inode, err) : r;
}

static int forget(void *context, struct error *err)
{
	struct spool *s = context;

	s->piece_count = s->record_count = 0;
	s->fill = 0;
	s->flushed = 0;
	if (s->fd >= 0 && ftruncate(s->fd, 0) < 0)
		return error_errno(err, errno, "empty the file of hidden files");
	return 0;
}

struct merge_sink spool_sink(struct spool *s)
{
	return (struct merge_sink){
		.context = s, .begin = begin, .data = data, .end = end, .claim = claim, .forget = forget};
}
