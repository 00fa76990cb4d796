/* SPDX-License-Identifier: Apache-2.0 */
/* The log when it is so long that it is packed: what is told of it, and what is not even read. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "os/fs.h"
#include "sandbox/output_format.h"
#include "sandbox/output_pack.h"
#include "test.h"

#define LINES 600000 /* of 60 bytes: five segments */
#define HALF  (LINES / 2)

/* A log: lines "… N\n" on standard output, each in several records at times; and on standard error one line
 * that begins before the first of them and ends behind the last. */
struct log {
	char path[64];
	int fd;
	uint64_t half; /* a time before line HALF and after the one before */
};

static void make_line(char line[61], unsigned n)
{
	snprintf(line, 61, "%-52s%7u\n", "one of many lines, all of which are as long as this", n);
}

#define BLOCK 20 /* lines that are written at once, in two records of ever other sizes */

static void write_log(struct log *l)
{
	char lines[BLOCK * 60 + 1];
	struct output_writer *w;
	struct error err;

	CHECK_OK(output_open(l->fd, &w, &err));
	CHECK_OK(output_append(w, OUTPUT_ERR, "begin", 5, &err));
	for (unsigned n = 0; n < LINES; n += BLOCK) {
		size_t cut = n / BLOCK % (BLOCK * 60);

		if (n == HALF) {
			usleep(1000);
			l->half = clock_realtime();
			usleep(1000);
		}
		for (unsigned i = 0; i < BLOCK; i++)
			make_line(lines + 60 * i, n + i);
		CHECK_OK(output_append(w, OUTPUT_OUT, lines, cut, &err));
		CHECK_OK(output_append(w, OUTPUT_OUT, lines + cut, BLOCK * 60 - cut, &err));
	}
	CHECK_OK(output_append(w, OUTPUT_ERR, "end\n", 4, &err));
	output_close(w);
}

static void log_make(struct log *l)
{
	snprintf(l->path, sizeof l->path, "/tmp/test-output-XXXXXX");
	CHECK(mkdtemp(l->path));
	l->fd = open(l->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(l->fd >= 0);
}

static void log_open(struct log *l)
{
	log_make(l);
	write_log(l);
}

static void log_close(struct log *l)
{
	close(l->fd);
	fs_remove_tree(AT_FDCWD, l->path, NULL);
}
#define LOG(l) \
	__attribute__((cleanup(log_close))) struct log l; \
	log_open(&l)

/* All bytes of a segment's frames, and not its index, become nonsense. */
static void damage(const struct log *l, uint32_t segment)
{
	static const char junk[65536];
	_cleanup_fd_ int log = openat(l->fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	_cleanup_free_ struct output_frame *frames = NULL;
	char name[OUTPUT_NAME_SIZE];
	struct error err;
	size_t count;

	fd = openat(log, output_segment_name(segment, true, name), O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_OK(output_index_read(fd, &frames, &count, &err));
	for (size_t i = 0; i < count; i++)
		CHECK(pwrite(fd, junk, frames[i].packed < sizeof junk ? frames[i].packed : sizeof junk,
			      (off_t)frames[i].offset) > 0);
}

struct seen {
	unsigned first, next, count; /* lines of standard output */
	unsigned others;             /* of standard error */
	bool in_order;
	char other[64];
};

static int see(void *context, const struct output_line *line)
{
	struct seen *s = context;
	char expected[61];
	unsigned n;

	if (line->stream == OUTPUT_ERR) {
		snprintf(s->other, sizeof s->other, "%.*s", (int)line->size, (const char *)line->data);
		s->others++;
		return 0;
	}
	n = (unsigned)strtoul((const char *)line->data + 52, NULL, 10);
	make_line(expected, n);
	if (s->count++ == 0)
		s->first = n;
	else
		s->in_order &= n == s->next;
	s->in_order &= line->size == 60 && !memcmp(line->data, expected, 60);
	s->next = n + 1;
	return 0;
}

static struct seen query(const struct log *l, const struct output_query *q)
{
	struct seen s = {.in_order = true};
	struct error err;

	CHECK_OK(output_read(l->fd, q, see, &s, &err));
	CHECK(s.in_order);
	return s;
}

TEST(a_long_log_is_packed_and_told_as_it_was_written)
{
	struct seen s;
	uint32_t oldest, newest;
	struct error err;
	LOG(l);
	_cleanup_fd_ int log = openat(l.fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK_OK(output_segments(log, &oldest, &newest, &err));
	CHECK(oldest == 1 && newest >= 5);
	for (uint32_t n = oldest; n <= newest; n++)
		for (int packed = 0; packed < 2; packed++) {
			char name[OUTPUT_NAME_SIZE];
			bool there = faccessat(log, output_segment_name(n, packed, name), F_OK, 0) == 0;

			CHECK(there == ((n < newest) == packed));
		}
	s = query(&l, &(struct output_query){0});
	CHECK_INT(s.count, LINES);
	CHECK_INT(s.first, 0);
	CHECK_INT(s.others, 1);
	CHECK_TEXT(s.other, "beginend\n");
}

TEST(of_a_time_only_the_pieces_that_have_it_are_read)
{
	struct seen s;
	struct error err;
	LOG(l);

	damage(&l, 1);
	s = query(&l, &(struct output_query){.since = l.half});
	CHECK_INT(s.first, HALF);
	CHECK_INT(s.count, LINES - HALF);
	CHECK_INT(s.others, 0); /* it began before */
	damage(&l, 4);
	s = (struct seen){0};
	CHECK_OK(output_read(l.fd, &(struct output_query){.since = l.half}, see, &s, &err));
	CHECK(s.count < LINES - HALF); /* damage is damage */
}

TEST(until_a_time_what_comes_behind_it_is_not_read_but_for_the_end_of_a_line)
{
	struct seen s;
	LOG(l);

	s = query(&l, &(struct output_query){.until = l.half, .streams = 1 << OUTPUT_OUT | 1 << OUTPUT_ERR});
	CHECK_INT(s.first, 0);
	CHECK_INT(s.count, HALF);
	CHECK_TEXT(s.other, "beginend\n");
}

TEST(the_last_lines_are_found_from_the_end)
{
	struct seen s;
	LOG(l);

	/* The line that begins before all others ends as the last: it is whole only with the first segment.
	 */
	s = query(&l, &(struct output_query){.last = 11});
	CHECK_INT(s.count, 10);
	CHECK_INT(s.first, LINES - 10);
	CHECK_TEXT(s.other, "beginend\n");
	s = query(&l, &(struct output_query){.last = 300001});
	CHECK_INT(s.count, 300000);
	CHECK_INT(s.next, LINES);
	s = query(&l, &(struct output_query){.last = 5, .since = l.half, .streams = 1 << OUTPUT_OUT});
	CHECK_INT(s.first, LINES - 5);
	s = query(&l, &(struct output_query){.last = 3, .grep = " 1234.$"});
	CHECK_INT(s.next, 12350);
}

/* A log of which so much more is written with the first line that is told that what was its end is packed. */
struct growing {
	struct seen seen;
	struct output_writer *writer;
};

static void write_lines(struct output_writer *w, unsigned from, unsigned to)
{
	struct error err;
	char line[61];

	for (unsigned n = from; n < to; n++) {
		make_line(line, n);
		CHECK_OK(output_append(w, OUTPUT_OUT, line, 60, &err));
	}
}

static int see_growing(void *context, const struct output_line *line)
{
	struct growing *g = context;

	if (!g->seen.count)
		write_lines(g->writer, HALF, LINES);
	return see(&g->seen, line);
}

TEST(the_last_lines_are_those_there_were_though_many_more_come_meanwhile)
{
	struct growing g = {.seen = {.in_order = true}};
	struct log l;
	struct error err;

	log_make(&l);
	CHECK_OK(output_open(l.fd, &g.writer, &err));
	write_lines(g.writer, 0, HALF);
	CHECK_OK(output_read(l.fd, &(struct output_query){.last = HALF / 2}, see_growing, &g, &err));
	output_close(g.writer);
	log_close(&l);
	CHECK(g.seen.in_order);
	CHECK_INT(g.seen.first, HALF - HALF / 2);
	CHECK_INT(g.seen.next, HALF);
}

TEST(a_damaged_piece_costs_its_own_lines_and_no_others)
{
	struct seen s = {0};
	struct error err;
	LOG(l);

	damage(&l, 2);
	CHECK_OK(output_read(l.fd, &(struct output_query){.streams = 1 << OUTPUT_OUT}, see, &s, &err));
	CHECK(s.count > LINES / 2 && s.count < LINES);
	CHECK_INT(s.first, 0);
	CHECK_INT(s.next, LINES);
}

TEST(an_index_of_nonsense_is_an_error_and_nothing_worse)
{
	_cleanup_free_ struct output_frame *frames = NULL;
	_cleanup_fd_ int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	uint8_t bytes[200];
	struct error err;
	uint32_t random = 1;
	size_t count;

	CHECK(fd >= 0);
	CHECK_ERROR(output_index_read(fd, &frames, &count, &err), ERROR_CORRUPT);
	for (int i = 0; i < 2000; i++) {
		for (size_t n = 0; n < sizeof bytes; n++)
			bytes[n] = (uint8_t)((random = random * 1103515245 + 12345) >> 16);
		memcpy(bytes + sizeof bytes - 8, "mlogidx1", 8);
		memset(bytes + sizeof bytes - 15, 0, 7);
		bytes[sizeof bytes - 16] = (uint8_t)(i % 8);
		CHECK(pwrite(fd, bytes, sizeof bytes, 0) == sizeof bytes);
		if (output_index_read(fd, &frames, &count, &err) == 0) {
			CHECK(count < 8);
			free(TAKE_PTR(frames));
		}
	}
}

TEST(a_line_that_a_restart_cut_is_a_line_of_its_own)
{
	char path[] = "/tmp/test-output-XXXXXX";
	struct output_writer *w;
	struct seen s = {0};
	struct error err;
	int fd;

	CHECK(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		CHECK_OK(output_open(fd, &w, &err));
		CHECK_OK(output_append(w, OUTPUT_ERR, "half", 4, &err));
		output_close(w);
	}
	CHECK_OK(output_read(fd, &(struct output_query){0}, see, &s, &err));
	close(fd);
	fs_remove_tree(AT_FDCWD, path, NULL);
	CHECK_INT(s.others, 2);
	CHECK_TEXT(s.other, "half");
}
