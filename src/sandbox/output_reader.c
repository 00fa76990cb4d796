/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the log: segments → records → lines. A line is put together per stream, since a process writes
 * standard output and standard error as it likes. With a number of last lines asked for, the log is read
 * twice, once to count: both times as it was at one moment, however fast it is written meanwhile.
 */
#include "sandbox/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "os/fs.h"
#include "sandbox/output_format.h"

#define LINE_MAX_SIZE  65536
#define FOLLOW_POLL_MS 500
#define STREAM_COUNT   3
#define SEGMENTS_MAX   (OUTPUT_TOTAL / OUTPUT_SEGMENT + 2)

/* The log at one moment. Segments that are removed later can still be read. */
struct snapshot {
	int fds[SEGMENTS_MAX]; /* of the segments from `first` on; -1: there is none of this number */
	uint32_t first, count;
	uint64_t end; /* of the last one */
};

struct reader {
	const struct output_query *query;
	regex_t regex;
	bool has_regex;
	uint64_t skip; /* lines to pass over before the first that is told */
	uint64_t lines;
	int (*take)(void *context, const struct output_line *line); /* NULL: count only */
	void *context;
	struct buffer partial[STREAM_COUNT];
	uint64_t partial_time[STREAM_COUNT];
	uint32_t segment; /* where reading goes on, and how far it is */
	uint64_t offset;
};

static bool matches(const struct reader *r, const struct output_line *line)
{
	const struct output_query *q = r->query;
	regmatch_t range = {.rm_so = 0, .rm_eo = (regoff_t)line->size};

	if (q->streams && !(q->streams & 1u << line->stream))
		return false;
	if ((q->since && line->time < q->since) || (q->until && line->time > q->until))
		return false;
	if (!r->has_regex)
		return true;
	if (range.rm_eo && ((const char *)line->data)[range.rm_eo - 1] == '\n')
		range.rm_eo--;
	return regexec(&r->regex, line->data, 1, &range, REG_STARTEND) == 0;
}

static int tell(struct reader *r, const struct output_line *line)
{
	if (!matches(r, line))
		return 0;
	r->lines++;
	if (!r->take || r->lines <= r->skip)
		return 0;
	return r->take(r->context, line);
}

static int flush_partial(struct reader *r, enum output_stream stream)
{
	struct buffer *b = &r->partial[stream];
	struct output_line line = {r->partial_time[stream], stream, b->data, b->size};
	int result = b->size ? tell(r, &line) : 0;

	buffer_clear(b);
	return result;
}

/* Adds a record's bytes to its stream's line, telling each line that becomes whole. */
static int take_record(struct reader *r, enum output_stream stream, uint64_t time, const uint8_t *data,
	size_t n, struct error *err)
{
	struct buffer *b = &r->partial[stream];
	int result = 0;

	while (result == 0 && n) {
		const uint8_t *newline = memchr(data, '\n', n);
		size_t part = newline ? (size_t)(newline - data) + 1 : n;

		if (part > LINE_MAX_SIZE - b->size)
			part = LINE_MAX_SIZE - b->size;
		if (b->size == 0)
			r->partial_time[stream] = time;
		if (!buffer_append(b, data, part) || !buffer_reserve(b, 1))
			return error_no_memory(err, "read the log");
		b->data[b->size] = 0; /* not every regexec() stops where REG_STARTEND says */
		if (b->data[b->size - 1] == '\n' || b->size == LINE_MAX_SIZE)
			result = flush_partial(r, stream);
		data += part;
		n -= part;
	}
	return result;
}

/* The records of one segment from r->offset on, up to `end`, its end, or a record that a killed writer cut.
 */
static int read_segment(struct reader *r, int fd, uint64_t end, struct error *err)
{
	uint8_t header[OUTPUT_HEADER_SIZE], data[OUTPUT_RECORD_MAX];

	for (;;) {
		struct cursor c = cursor_of(header, sizeof header);
		uint32_t size, stream;
		uint64_t time;
		int result;

		if (pread(fd, header, sizeof header, (off_t)r->offset) != sizeof header)
			return 0;
		size = cursor_u32(&c);
		stream = cursor_u32(&c);
		time = cursor_u64(&c);
		if (size > OUTPUT_RECORD_MAX || stream >= STREAM_COUNT ||
			r->offset + sizeof header + size > end)
			return 0;
		if (pread(fd, data, size, (off_t)(r->offset + sizeof header)) != (ssize_t)size)
			return 0;
		r->offset += sizeof header + size;
		result = take_record(r, (enum output_stream)stream, time, data, size, err);
		if (result != 0)
			return result;
	}
}

static int snapshot_take(int directory, struct snapshot *s, struct error *err)
{
	uint32_t oldest, newest;
	char name[OUTPUT_NAME_SIZE];
	struct stat st;
	int r = output_segments(directory, &oldest, &newest, err);

	*s = (struct snapshot){0};
	if (r < 0 || newest == 0)
		return r;
	s->first = newest - oldest < SEGMENTS_MAX ? oldest : newest - SEGMENTS_MAX + 1;
	for (uint32_t n = s->first; n <= newest; n++)
		s->fds[s->count++] =
			openat(directory, output_segment_name(n, name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	s->end = fstat(s->fds[s->count - 1], &st) == 0 ? (uint64_t)st.st_size : 0;
	return 0;
}

static void snapshot_close(struct snapshot *s)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
}

static int read_snapshot(struct reader *r, const struct snapshot *s, struct error *err)
{
	int result = 0;

	for (uint32_t i = 0; result == 0 && i < s->count; i++) {
		r->segment = s->first + i;
		r->offset = 0;
		if (s->fds[i] >= 0)
			result = read_segment(r, s->fds[i], i + 1 < s->count ? UINT64_MAX : s->end, err);
	}
	return result;
}

/* All there is now, from where the last call ended. */
static int read_available(struct reader *r, int directory, struct error *err)
{
	uint32_t oldest, newest;
	char name[OUTPUT_NAME_SIZE];
	int result = output_segments(directory, &oldest, &newest, err);

	if (result < 0 || newest == 0)
		return result;
	if (r->segment < oldest) {
		r->segment = oldest;
		r->offset = 0;
	}
	for (; result == 0; r->segment++, r->offset = 0) {
		_cleanup_fd_ int fd = openat(
			directory, output_segment_name(r->segment, name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0)
			result = read_segment(r, fd, UINT64_MAX, err);
		if (r->segment >= newest)
			break;
	}
	return result;
}

static int follow(struct reader *r, int sandbox, int directory, struct error *err)
{
	_cleanup_fd_ int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[64], events[4096];
	int result = 0;

	snprintf(path, sizeof path, "/proc/self/fd/%d", directory);
	if (watch < 0 || inotify_add_watch(watch, path, IN_MODIFY | IN_CREATE) < 0)
		return error_errno(err, errno, "watch the log");
	for (bool last = false; result == 0; last = !fs_is_locked(sandbox, "lock")) {
		struct pollfd p = {.fd = watch, .events = POLLIN};

		result = read_available(r, directory, err);
		if (last)
			break;
		if (result == 0 && poll(&p, 1, FOLLOW_POLL_MS) > 0)
			while (read(watch, events, sizeof events) > 0)
				continue;
	}
	return result;
}

static int read_all(struct reader *r, const struct snapshot *s, int sandbox, int directory, struct error *err)
{
	int result = read_snapshot(r, s, err);

	if (result == 0 && r->take && r->query->follow && fs_is_locked(sandbox, "lock"))
		result = follow(r, sandbox, directory, err);
	for (int i = 0; result == 0 && i < STREAM_COUNT; i++)
		result = flush_partial(r, (enum output_stream)i);
	return result;
}

static int count_lines(
	struct reader *r, const struct snapshot *snapshot, int sandbox, int directory, struct error *err)
{
	struct reader counter = {.query = r->query, .regex = r->regex, .has_regex = r->has_regex};
	int result = read_all(&counter, snapshot, sandbox, directory, err);

	for (int s = 0; s < STREAM_COUNT; s++)
		buffer_free(&counter.partial[s]);
	if (counter.lines > r->query->last)
		r->skip = counter.lines - r->query->last;
	return result;
}

int output_read(int sandbox, const struct output_query *query,
	int (*take)(void *context, const struct output_line *line), void *context, struct error *err)
{
	struct reader r = {.query = query, .take = take, .context = context};
	struct snapshot snapshot;
	_cleanup_fd_ int directory = openat(sandbox, "log", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int result;

	if (directory < 0)
		return errno == ENOENT ? 0 : error_errno(err, errno, "open the log");
	if (query->grep) {
		char why[200];
		int bad = regcomp(&r.regex, query->grep, REG_EXTENDED);

		if (bad) {
			regerror(bad, &r.regex, why, sizeof why);
			return error_set(err, ERROR_INVALID, "regular expression '%s': %s", query->grep, why);
		}
		r.has_regex = true;
	}
	result = snapshot_take(directory, &snapshot, err);
	if (result == 0 && query->last)
		result = count_lines(&r, &snapshot, sandbox, directory, err);
	if (result == 0)
		result = read_all(&r, &snapshot, sandbox, directory, err);
	snapshot_close(&snapshot);
	for (int s = 0; s < STREAM_COUNT; s++)
		buffer_free(&r.partial[s]);
	if (r.has_regex)
		regfree(&r.regex);
	return result;
}
