/* SPDX-License-Identifier: Apache-2.0 */
/* Objects put, found again, and kept over closings, by one and by several. */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "monofs_place.h"

static struct object_id put(struct store_writer *w, enum object_type type, const void *bytes, size_t n)
{
	struct object_id id;
	struct error err;

	CHECK_OK(store_put(w, type, bytes, n, &id, NULL, &err));
	return id;
}

static void check_has(
	struct store *s, enum object_type type, const struct object_id *id, const void *bytes, size_t n)
{
	struct store_bytes got;
	struct error err;

	CHECK_OK(store_get(s, type, id, &got, &err));
	CHECK_INT(got.size, n);
	CHECK(memcmp(got.bytes, bytes, n) == 0);
	store_release(s, &got);
}

static struct store *open_store(int fd, const struct crypt *c)
{
	struct store *s;
	struct error err;

	CHECK_OK(store_open_at(fd, c, false, NULL, &s, &err));
	return s;
}

static struct store_writer *writer_of(struct store *s)
{
	struct store_writer *w;
	struct error err;

	CHECK_OK(store_writer_new(s, &w, &err));
	return w;
}

static void keeps_objects(uint8_t key)
{
	int fd = monofs_store_make(monofs_place(), "s");
	uint8_t *large = malloc(1u << 20);
	struct object_id a, b, c;
	struct store_written written;
	struct store_writer *w;
	struct store *s;
	struct crypt crypt;
	struct error err;
	bool fresh;

	monofs_crypt(&crypt, key);
	monofs_bytes(large, 1u << 20, 3);
	s = open_store(fd, &crypt);
	w = writer_of(s);
	a = put(w, OBJECT_CHUNK, "hello", 5);
	b = put(w, OBJECT_CONTENT, "hello", 5);
	c = put(w, OBJECT_CHUNK, large, 1u << 20);
	CHECK(!object_id_equal(&a, &b));
	CHECK_OK(store_put(w, OBJECT_CHUNK, "hello", 5, &a, &fresh, &err));
	CHECK(!fresh);
	CHECK_OK(store_writer_flush(w, &err));
	check_has(s, OBJECT_CHUNK, &a, "hello", 5);
	check_has(s, OBJECT_CONTENT, &b, "hello", 5);
	CHECK_OK(store_sync(s, &err));
	check_has(s, OBJECT_CHUNK, &c, large, 1u << 20);
	CHECK_OK(store_put(w, OBJECT_CHUNK, large, 1u << 20, &c, &fresh, &err));
	CHECK(!fresh);
	store_written(s, &written);
	CHECK_INT(written.objects, 5);
	CHECK_INT(written.put, 15 + (2u << 20));
	CHECK_INT(written.fresh, 10 + (1u << 20));
	store_writer_free(w);
	store_close(s);
	s = open_store(fd, &crypt);
	check_has(s, OBJECT_CHUNK, &a, "hello", 5);
	check_has(s, OBJECT_CONTENT, &b, "hello", 5);
	check_has(s, OBJECT_CHUNK, &c, large, 1u << 20);
	CHECK_INT(store_has(s, &a, &err), 1);
	store_close(s);
	free(large);
	close(fd);
}

TEST(objects_are_there_after_a_sync)
{
	keeps_objects(0);
	keeps_objects(1);
}

TEST(an_index_that_is_lost_or_no_database_is_made_again)
{
	int fd = monofs_store_make(monofs_place(), "s"), index;
	struct object_id ids[200];
	struct store_writer *w;
	struct store *s;
	struct crypt crypt;
	struct error err;

	monofs_crypt(&crypt, 1);
	s = open_store(fd, &crypt);
	w = writer_of(s);
	for (unsigned i = 0; i < 200; i++) {
		ids[i] = put(w, OBJECT_CHUNK, &i, sizeof i);
		if (i % 50 == 0)
			CHECK_OK(store_writer_flush(w, &err));
		if (i % 70 == 0)
			CHECK_OK(store_sync(s, &err));
	}
	CHECK_OK(store_writer_flush(w, &err));
	CHECK_OK(store_sync(s, &err));
	store_writer_free(w);
	store_close(s);
	for (unsigned round = 0; round < 2; round++) {
		CHECK(unlinkat(fd, "index.db", 0) == 0);
		unlinkat(fd, "index.db-wal", 0);
		unlinkat(fd, "index.db-shm", 0);
		if (round) {
			index = openat(fd, "index.db", O_WRONLY | O_CREAT, 0600);
			CHECK(write(index, "this is no database at all", 26) == 26);
			close(index);
		}
		s = open_store(fd, &crypt);
		for (unsigned i = 0; i < 200; i++)
			check_has(s, OBJECT_CHUNK, &ids[i], &i, sizeof i);
		store_close(s);
	}
	close(fd);
}

TEST(what_was_not_synced_leaves_nothing_behind)
{
	int fd = monofs_store_make(monofs_place(), "s"), packs;
	struct store_writer *w;
	struct object_id id;
	struct store *s;
	struct crypt crypt;
	struct error err;
	struct dirent *e;
	unsigned count = 0;
	DIR *list;

	monofs_crypt(&crypt, 0);
	s = open_store(fd, &crypt);
	w = writer_of(s);
	id = put(w, OBJECT_CHUNK, "gone", 4);
	CHECK_OK(store_writer_flush(w, &err));
	store_writer_free(w);
	store_close(s);
	packs = openat(fd, "packs", O_RDONLY | O_DIRECTORY);
	list = fdopendir(packs);
	while ((e = readdir(list)))
		count += e->d_name[0] != '.';
	closedir(list);
	CHECK_INT(count, 0);
	s = open_store(fd, &crypt);
	CHECK_INT(store_has(s, &id, &err), 0);
	CHECK_ERROR(store_get(s, OBJECT_CHUNK, &id, &(struct store_bytes){0}, &err), ERROR_NOT_FOUND);
	CHECK(strstr(err.text, "chunk"));
	store_close(s);
	close(fd);
}

/* ---- several at once --------------------------------------------------------------------------------- */

struct crowd {
	struct store *store;
	unsigned first;
};

#define PER_WRITER 3000u

static void *write_some(void *context)
{
	struct crowd *c = context;
	struct store_writer *w = writer_of(c->store);
	struct error err;
	uint8_t bytes[3000];

	for (unsigned i = 0; i < PER_WRITER; i++) {
		unsigned n = c->first + i;

		monofs_text(bytes, sizeof bytes, n);
		put(w, OBJECT_CHUNK, bytes, 100 + n % 2900);
		if (i % 1000 == 999) {
			CHECK_OK(store_writer_flush(w, &err));
			CHECK_OK(store_sync(c->store, &err));
		}
	}
	store_writer_free(w);
	return NULL;
}

static void check_all(struct store *s, const struct crypt *crypt, unsigned count)
{
	uint8_t bytes[3000];
	struct object_id id;
	struct error err;

	for (unsigned n = 0; n < count; n++) {
		monofs_text(bytes, sizeof bytes, n);
		CHECK_OK(crypt_id(crypt, OBJECT_CHUNK, bytes, 100 + n % 2900, &id, &err));
		check_has(s, OBJECT_CHUNK, &id, bytes, 100 + n % 2900);
	}
}

TEST(many_threads_and_two_stores_write_at_once)
{
	int fd = monofs_store_make(monofs_place(), "s");
	struct store *stores[2], *s;
	struct crowd crowd[4];
	pthread_t threads[4];
	struct crypt crypt;

	monofs_crypt(&crypt, 0);
	for (unsigned i = 0; i < 2; i++)
		stores[i] = open_store(fd, &crypt);
	for (unsigned i = 0; i < 4; i++) {
		crowd[i] = (struct crowd){.store = stores[i % 2], .first = i * PER_WRITER / 2};
		CHECK(pthread_create(&threads[i], NULL, write_some, &crowd[i]) == 0);
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	check_all(stores[0], &crypt, PER_WRITER * 5 / 2);
	for (unsigned i = 0; i < 2; i++)
		store_close(stores[i]);
	s = open_store(fd, &crypt);
	check_all(s, &crypt, PER_WRITER * 5 / 2);
	store_close(s);
	close(fd);
}

/* Files in packs/: those that have their name, and so are in the index. */
static unsigned named_packs(int fd)
{
	unsigned count = 0;

	for (unsigned i = 0; i < 256; i++) {
		char path[32];
		struct dirent *e;
		DIR *list;
		int folder;

		snprintf(path, sizeof path, "packs/%02x", i);
		folder = openat(fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (folder < 0)
			continue;
		list = fdopendir(folder);
		CHECK(list);
		while ((e = readdir(list)))
			count += e->d_name[0] != '.';
		closedir(list);
	}
	return count;
}

/* Each takes memory until it is in the index. */
TEST(very_many_small_objects_are_not_all_kept_in_memory_until_somebody_syncs)
{
	int fd = monofs_store_make(monofs_place(), "s");
	uint8_t bytes[260] = {0};
	struct store_writer *w;
	struct store *s;
	struct crypt crypt;

	monofs_crypt(&crypt, 0);
	s = open_store(fd, &crypt);
	w = writer_of(s);
	for (uint32_t i = 0; i < 270000; i++) {
		memcpy(bytes, &i, sizeof i);
		put(w, OBJECT_CHUNK, bytes, sizeof bytes);
	}
	CHECK(named_packs(fd) >= 1);
	store_writer_free(w);
	store_close(s);
	close(fd);
}
