/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the log: segments → pieces (a packed segment's frames, or all of one that is not packed) → records
 * → lines. A line is put together per stream, since a process writes standard output and standard error as it
 * likes.
 *
 * Pieces that by their index hold nothing of the time that is asked for are passed over. Where reading goes
 * on behind them, lines may be unfinished whose beginning was not read: how long that is stands in the index,
 * so the rest of such a line is counted through and not told. It would not have been: it begins out of that
 * time.
 *
 * With a number of last lines asked for, the log is first read from ever further back, until so many are
 * counted.
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
#include "sandbox/output_pack.h"

#define FOLLOW_POLL_MS 500
#define READ_SIZE      (1u << 20)

/* Where reading begins or ends: `offset` counts bytes of records. */
struct place {
	uint32_t segment;
	uint64_t offset;
};

struct line {
	struct buffer bytes;
	uint64_t time;
	bool unseen; /* its beginning was not read: `bytes` stands for it, and is not told */
};

struct reader {
	const struct output_query *query;
	regex_t regex;
	bool has_regex;
	uint64_t skip;  /* lines to pass over before the first that is told */
	uint64_t lines; /* that match */
	uint64_t sure;  /* of these, behind the last one whose beginning was not seen */
	int (*take)(void *context, const struct output_line *line); /* NULL: count only */
	void *context;
	struct line partial[OUTPUT_STREAMS];
	bool gap; /* records were passed over before the next one */
	struct place at;
	struct buffer piece;
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
	r->sure++;
	if (!r->take || r->lines <= r->skip)
		return 0;
	return r->take(r->context, line);
}

static int flush_partial(struct reader *r, uint32_t stream)
{
	struct line *l = &r->partial[stream];
	struct output_line line = {l->time, (enum output_stream)stream, l->bytes.data, l->bytes.size};
	int result = 0;

	if (l->unseen)
		r->sure = 0;
	else if (l->bytes.size)
		result = tell(r, &line);
	buffer_clear(&l->bytes);
	l->unseen = false;
	return result;
}

/* Adds a record's bytes to its stream's line, telling each line that becomes whole. */
static int take_bytes(struct reader *r, const struct output_record *record, struct error *err)
{
	struct line *l = &r->partial[record->stream];
	const uint8_t *data = record->data;
	size_t n = record->size;
	int result = 0;

	while (result == 0 && n) {
		const uint8_t *newline = memchr(data, '\n', n);
		size_t part = newline ? (size_t)(newline - data) + 1 : n;

		if (part > OUTPUT_LINE_MAX - l->bytes.size)
			part = OUTPUT_LINE_MAX - l->bytes.size;
		if (l->bytes.size == 0)
			l->time = record->time;
		if (!buffer_append(&l->bytes, data, part) || !buffer_reserve(&l->bytes, 1))
			return error_no_memory(err, "read the log");
		l->bytes.data[l->bytes.size] = 0; /* not every regexec() stops where REG_STARTEND says */
		if (l->bytes.data[l->bytes.size - 1] == '\n' || l->bytes.size == OUTPUT_LINE_MAX)
			result = flush_partial(r, record->stream);
		data += part;
		n -= part;
	}
	return result;
}

/* The lines that are unfinished here, as the log itself knows. A line of ours that is none of them has ended
 * without a newline, with the sandbox; of one that is not ours the beginning is gone. */
static int take_state(struct reader *r, const struct output_open *open, struct error *err)
{
	int result = 0;

	for (uint32_t i = 0; result == 0 && i < OUTPUT_STREAMS; i++) {
		struct line *l = &r->partial[i];

		if (!r->gap && l->bytes.size == open->bytes[i])
			continue;
		if (!r->gap)
			result = flush_partial(r, i);
		buffer_clear(&l->bytes);
		if (!buffer_reserve(&l->bytes, open->bytes[i] + 1))
			return error_no_memory(err, "read the log");
		memset(l->bytes.data, 0, open->bytes[i]);
		l->bytes.size = open->bytes[i];
		l->unseen = open->bytes[i] > 0;
	}
	r->gap = false;
	return result;
}

static int take_record(struct reader *r, const struct output_record *record, struct error *err)
{
	struct output_open open;

	if (record->stream != OUTPUT_STATE)
		return take_bytes(r, record, err);
	return output_state_read(record, &open) ? take_state(r, &open, err) : 0;
}

/* All whole records from c on; *done grows by their bytes. */
static int take_records(struct reader *r, struct cursor *c, struct error *err)
{
	struct output_record record;
	int result = 0;

	while (result == 0 && output_record_next(c, &record) > 0) {
		r->at.offset += OUTPUT_HEADER_SIZE + record.size;
		result = take_record(r, &record, err);
	}
	return result;
}

/* ---- pieces ----------------------------------------------------------------------------------------- */

/* A segment, opened. */
struct segment {
	int fd;
	struct output_frame *frames; /* NULL: it is not packed */
	size_t count;
};

static void segment_close(struct segment *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->frames);
}
#define _cleanup_segment_ _cleanup_(segment_close)

/* Packed or not; it may be packed this moment. One that is gone, or damaged, has nothing. */
static int segment_open(int directory, uint32_t number, struct segment *s, struct error *err)
{
	char name[OUTPUT_NAME_SIZE];

	*s = (struct segment){.fd = -1};
	for (int try = 0; s->fd < 0 && try < 3; try++) {
		bool packed = try != 1;
		int r;

		s->fd = openat(directory, output_segment_name(number, packed, name),
			O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (s->fd < 0 || !packed)
			continue;
		r = output_index_read(s->fd, &s->frames, &s->count, err);
		if (r == -ERROR_NO_MEMORY)
			return r;
		if (r < 0)
			close(TAKE_FD(s->fd));
	}
	return 0;
}

/* Nothing in it is told, and no line that is goes on in it. */
static bool may_pass(const struct reader *r, const struct output_frame *f)
{
	const struct output_query *q = r->query;

	if (!(q->since && f->latest < q->since) && !(q->until && f->earliest > q->until))
		return false;
	for (size_t i = 0; i < OUTPUT_STREAMS; i++) {
		const struct line *l = &r->partial[i];

		if (l->bytes.size && !l->unseen && !(q->since && l->time < q->since) &&
			!(q->until && l->time > q->until))
			return false;
	}
	return true;
}

/* Its bytes from `from` on, up to `to`. */
static int read_frame(
	struct reader *r, int fd, const struct output_frame *f, size_t from, uint64_t to, struct error *err)
{
	struct cursor c;
	int result = output_frame_read(fd, f, &r->piece, err);
	size_t size = to < r->piece.size ? (size_t)to : r->piece.size;

	if (result == -ERROR_NO_MEMORY)
		return result;
	if (result < 0 || from > size) {
		r->gap = true;
		return 0;
	}
	if (r->gap && (result = take_state(r, &f->open, err)) != 0)
		return result;
	c = cursor_of(r->piece.data + from, size - from);
	return take_records(r, &c, err);
}

/* From r->at.offset on, up to `end`: it may have been packed, with more in it, since that was its end. */
static int read_packed(struct reader *r, const struct segment *s, uint64_t end, struct error *err)
{
	uint64_t start = 0;
	int result = 0;

	for (size_t i = 0; result == 0 && i < s->count && start < end; start += s->frames[i++].size) {
		const struct output_frame *f = &s->frames[i];

		if (r->at.offset >= start + f->size)
			continue;
		if (r->at.offset == start && may_pass(r, f))
			r->gap = true;
		else
			result = read_frame(r, s->fd, f, (size_t)(r->at.offset - start), end - start, err);
		if (result == 0 && end - start >= f->size)
			r->at.offset = start + f->size;
	}
	return result;
}

/* The records from r->at.offset on, up to `end`, or to one that a killed writer cut. */
static int read_plain(struct reader *r, const struct segment *s, uint64_t end, struct error *err)
{
	int result = 0;

	buffer_clear(&r->piece);
	if (!buffer_reserve(&r->piece, READ_SIZE))
		return error_no_memory(err, "read the log");
	while (result == 0 && r->at.offset < end) {
		uint64_t left = end - r->at.offset, before = r->at.offset;
		ssize_t n = pread(s->fd, r->piece.data, left < READ_SIZE ? (size_t)left : READ_SIZE,
			(off_t)r->at.offset);
		struct cursor c = cursor_of(r->piece.data, n > 0 ? (size_t)n : 0);

		result = take_records(r, &c, err);
		if (r->at.offset == before)
			break;
	}
	return result;
}

static int read_segment(struct reader *r, int directory, uint64_t end, struct error *err)
{
	_cleanup_segment_ struct segment s;
	int result = segment_open(directory, r->at.segment, &s, err);

	if (result < 0)
		return result;
	if (s.fd < 0)
		r->gap = true;
	else
		result = s.frames ? read_packed(r, &s, end, err) : read_plain(r, &s, end, err);
	return result;
}

/* ---- all of it -------------------------------------------------------------------------------------- */

/* The end of the log as it is now; segment 0: there is none. */
static int find_end(int directory, uint32_t *oldest, struct place *end, struct error *err)
{
	_cleanup_segment_ struct segment s = {.fd = -1};
	struct stat st;
	int r = output_segments(directory, oldest, &end->segment, err);

	end->offset = 0;
	if (r == 0 && end->segment)
		r = segment_open(directory, end->segment, &s, err);
	if (r < 0 || s.fd < 0)
		return r;
	if (s.frames)
		end->offset = UINT64_MAX; /* it was the newest just now, and is whole */
	else if (fstat(s.fd, &st) == 0)
		end->offset = (uint64_t)st.st_size;
	return 0;
}

static int read_range(
	struct reader *r, int directory, uint32_t first, const struct place *end, struct error *err)
{
	int result = 0;

	r->gap = true;
	for (uint32_t n = first; result == 0 && n && n <= end->segment; n++) {
		r->at = (struct place){.segment = n};
		result = read_segment(r, directory, n == end->segment ? end->offset : UINT64_MAX, err);
	}
	return result;
}

/* All there is now, from where the last call ended. */
static int read_available(struct reader *r, int directory, struct error *err)
{
	uint32_t oldest, newest;
	int result = output_segments(directory, &oldest, &newest, err);

	if (result < 0 || newest == 0)
		return result;
	if (r->at.segment < oldest)
		r->at = (struct place){.segment = oldest};
	for (; result == 0; r->at = (struct place){.segment = r->at.segment + 1}) {
		result = read_segment(r, directory, UINT64_MAX, err);
		if (r->at.segment >= newest)
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

static int flush_all(struct reader *r)
{
	int result = 0;

	for (uint32_t i = 0; result == 0 && i < OUTPUT_STREAMS; i++)
		result = flush_partial(r, i);
	return result;
}

static void reader_free(struct reader *r)
{
	for (size_t i = 0; i < OUTPUT_STREAMS; i++)
		buffer_free(&r->partial[i].bytes);
	buffer_free(&r->piece);
}

/* The segment from which on there are as many lines as are wanted, and how many too many. A line of which
 * only the end is met may be one of them: what comes before that does not count. */
static int find_start(struct reader *r, int directory, uint32_t oldest, const struct place *end,
	uint32_t *first, struct error *err)
{
	for (uint32_t back = 0;; back = back * 2 + 1) {
		struct reader counter = {.query = r->query, .regex = r->regex, .has_regex = r->has_regex};
		int result;

		*first = end->segment - oldest > back ? end->segment - back : oldest;
		result = read_range(&counter, directory, *first, end, err);
		if (result == 0)
			result = flush_all(&counter);
		reader_free(&counter);
		if (result < 0)
			return result;
		if (counter.sure >= r->query->last || *first == oldest) {
			r->skip = counter.lines > r->query->last ? counter.lines - r->query->last : 0;
			return 0;
		}
	}
}

static int read_all(struct reader *r, int sandbox, int directory, struct error *err)
{
	struct place end;
	uint32_t oldest;
	int result = find_end(directory, &oldest, &end, err);
	uint32_t first = oldest;

	if (result == 0 && r->query->last && end.segment)
		result = find_start(r, directory, oldest, &end, &first, err);
	if (result == 0)
		result = read_range(r, directory, first, &end, err);
	if (result == 0 && r->query->follow && fs_is_locked(sandbox, "lock"))
		result = follow(r, sandbox, directory, err);
	return result ? result : flush_all(r);
}

int output_read(int sandbox, const struct output_query *query,
	int (*take)(void *context, const struct output_line *line), void *context, struct error *err)
{
	struct reader r = {.query = query, .take = take, .context = context};
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
	result = read_all(&r, sandbox, directory, err);
	reader_free(&r);
	if (r.has_regex)
		regfree(&r.regex);
	return result;
}
