/* SPDX-License-Identifier: Apache-2.0 */
/* The journal: what was appended comes back, up to the first record that is not whole. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "monofs/journal.h"
#include "monofs_place.h"
#include "os/fs.h"

static const struct object_id main_id = {{1}}, content_id = {{2}}, identity_id = {{3}}, other_id = {{9}};

struct place {
	char path[256];
	int fd;
	struct crypt crypt;
};

static void place_make(struct place *p, uint8_t key)
{
	monofs_path(monofs_place(), "r", p->path);
	CHECK(mkdir(p->path, 0700) == 0);
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(p->fd >= 0);
	monofs_crypt(&p->crypt, key);
}

static struct journal *open_at(struct place *p, const struct object_id *at)
{
	struct journal *j;
	struct error err;

	CHECK_OK(journal_open(p->fd, &p->crypt, at, &content_id, &identity_id, &j, &err));
	return j;
}

#define SMALL 5u /* records of a journal that is cut everywhere */

/* Records are numbered by their argument: 1, 2, 3, …; bodies are made of it. */
struct seen {
	uint64_t count;
	struct journal *j;
};

static size_t body_of(uint64_t number, uint8_t out[5000])
{
	size_t n = (size_t)(number * 37 % (number > SMALL ? 5000 : 100));

	monofs_bytes(out, (n + 7) / 8 * 8, number);
	return n;
}

static int see(
	void *context, const struct journal_record *r, const struct journal_place *place, struct error *err)
{
	struct seen *s = context;
	uint8_t bytes[5008], read[5008];
	size_t n = body_of(r->argument, bytes);

	(void)err;
	CHECK_INT(r->argument, ++s->count);
	CHECK_INT(r->type, r->argument % 7);
	CHECK_INT(r->object, r->argument * 3);
	CHECK_INT(r->seconds, -(int64_t)r->argument);
	CHECK_INT(r->nanoseconds, r->argument);
	CHECK_INT(r->size, n);
	CHECK(n == 0 || !memcmp(r->body, bytes, n));
	CHECK_INT(journal_read(s->j, place->segment, place->at, n, n / 3, read, n - n / 3), 0);
	CHECK(!memcmp(read, bytes + n / 3, n - n / 3));
	return 0;
}

static uint64_t replay(struct journal *j)
{
	struct seen s = {.j = j};
	struct error err;

	CHECK_OK(journal_replay(j, see, &s, &err));
	return s.count;
}

/* In two parts, sometimes. */
static int append(struct journal *j, uint64_t number)
{
	uint8_t bytes[5008];
	size_t n = body_of(number, bytes), head = number % 3 == 0 ? n / 2 : number % 3 == 1 ? 0 : n;
	struct journal_record r = {.type = (uint8_t)(number % 7),
		.object = number * 3,
		.argument = number,
		.seconds = -(int64_t)number,
		.nanoseconds = (uint32_t)number,
		.body = bytes,
		.size = head};

	return journal_append(j, &r, bytes + head, n - head, NULL);
}

static void append_to(struct journal *j, uint64_t from, uint64_t to)
{
	for (; from <= to; from++)
		CHECK_INT(append(j, from), 0);
}

static void check_comes_back(uint8_t key)
{
	struct place p;
	struct journal *j;
	struct error err;
	uint64_t through;

	place_make(&p, key);
	j = open_at(&p, &main_id);
	CHECK_INT(replay(j), 0);
	append_to(j, 1, 50);
	CHECK_OK(journal_freeze(j, &through, &err));
	append_to(j, 51, 80);
	CHECK_INT(journal_sync(j), 0);
	journal_close(j);
	j = open_at(&p, &main_id);
	CHECK_INT(replay(j), 80);
	append_to(j, 81, 100);
	journal_close(j);
	j = open_at(&p, &main_id);
	CHECK_INT(replay(j), 100);
	journal_close(j);
	close(p.fd);
}

TEST(what_was_appended_comes_back_in_order)
{
	check_comes_back(0);
}

TEST(what_was_appended_sealed_comes_back_in_order)
{
	check_comes_back(1);
}

/* ---- what is not whole --------------------------------------------------------------------------------- */

static size_t read_segment(struct place *p, const char *name, uint8_t *bytes, size_t room)
{
	char path[300];
	int fd;
	ssize_t n;

	snprintf(path, sizeof path, "journal/%s", name);
	fd = openat(p->fd, path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	n = read(fd, bytes, room);
	close(fd);
	CHECK(n >= 0);
	return (size_t)n;
}

static void write_segment(struct place *p, const char *name, const uint8_t *bytes, size_t n)
{
	char path[300];
	int fd;

	snprintf(path, sizeof path, "journal/%s", name);
	fd = openat(p->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK_INT(write(fd, bytes, n), n);
	close(fd);
}

#define FIRST  "0000000000000001"
#define SECOND "0000000000000002"

/* A journal of a few records in one segment: its bytes, and where each record ends. */
static size_t make_small(struct place *p, uint8_t key, uint8_t *bytes, size_t ends[SMALL + 1])
{
	struct journal *j;

	place_make(p, key);
	j = open_at(p, &main_id);
	replay(j);
	ends[0] = 40;
	for (uint64_t i = 1; i <= SMALL; i++) {
		append_to(j, i, i);
		ends[i] = 40 + (size_t)journal_bytes(j);
	}
	journal_close(j);
	return read_segment(p, FIRST, bytes, 1u << 16);
}

static uint64_t whole_within(const size_t ends[SMALL + 1], size_t n)
{
	uint64_t count = 0;

	while (count < SMALL && ends[count + 1] <= n)
		count++;
	return count;
}

static uint64_t replayed(struct place *p, const uint8_t *bytes, size_t n)
{
	struct journal *j;
	uint64_t count;

	write_segment(p, FIRST, bytes, n);
	j = open_at(p, &main_id);
	count = replay(j);
	journal_close(j);
	return count;
}

static void check_cuts(uint8_t key)
{
	_cleanup_free_ uint8_t *bytes = malloc(1u << 16);
	size_t ends[SMALL + 1], n;
	struct place p;

	n = make_small(&p, key, bytes, ends);
	CHECK_INT(n, ends[SMALL]);
	for (size_t i = 0; i <= SMALL; i++)
		for (int by = -17; by <= 49; by += 11)
			if (ends[i] + by <= n)
				CHECK_INT(
					replayed(&p, bytes, ends[i] + by), whole_within(ends, ends[i] + by));
	CHECK_INT(replayed(&p, bytes, 0), 0);
	close(p.fd);
}

TEST(a_journal_that_is_cut_anywhere_has_all_records_before)
{
	check_cuts(0);
}

TEST(a_sealed_journal_that_is_cut_anywhere_has_all_records_before)
{
	check_cuts(1);
}

static void check_flips(uint8_t key)
{
	_cleanup_free_ uint8_t *bytes = malloc(1u << 16);
	size_t ends[SMALL + 1], n;
	struct place p;

	n = make_small(&p, key, bytes, ends);
	for (size_t at = 0; at < n; at += 15) {
		bytes[at] ^= (uint8_t)(1u << at % 8);
		CHECK_INT(replayed(&p, bytes, n), at < 40 ? 0 : whole_within(ends, at));
		bytes[at] ^= (uint8_t)(1u << at % 8);
	}
	CHECK_INT(replayed(&p, bytes, n), SMALL);
	close(p.fd);
}

TEST(a_byte_that_is_wrong_ends_replay_there)
{
	check_flips(0);
}

TEST(a_byte_that_is_wrong_in_a_sealed_journal_ends_replay_there)
{
	check_flips(1);
}

TEST(a_segment_behind_one_that_is_torn_is_gone_for_good)
{
	_cleanup_free_ uint8_t *bytes = malloc(1u << 20);
	struct place p;
	struct journal *j;
	struct error err;
	uint64_t through;
	size_t n;

	place_make(&p, 0);
	j = open_at(&p, &main_id);
	replay(j);
	append_to(j, 1, 20);
	n = 40 + (size_t)journal_bytes(j);
	append_to(j, 21, 21);
	CHECK_OK(journal_freeze(j, &through, &err));
	append_to(j, 22, 30);
	journal_close(j);
	read_segment(&p, FIRST, bytes, 1u << 20);
	write_segment(&p, FIRST, bytes, n + 5);
	j = open_at(&p, &main_id);
	CHECK_INT(replay(j), 20);
	append_to(j, 21, 25);
	journal_close(j);
	j = open_at(&p, &main_id);
	CHECK_INT(replay(j), 25);
	journal_close(j);
	close(p.fd);
}

TEST(a_sealed_journal_tells_nothing_and_cannot_be_taken_apart)
{
	_cleanup_free_ uint8_t *bytes = malloc(1u << 16), *mixed = malloc(1u << 16);
	static const char secret[] = "a name that nobody should read";
	struct journal_record r = {.type = 1, .body = secret, .size = sizeof secret - 1};
	size_t ends[SMALL + 1], n, first, second;
	struct place p;
	struct journal *j;

	place_make(&p, 1);
	j = open_at(&p, &main_id);
	replay(j);
	CHECK_INT(journal_append(j, &r, NULL, 0, NULL), 0);
	journal_close(j);
	n = read_segment(&p, FIRST, bytes, 1u << 16);
	CHECK(!memmem(bytes, n, secret, 8));
	close(p.fd);
	n = make_small(&p, 2, bytes, ends);
	first = ends[1] - ends[0];
	second = ends[2] - ends[1];
	memcpy(mixed, bytes, n);
	memcpy(mixed + ends[0], bytes + ends[1], second);
	memcpy(mixed + ends[0] + second, bytes + ends[0], first);
	write_segment(&p, FIRST, mixed, n);
	j = open_at(&p, &main_id);
	/* The second record's number is 2, wherever it lies: it is whole, and the first is late. */
	CHECK_INT(journal_replay(j, (journal_take *)see, &(struct seen){.count = 1, .j = j}, NULL), 0);
	journal_close(j);
	close(p.fd);
}

/* ---- revisions ----------------------------------------------------------------------------------------- */

TEST(what_a_revision_has_is_not_replayed)
{
	struct place p;
	struct journal *j;
	struct journal_base base;
	struct error err;
	uint64_t through;

	place_make(&p, 0);
	CHECK_INT(journal_base(p.fd, &base, &err), 0);
	j = open_at(&p, &main_id);
	replay(j);
	append_to(j, 1, 10);
	CHECK_OK(journal_freeze(j, &through, &err));
	append_to(j, 1, 5);
	CHECK_OK(journal_intend(j, through, &other_id, &identity_id, &err));
	CHECK_OK(journal_forget(j, through, &other_id, &err));
	journal_close(j);
	CHECK_INT(journal_base(p.fd, &base, &err), 1);
	CHECK(object_id_equal(&base.commit, &other_id));
	CHECK(faccessat(p.fd, "journal/" FIRST, F_OK, 0) < 0);
	j = open_at(&p, &other_id);
	CHECK_INT(replay(j), 5);
	journal_close(j);
	close(p.fd);
}

/* Opened and closed again with nothing appended, as by who mounts a tree to read it. */
static void check_reading_leaves_nothing(uint8_t key)
{
	uint8_t before[64], after[64] = {0};
	struct place p;
	struct journal *j;
	struct error err;

	place_make(&p, key);
	for (int i = 0; i < 3; i++) {
		memcpy(before, after, sizeof before);
		j = open_at(&p, &main_id);
		CHECK_INT(replay(j), 0);
		journal_close(j);
		CHECK_INT(journal_pending(p.fd, &err), 0);
		CHECK_INT(read_segment(&p, FIRST, after, sizeof after), 40);
		CHECK(faccessat(p.fd, "journal/" SECOND, F_OK, 0) < 0);
	}
	CHECK(!key || memcmp(before, after, sizeof before) != 0);
	j = open_at(&p, &main_id);
	replay(j);
	append_to(j, 1, 3);
	journal_close(j);
	CHECK_INT(journal_pending(p.fd, &err), 1);
	for (int i = 0; i < 3; i++) {
		j = open_at(&p, &main_id);
		CHECK_INT(replay(j), 3);
		journal_close(j);
	}
	CHECK(faccessat(p.fd, "journal/0000000000000003", F_OK, 0) < 0);
	close(p.fd);
}

TEST(who_opens_a_journal_and_appends_nothing_leaves_nothing_pending)
{
	check_reading_leaves_nothing(0);
	check_reading_leaves_nothing(1);
}

TEST(a_segment_with_nothing_but_its_end_is_no_change_that_waits)
{
	struct place p;
	struct journal *j;
	struct error err;
	uint64_t through;

	place_make(&p, 0);
	j = open_at(&p, &main_id);
	replay(j);
	CHECK_OK(journal_freeze(j, &through, &err));
	journal_close(j);
	CHECK_INT(journal_pending(p.fd, &err), 0);
	j = open_at(&p, &other_id);
	CHECK_INT(replay(j), 0);
	journal_close(j);
	close(p.fd);
}

TEST(a_revision_whose_maker_died_before_it_said_so_is_known_by_its_roots)
{
	struct place p;
	struct journal *j;
	struct error err;
	uint64_t through;

	place_make(&p, 0);
	j = open_at(&p, &main_id);
	replay(j);
	append_to(j, 1, 10);
	CHECK_OK(journal_freeze(j, &through, &err));
	append_to(j, 1, 5);
	CHECK_OK(journal_intend(j, through, &content_id, &identity_id, &err));
	journal_close(j);
	/* The new commit has these roots; the old one has not: nothing was made. */
	CHECK_OK(journal_open(p.fd, &p.crypt, &other_id, &content_id, &identity_id, &j, &err));
	CHECK_INT(replay(j), 5);
	journal_close(j);
	close(p.fd);
}

TEST(a_revision_that_was_not_made_leaves_everything)
{
	struct place p;
	struct journal *j;
	struct error err;
	uint64_t through;

	place_make(&p, 0);
	j = open_at(&p, &main_id);
	replay(j);
	append_to(j, 1, 10);
	CHECK_OK(journal_freeze(j, &through, &err));
	append_to(j, 11, 15);
	CHECK_OK(journal_intend(j, through, &other_id, &identity_id, &err));
	journal_close(j);
	j = open_at(&p, &main_id);
	CHECK_INT(replay(j), 15);
	journal_close(j);
	close(p.fd);
}

TEST(changes_of_a_revision_that_main_has_left_are_not_lost_silently)
{
	struct place p;
	struct journal *j;
	struct error err;

	place_make(&p, 0);
	j = open_at(&p, &main_id);
	replay(j);
	journal_close(j);
	/* Without a change main may go anywhere. */
	j = open_at(&p, &other_id);
	replay(j);
	append_to(j, 1, 1);
	journal_close(j);
	CHECK_ERROR(
		journal_open(p.fd, &p.crypt, &main_id, &content_id, &identity_id, &j, &err), ERROR_INVALID);
	j = open_at(&p, &other_id);
	CHECK_INT(replay(j), 1);
	journal_close(j);
	close(p.fd);
}

TEST(a_damaged_base_is_told)
{
	struct place p;
	struct journal *j;
	struct error err;

	place_make(&p, 0);
	j = open_at(&p, &main_id);
	journal_close(j);
	write_segment(&p, "base", (const uint8_t *)"MFSBASE1", 8);
	CHECK_ERROR(
		journal_open(p.fd, &p.crypt, &main_id, &content_id, &identity_id, &j, &err), ERROR_CORRUPT);
	close(p.fd);
}

/* ---- the disk ------------------------------------------------------------------------------------------ */

TEST(what_does_not_fit_was_not_appended)
{
	struct rlimit before, limit;
	struct place p;
	struct journal *j;
	uint64_t bytes;

	place_make(&p, 0);
	j = open_at(&p, &main_id);
	replay(j);
	append_to(j, 1, 20);
	bytes = journal_bytes(j);
	signal(SIGXFSZ, SIG_IGN);
	CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
	limit = before;
	limit.rlim_cur = 40 + bytes + 30; /* not even a whole record's first part */
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	CHECK_INT(append(j, 21), -EFBIG);
	CHECK_INT(journal_bytes(j), bytes);
	CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
	append_to(j, 21, 40);
	journal_close(j);
	j = open_at(&p, &main_id);
	CHECK_INT(replay(j), 40);
	journal_close(j);
	close(p.fd);
}

TEST(a_body_that_is_too_long_is_refused)
{
	_cleanup_free_ uint8_t *bytes = calloc(1, JOURNAL_BODY_MAX + 1);
	struct journal_record r = {.type = 1};
	struct place p;
	struct journal *j;

	place_make(&p, 0);
	j = open_at(&p, &main_id);
	replay(j);
	CHECK_INT(journal_append(j, &r, bytes, JOURNAL_BODY_MAX + 1, NULL), -EFBIG);
	CHECK_INT(journal_append(j, &r, bytes, JOURNAL_BODY_MAX, NULL), 0);
	journal_close(j);
	close(p.fd);
}

TEST(what_is_held_can_be_read_though_the_segment_was_forgotten)
{
	uint8_t bytes[5008], read[5008];
	size_t n = body_of(9, bytes);
	struct journal_record r = {.type = 1};
	struct journal_place place;
	struct place p;
	struct journal *j;
	struct error err;
	uint64_t through;

	place_make(&p, 0);
	j = open_at(&p, &main_id);
	replay(j);
	CHECK_INT(journal_append(j, &r, bytes, n, &place), 0);
	journal_segment_hold(place.segment);
	CHECK_OK(journal_freeze(j, &through, &err));
	CHECK_OK(journal_forget(j, through, &other_id, &err));
	CHECK_INT(journal_read(j, place.segment, place.at, n, 0, read, n), 0);
	CHECK(!memcmp(read, bytes, n));
	journal_segment_drop(place.segment);
	journal_close(j);
	close(p.fd);
}

struct worker {
	struct journal *j;
	int failed;
};

static void *append_and_sync(void *context)
{
	struct worker *w = context;
	struct journal_record r = {.type = 1, .body = "x", .size = 1};

	for (int i = 0; i < 50 && !w->failed; i++)
		if (journal_append(w->j, &r, NULL, 0, NULL) < 0 || journal_sync(w->j) < 0)
			w->failed = 1;
	return NULL;
}

static int count(
	void *context, const struct journal_record *r, const struct journal_place *place, struct error *err)
{
	(void)place;
	(void)err;
	*(unsigned *)context += r->type == 1;
	return 0;
}

TEST(many_append_and_sync_at_once)
{
	struct worker workers[8];
	pthread_t threads[8];
	struct place p;
	struct journal *j;
	struct error err;
	unsigned n = 0;

	place_make(&p, 0);
	j = open_at(&p, &main_id);
	replay(j);
	for (int i = 0; i < 8; i++) {
		workers[i] = (struct worker){.j = j};
		CHECK(pthread_create(&threads[i], NULL, append_and_sync, &workers[i]) == 0);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		CHECK(!workers[i].failed);
	}
	journal_close(j);
	j = open_at(&p, &main_id);
	CHECK_OK(journal_replay(j, count, &n, &err));
	CHECK_INT(n, 400);
	journal_close(j);
	close(p.fd);
}
