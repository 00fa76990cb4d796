/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that are killed at any moment, several at once, and one that sweeps beside them: what
 * store_sync() had returned for is there, nothing is damaged, and what somebody names is never swept away.
 */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "monofs_place.h"

#define COUNT   256u
#define WRITERS 2u

/* What processes share: which object each of the writers names. */
struct shared {
	atomic_bool named[WRITERS][COUNT];
	atomic_uint syncs, sweeps;
};

static struct crypt keys;
static struct object_id ids[COUNT];

/* From 20 bytes to 60 KiB, so that frames and packs differ. */
static size_t object(unsigned n, uint8_t out[65536])
{
	size_t size = n % 16 == 0 ? 60000 : 20 + n * 13 % 3000;

	if (n % 2)
		monofs_text(out, size, n);
	else
		monofs_bytes(out, size, n);
	return size;
}

static void make_ids(uint8_t key)
{
	static uint8_t bytes[65536];
	struct error err;

	monofs_crypt(&keys, key);
	for (unsigned n = 0; n < COUNT; n++)
		CHECK_OK(crypt_id(&keys, OBJECT_CHUNK, bytes, object(n, bytes), &ids[n], &err));
}

static struct store *open_store(int fd)
{
	struct store *s;
	struct error err;

	CHECK_OK(store_open_at(fd, &keys, false, NULL, &s, &err));
	return s;
}

static void no_damage(void *context, const struct object_id *id, const char *file, const char *what)
{
	(void)context;
	(void)id;
	test_fail(__FILE__, __LINE__, "%s: %s", file, what);
}

static void check_store(int fd, const struct shared *shared)
{
	struct store_check check = {.read_data = true, .damaged = no_damage};
	static uint8_t bytes[65536];
	struct store *s = open_store(fd);
	struct error err;

	CHECK_OK(store_check(s, &check, &err));
	for (unsigned n = 0; n < COUNT; n++) {
		struct store_bytes got;
		bool named = false;

		for (unsigned w = 0; w < WRITERS; w++)
			named |= shared->named[w][n];
		if (!named)
			continue;
		CHECK_OK(store_get(s, OBJECT_CHUNK, &ids[n], &got, &err));
		CHECK(got.size == object(n, bytes) && memcmp(got.bytes, bytes, got.size) == 0);
		store_release(s, &got);
	}
	store_close(s);
}

/* ---- the processes ----------------------------------------------------------------------------------- */

#define MUST(call) \
	do { \
		if ((call) < 0) { \
			printf("# %s: %s\n", #call, err.text); \
			_exit(3); \
		} \
	} while (0)

/* Puts a few, syncs, and names them; lets go of what it named before. */
static void write_round(struct store *s, struct shared *shared, unsigned w, uint64_t *random)
{
	static uint8_t bytes[65536];
	struct store_writer *writer;
	struct object_id id;
	struct error err;
	unsigned put[24], count = 1 + (unsigned)monofs_random(random) % 24;

	MUST(store_writer_new(s, &writer, &err));
	for (unsigned i = 0; i < count; i++) {
		put[i] = (unsigned)monofs_random(random) % COUNT;
		MUST(store_put(writer, OBJECT_CHUNK, bytes, object(put[i], bytes), &id, NULL, &err));
		if (monofs_random(random) % 8 == 0)
			MUST(store_writer_flush(writer, &err));
	}
	MUST(store_writer_flush(writer, &err));
	MUST(store_sync(s, &err));
	store_writer_free(writer);
	for (unsigned i = 0; i < count; i++)
		shared->named[w][put[i]] = true;
	atomic_fetch_add(&shared->syncs, 1);
	for (unsigned i = 0; i < count; i++)
		shared->named[w][(unsigned)monofs_random(random) % COUNT] = false;
}

static void be_writer(int fd, struct shared *shared, unsigned w, uint64_t seed)
{
	for (;;) {
		struct store *s;
		struct error err;

		MUST(store_open_at(fd, &keys, false, NULL, &s, &err));
		for (unsigned i = (unsigned)monofs_random(&seed) % 6; i > 0; i--)
			write_round(s, shared, w, &seed);
		store_close(s);
	}
}

static bool marked[COUNT];

static int mark(void *context, struct error *err)
{
	struct shared *shared = context;

	(void)err;
	for (unsigned n = 0; n < COUNT; n++) {
		marked[n] = false;
		for (unsigned w = 0; w < WRITERS; w++)
			marked[n] |= shared->named[w][n];
	}
	return 0;
}

static bool live(void *context, const struct object_id *id)
{
	(void)context;
	for (unsigned n = 0; n < COUNT; n++)
		if (object_id_equal(id, &ids[n]))
			return marked[n];
	return false;
}

static void be_sweeper(int fd, struct shared *shared)
{
	for (;;) {
		struct store_sweep sweep = {
			.mark = mark, .live = live, .context = shared, .keep_percent = 60};
		struct store *s;
		struct error err;

		MUST(store_open_at(fd, &keys, false, NULL, &s, &err));
		MUST(store_tidy(s, &sweep, &err));
		store_close(s);
		atomic_fetch_add(&shared->sweeps, 1);
	}
}

static pid_t start(int fd, struct shared *shared, unsigned which, uint64_t seed)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (pid)
		return pid;
	alarm(60);
	if (which < WRITERS)
		be_writer(fd, shared, which, seed);
	else
		be_sweeper(fd, shared);
	_exit(0);
}

static void end(pid_t pid)
{
	int status;

	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void pause_for(unsigned milliseconds)
{
	nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000L}, NULL);
}

/* Kills one process after the other at random moments, and looks at what is there now and then. */
static void run(uint8_t key, unsigned processes, unsigned rounds)
{
	struct shared *shared =
		mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *given = getenv("MC_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	int fd = monofs_store_make(monofs_place(), "s");
	pid_t pids[WRITERS + 1];

	CHECK(shared != MAP_FAILED);
	printf("# MC_SEED=%llu\n", (unsigned long long)seed);
	make_ids(key);
	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned i = 0; i < processes; i++)
			pids[i] = start(fd, shared, i, monofs_random(&seed));
		for (unsigned kills = 0; kills < 3; kills++) {
			unsigned i = (unsigned)monofs_random(&seed) % processes;

			pause_for(5 + (unsigned)monofs_random(&seed) % 100);
			end(pids[i]);
			pids[i] = start(fd, shared, i, monofs_random(&seed));
		}
		for (unsigned i = 0; i < processes; i++)
			end(pids[i]);
		check_store(fd, shared);
	}
	CHECK(shared->syncs > 0);
	CHECK(processes <= WRITERS || shared->sweeps > 0);
	munmap(shared, sizeof *shared);
	close(fd);
}

TEST(what_was_synced_survives_a_kill_at_any_moment)
{
	run(0, 1, 6);
}

TEST(two_writers_that_are_killed_harm_nothing)
{
	run(1, 2, 6);
}

TEST(a_sweep_beside_writers_takes_nothing_that_somebody_names)
{
	run(0, 3, 12);
}
