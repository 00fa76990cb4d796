/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/tar_stream.h"

#include <errno.h>
#include <string.h>

#include "codec/decompress.h"

#define BUFFER_SIZE (256u << 10)

struct tar_stream {
	int fd;
	const char *name;
	struct decompress *d;
	struct tar_reader *reader;
	uint8_t *raw, *plain;
	const uint8_t *raw_at, *plain_at;
	size_t raw_left, plain_left;
	bool raw_begun, raw_ended, plain_ended;
	bool in_entry;
	uint64_t at, size;    /* of the entry's bytes: what was given, and how many there are */
	struct tar_data data; /* of it what was not given yet */
};

void tar_stream_free(struct tar_stream *s)
{
	if (!s)
		return;
	decompress_free(s->d);
	tar_reader_free(s->reader);
	free(s->raw);
	free(s->plain);
	free(s);
}

int tar_stream_new(int fd, const char *name, struct tar_stream **out, struct error *err)
{
	const struct decompress_options options = {0};
	struct tar_stream *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return error_no_memory(err, "read an archive");
	s->fd = fd;
	s->name = name;
	s->raw = malloc(BUFFER_SIZE);
	s->plain = malloc(BUFFER_SIZE);
	r = s->raw && s->plain ? decompress_new(&options, &s->d, err)
			       : error_no_memory(err, "read an archive");
	if (r == 0) {
		s->reader = tar_reader_new(NULL, err);
		r = s->reader ? 0 : -(int)ERROR_NO_MEMORY;
	}
	if (r < 0) {
		tar_stream_free(s);
		return r;
	}
	*out = s;
	return 0;
}

static int fill_raw(struct tar_stream *s, struct error *err)
{
	ssize_t n;

	if (s->raw_left || s->raw_ended)
		return 0;
	do
		n = read(s->fd, s->raw, BUFFER_SIZE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(err, errno, "read %s", s->name);
	s->raw_at = s->raw;
	s->raw_left = (size_t)n;
	s->raw_ended = n == 0;
	if (s->raw_ended && !s->raw_begun) /* what wrote it has failed: the least archive has its end */
		return error_set(err, ERROR_CORRUPT, "there is nothing in it, so it is no archive");
	s->raw_begun = true;
	return 0;
}

static int fill_plain(struct tar_stream *s, struct error *err)
{
	while (s->plain_left == 0 && !s->plain_ended) {
		size_t made = 0;
		int r = fill_raw(s, err);

		if (r == 0)
			r = decompress_step(
				s->d, &s->raw_at, &s->raw_left, s->plain, BUFFER_SIZE, &made, err);
		if (r == 0 && s->raw_ended && made == 0) {
			s->plain_ended = true;
			r = decompress_finish(s->d, err);
		}
		if (r < 0)
			return error_prefix(err, "%s", s->name);
		s->plain_at = s->plain;
		s->plain_left = made;
	}
	return 0;
}

/* What the reader tells next. At the end of the input it is TAR_END. */
static int step(struct tar_stream *s, enum tar_event *event, struct error *err)
{
	for (;;) {
		int r = fill_plain(s, err);

		if (r < 0)
			return r;
		if (s->plain_left == 0) {
			*event = TAR_END;
			r = tar_reader_finish(s->reader, err);
			return r < 0 ? error_prefix(err, "%s", s->name) : 0;
		}
		r = tar_reader_step(s->reader, &s->plain_at, &s->plain_left, event, err);
		if (r < 0)
			return error_prefix(err, "%s", s->name);
		if (*event != TAR_MORE)
			return 0;
	}
}

int tar_stream_next(struct tar_stream *s, const struct tar_entry **entry, struct error *err)
{
	enum tar_event event;

	for (;;) {
		int r = step(s, &event, err);

		if (r < 0)
			return r;
		if (event == TAR_END) {
			/* A compressed stream that is cut behind it is cut all the same. */
			if (s->plain_ended)
				return 0;
			s->plain_left = 0;
			continue;
		}
		if (event == TAR_ENTRY)
			break;
	}
	*entry = tar_reader_entry(s->reader);
	s->in_entry = true;
	s->at = 0;
	s->size = (*entry)->size;
	s->data = (struct tar_data){0};
	return 1;
}

/* There is data that was not given, or the entry has ended. */
static int next_data(struct tar_stream *s, struct error *err)
{
	enum tar_event event;

	while (s->in_entry && s->data.size == 0) {
		int r = step(s, &event, err);

		if (r < 0)
			return r;
		if (event == TAR_DATA)
			s->data = *tar_reader_data(s->reader);
		else
			s->in_entry = false;
	}
	return 0;
}

ssize_t tar_stream_read(struct tar_stream *s, void *to, size_t n, uint64_t *hole, struct error *err)
{
	size_t done = 0;

	while (done < n && s->at < s->size) {
		uint64_t gap, part;
		int r = next_data(s, err);

		if (r < 0)
			return r;
		gap = (s->in_entry ? s->data.offset : s->size) - s->at;
		if (gap && done == 0) {
			*hole = gap;
			s->at += gap;
			return 0;
		}
		part = gap ? gap : s->data.size;
		if (part > n - done)
			part = n - done;
		if (gap) {
			memset((uint8_t *)to + done, 0, (size_t)part);
		} else {
			memcpy((uint8_t *)to + done, s->data.bytes, (size_t)part);
			s->data.bytes += part;
			s->data.size -= (size_t)part;
			s->data.offset += part;
		}
		done += (size_t)part;
		s->at += part;
	}
	return (ssize_t)done;
}
