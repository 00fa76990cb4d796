/* SPDX-License-Identifier: Apache-2.0 */
/* What nobody needs goes, and nothing else, while others write. */
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "monofs_place.h"

#define COUNT 400u

/* Objects are the numbers up to COUNT; `needed` says which are. */
struct world {
	int fd;
	struct crypt crypt;
	struct object_id ids[COUNT];
	bool needed[COUNT];
	void (*while_marking)(struct world *w);
	struct store *other;
};

static struct store *open_store(struct world *w)
{
	struct store *s;
	struct error err;

	CHECK_OK(store_open_at(w->fd, &w->crypt, false, NULL, &s, &err));
	return s;
}

static void put_some(struct world *w, struct store *s, unsigned from, unsigned to)
{
	struct store_writer *writer;
	struct error err;

	CHECK_OK(store_writer_new(s, &writer, &err));
	for (unsigned i = from; i < to; i++)
		CHECK_OK(store_put(writer, OBJECT_CHUNK, &i, sizeof i, &w->ids[i], NULL, &err));
	CHECK_OK(store_writer_flush(writer, &err));
	CHECK_OK(store_sync(s, &err));
	store_writer_free(writer);
}

/* In packs of 100, by a process that has ended. */
static void make(struct world *w, uint8_t key)
{
	struct store *s;

	*w = (struct world){.fd = monofs_store_make(monofs_place(), "s")};
	monofs_crypt(&w->crypt, key);
	s = open_store(w);
	for (unsigned i = 0; i < COUNT; i += 100)
		put_some(w, s, i, i + 100);
	store_close(s);
}

static bool live(void *context, const struct object_id *id)
{
	struct world *w = context;

	for (unsigned i = 0; i < COUNT; i++)
		if (object_id_equal(&w->ids[i], id))
			return w->needed[i];
	return false;
}

static int mark(void *context, struct error *err)
{
	struct world *w = context;

	(void)err;
	if (w->while_marking)
		w->while_marking(w);
	return 0;
}

static struct store_sweep sweep_as(struct world *w, unsigned keep_percent, bool dry_run)
{
	struct store_sweep sweep = {
		.mark = mark, .live = live, .context = w, .keep_percent = keep_percent, .dry_run = dry_run};
	struct store *s = open_store(w);
	struct error err;

	CHECK_OK(store_tidy(s, &sweep, &err));
	store_close(s);
	return sweep;
}

static struct store_sweep sweep(struct world *w, unsigned keep_percent)
{
	return sweep_as(w, keep_percent, false);
}

static void need(struct world *w, unsigned from, unsigned to, bool needed)
{
	for (unsigned i = from; i < to; i++)
		w->needed[i] = needed;
}

static void no_damage(void *context, const struct object_id *id, const char *file, const char *what)
{
	(void)context;
	(void)id;
	test_fail(__FILE__, __LINE__, "%s: %s", file, what);
}

/* What is needed is in packs that are not condemned. */
static void check_indexed(struct world *w)
{
	struct store *s = open_store(w);
	struct error err;

	for (unsigned i = 0; i < COUNT; i++)
		if (w->needed[i])
			CHECK_INT(store_has(s, &w->ids[i], &err), 1);
	store_close(s);
}

static void check_needed(struct world *w)
{
	struct store *s = open_store(w);
	struct store_check check = {.read_data = true, .damaged = no_damage};
	struct store_bytes bytes;
	struct error err;

	for (unsigned i = 0; i < COUNT; i++) {
		if (!w->needed[i])
			continue;
		CHECK_OK(store_get(s, OBJECT_CHUNK, &w->ids[i], &bytes, &err));
		CHECK(bytes.size == sizeof i && memcmp(bytes.bytes, &i, sizeof i) == 0);
		store_release(s, &bytes);
	}
	CHECK_OK(store_check(s, &check, &err));
	store_close(s);
}

static struct store_statistics statistics(struct world *w)
{
	struct store *s = open_store(w);
	struct store_statistics t;
	struct error err;

	CHECK_OK(store_statistics(s, &t, &err));
	store_close(s);
	return t;
}

TEST(packs_that_nobody_needs_are_condemned_and_then_removed)
{
	struct store_sweep result;
	struct world w;

	make(&w, 1);
	need(&w, 100, 300, true);
	result = sweep_as(&w, 0, true);
	CHECK_INT(result.condemned_packs, 2);
	CHECK_INT(statistics(&w).packs, 4);
	result = sweep(&w, 0);
	CHECK_INT(result.condemned_packs, 2);
	CHECK_INT(result.removed_packs, 0);
	CHECK_INT(statistics(&w).packs, 2);
	CHECK_INT(statistics(&w).condemned, 2);
	CHECK_INT(statistics(&w).objects, 200);
	result = sweep(&w, 0);
	CHECK_INT(result.removed_packs, 2);
	CHECK_INT(statistics(&w).condemned, 0);
	check_needed(&w);
	close(w.fd);
}

TEST(nothing_goes_before_its_grace_is_over)
{
	struct store_sweep grace = {.mark = mark, .live = live, .grace = 1000};
	struct world w;
	struct store *s;
	struct error err;

	make(&w, 0);
	sweep(&w, 0);
	s = open_store(&w);
	grace.context = &w;
	CHECK_OK(store_tidy(s, &grace, &err));
	CHECK_INT(grace.removed_packs, 0);
	CHECK_INT(grace.condemned_packs, 0);
	store_close(s);
	CHECK_INT(sweep(&w, 0).removed_packs, 4);
	close(w.fd);
}

TEST(packs_that_are_needed_a_little_are_written_anew)
{
	struct store_sweep result;
	struct world w;

	make(&w, 1);
	for (unsigned i = 0; i < COUNT; i += 20)
		w.needed[i] = true;
	need(&w, 300, 400, true);
	result = sweep(&w, 50);
	CHECK_INT(result.rewritten_packs, 3);
	CHECK_INT(result.condemned_packs, 3);
	CHECK_INT(statistics(&w).packs, 2);
	CHECK_INT(statistics(&w).objects, 115);
	check_needed(&w);
	CHECK_INT(sweep(&w, 50).removed_packs, 3);
	check_needed(&w);
	CHECK_INT(sweep(&w, 50).condemned_packs, 0);
	close(w.fd);
}

/* Then it is its own copy. */
TEST(a_pack_that_is_written_anew_as_it_was_stays)
{
	struct store_sweep done;
	struct world w;

	make(&w, 0);
	need(&w, 0, COUNT, true);
	CHECK_INT(sweep(&w, 101).condemned_packs, 4);
	for (unsigned round = 0; round < 3; round++) {
		done = sweep(&w, 101);
		CHECK_INT(done.rewritten_packs, 1);
		CHECK_INT(done.condemned_packs, 0);
		check_indexed(&w);
	}
	CHECK_INT(statistics(&w).packs, 1);
	check_needed(&w);
	close(w.fd);
}

TEST(many_small_packs_become_few)
{
	struct world w = {.fd = monofs_store_make(monofs_place(), "s")};
	struct store *s;

	monofs_crypt(&w.crypt, 0);
	s = open_store(&w);
	for (unsigned i = 0; i < COUNT; i += 20)
		put_some(&w, s, i, i + 20);
	store_close(s);
	need(&w, 0, COUNT, true);
	CHECK_INT(sweep(&w, 50).rewritten_packs, 20);
	CHECK_INT(statistics(&w).packs, 1);
	check_needed(&w);
	sweep(&w, 50);
	check_needed(&w);
	CHECK_INT(statistics(&w).condemned, 0);
	close(w.fd);
}

TEST(what_a_living_session_wrote_is_left_alone)
{
	struct store *s;
	struct world w;

	make(&w, 0);
	w.fd = monofs_store_make(monofs_place(), "other");
	s = open_store(&w);
	put_some(&w, s, 0, 100);
	CHECK_INT(sweep(&w, 50).condemned_packs, 0);
	store_close(s);
	CHECK_INT(sweep(&w, 50).condemned_packs, 1);
	close(w.fd);
}

/* ---- others, at the worst moment --------------------------------------------------------------------- */

struct writing {
	struct world *w;
	struct store *s;
	atomic_bool done;
};

static void *write_packs(void *context)
{
	struct writing *g = context;

	for (unsigned i = 0; i < COUNT / 3; i++)
		put_some(g->w, g->s, i, i + 1);
	atomic_store(&g->done, true);
	return NULL;
}

/* Also what has its name already, and is not in the index yet. */
TEST(what_a_living_session_writes_is_left_alone_while_others_sweep)
{
	struct world w = {.fd = monofs_store_make(monofs_place(), "s")};
	struct writing g = {.w = &w};
	unsigned condemned = 0;
	pthread_t thread;

	monofs_crypt(&w.crypt, 0);
	g.s = open_store(&w);
	CHECK_INT(pthread_create(&thread, NULL, write_packs, &g), 0);
	while (!atomic_load(&g.done))
		condemned += (unsigned)sweep(&w, 0).condemned_packs;
	pthread_join(thread, NULL);
	CHECK_INT(condemned, 0);
	need(&w, 0, COUNT / 3, true);
	check_indexed(&w);
	store_close(g.s);
	close(w.fd);
}

static void find_again(struct world *w)
{
	struct store_writer *writer;
	struct error err;
	bool fresh;

	if (!w->other)
		w->other = open_store(w);
	CHECK_OK(store_writer_new(w->other, &writer, &err));
	for (unsigned i = 0; i < 10; i++) {
		CHECK_OK(store_put(writer, OBJECT_CHUNK, &i, sizeof i, &w->ids[i], &fresh, &err));
		CHECK(!fresh);
	}
	store_writer_free(writer);
	w->while_marking = NULL;
}

/* It found them before they were condemned, and names them after. */
TEST(what_another_relies_on_meanwhile_comes_back)
{
	struct store_bytes bytes;
	struct error err;
	struct world w;

	make(&w, 1);
	w.while_marking = find_again;
	CHECK_INT(sweep(&w, 0).condemned_packs, 4);
	for (unsigned round = 0; round < 3; round++)
		CHECK_INT(sweep(&w, 0).removed_packs, 0); /* its session lives */
	need(&w, 0, 10, true);
	CHECK_OK(store_get(w.other, OBJECT_CHUNK, &w.ids[3], &bytes, &err));
	store_release(w.other, &bytes);
	store_close(w.other);
	CHECK_INT(sweep(&w, 0).removed_packs, 3);
	check_needed(&w);
	close(w.fd);
}

TEST(what_is_needed_by_the_next_mark_comes_back_without_being_read)
{
	struct world w;

	make(&w, 0);
	CHECK_INT(sweep(&w, 0).condemned_packs, 4);
	need(&w, 150, 160, true);
	CHECK_INT(sweep(&w, 0).removed_packs, 3);
	check_needed(&w);
	CHECK_INT(statistics(&w).packs, 1);
	close(w.fd);
}

static void sweep_too(struct world *w)
{
	struct store_sweep second = {.mark = mark, .live = live, .context = w};
	struct store *s = open_store(w);
	struct error err;

	w->while_marking = NULL;
	CHECK_ERROR(store_tidy(s, &second, &err), ERROR_BUSY);
	store_close(s);
}

TEST(one_sweeps_at_a_time)
{
	struct world w;

	make(&w, 0);
	w.while_marking = sweep_too;
	sweep(&w, 0);
	close(w.fd);
}

TEST(a_condemned_pack_is_back_when_the_index_is_made_again)
{
	struct world w;

	make(&w, 0);
	CHECK_INT(sweep(&w, 0).condemned_packs, 4);
	CHECK(unlinkat(w.fd, "index.db", 0) == 0);
	unlinkat(w.fd, "index.db-wal", 0);
	unlinkat(w.fd, "index.db-shm", 0);
	need(&w, 0, 50, true);
	CHECK_INT(statistics(&w).packs, 4);
	check_needed(&w);
	close(w.fd);
}
