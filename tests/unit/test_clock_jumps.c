/* SPDX-License-Identifier: Apache-2.0 */
/* What is written down with its time, by a clock that is set by days both ways: the log, and events. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "os/fs.h"
#include "sandbox/event_log.h"
#include "sandbox/output_format.h"
#include "test.h"

#define DAY (24 * 3600 * NANOSECONDS_PER_SECOND)

/* The time of day is this program's own. */
static uint64_t today;

int clock_gettime(clockid_t clock, struct timespec *t)
{
	if (clock != CLOCK_REALTIME)
		return (int)syscall(SYS_clock_gettime, clock, t);
	t->tv_sec = (time_t)(today / NANOSECONDS_PER_SECOND);
	t->tv_nsec = (long)(today % NANOSECONDS_PER_SECOND);
	return 0;
}

static struct error err;
static char folder[64];

static void remove_folder(void)
{
	if (folder[0])
		fs_remove_tree(AT_FDCWD, folder, NULL);
	folder[0] = 0;
}

static int open_folder(void)
{
	int fd;

	remove_folder();
	snprintf(folder, sizeof folder, "/tmp/mc-jumps-XXXXXX");
	CHECK(mkdtemp(folder));
	atexit(remove_folder);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

/* ---- the log ---------------------------------------------------------------------------------------------
 */

static int add_line(void *context, const struct output_line *line)
{
	buffer_append(context, line->data, line->size - 1); /* without its newline */
	return 0;
}

static void check_log(int fd, uint64_t since, uint64_t until, uint64_t last, const char *expected)
{
	const struct output_query q = {.since = since, .until = until, .last = last};
	_cleanup_buffer_ struct buffer told = {0};

	CHECK_OK(output_read(fd, &q, add_line, &told, &err));
	buffer_u8(&told, 0);
	CHECK_TEXT((const char *)told.data, expected);
}

static void say(struct output_writer *w, uint64_t time, const char *line)
{
	today = time;
	CHECK_OK(output_append(w, OUTPUT_OUT, line, strlen(line), &err));
}

/* a b c d e at these days, in this order. */
#define A (100 * DAY)
#define B (97 * DAY)
#define C (130 * DAY)
#define D (100 * DAY + 5)
#define E (100 * DAY + 6)

static void check_whole_log(int fd)
{
	check_log(fd, 0, 0, 0, "abcde");
	check_log(fd, A, 0, 0, "acde");
	check_log(fd, C, 0, 0, "c");
	check_log(fd, 0, B, 0, "b");
	check_log(fd, A, D, 0, "ad");
	check_log(fd, 0, 0, 2, "de");
	check_log(fd, 0, A, 1, "b"); /* the last that was written of them */
	check_log(fd, C + 1, 0, 0, "");
}

TEST(lines_are_found_by_their_times_in_whatever_order_these_are_packed_or_not)
{
	_cleanup_fd_ int fd = open_folder(), log = -1;
	struct output_writer *w;
	uint32_t oldest, newest;

	today = A;
	CHECK_OK(output_open(fd, &w, &err));
	say(w, A, "a\n");
	say(w, B, "b\n");
	say(w, C, "c\n");
	say(w, D, "d\n");
	say(w, E, "e\n");
	check_whole_log(fd);
	output_close(w); /* all that is over is packed by then */
	check_whole_log(fd);
	log = openat(fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_OK(output_segments(log, &oldest, &newest, &err));
	/* Whichever way the clock has gone by more than a day, a segment has become old. */
	CHECK_INT(newest, 4);
}

TEST(a_segment_of_a_clock_that_was_ahead_by_years_is_not_added_to_for_years)
{
	_cleanup_fd_ int fd = open_folder(), log = -1;
	struct output_writer *w;
	uint32_t oldest, newest;

	today = 9999 * DAY;
	CHECK_OK(output_open(fd, &w, &err));
	say(w, 9999 * DAY, "x\n");
	say(w, 100 * DAY, "y\n"); /* it was set right */
	say(w, 100 * DAY + DAY / 2, "z\n");
	output_close(w);
	log = openat(fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_OK(output_segments(log, &oldest, &newest, &err));
	CHECK_INT(newest, 2);
	check_log(fd, 100 * DAY, 101 * DAY, 0, "yz");
}

/* ---- events ----------------------------------------------------------------------------------------------
 */

static int add_action(void *context, const char *line, size_t size)
{
	const char *at = strstr(line, "\"action\":\"");

	(void)size;
	CHECK(at != NULL);
	buffer_append(context, at + 10, 1);
	return 0;
}

static void tell(const struct home *home, uint64_t time, const char *action)
{
	today = time;
	event_tell(home, &(struct event){.type = "test", .action = action});
}

TEST(events_come_in_the_order_in_which_they_happened_and_end_at_a_time_that_has_passed)
{
	_cleanup_fd_ int fd = open_folder(), stop = open("/dev/null", O_RDONLY | O_CLOEXEC);
	const struct home home = {.fd = fd, .events = fd, .path = folder};
	struct events_query q = {.stop = -1};
	_cleanup_buffer_ struct buffer told = {0};

	tell(&home, A, "a");
	tell(&home, B, "b");
	tell(&home, C, "c");
	CHECK_OK(events_read(&home, &q, add_action, &told, &err));
	today = 200 * DAY; /* it is late */
	q.follow = true;
	q.until = C;
	CHECK_OK(events_read(&home, &q, add_action, &told, &err));
	buffer_u8(&told, 0);
	CHECK_TEXT((const char *)told.data, "abcabc");
}
