/* SPDX-License-Identifier: Apache-2.0 */
/* Damage is found and named, wherever it is. */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monofs/pack_file.h"
#include "monofs_place.h"

/* What checks told. */
struct told {
	unsigned objects, files;
	char file[256]; /* the last */
	struct object_id id;
};

static void note(void *context, const struct object_id *id, const char *file, const char *what)
{
	struct told *t = context;

	CHECK(*what);
	snprintf(t->file, sizeof t->file, "%s", file);
	if (id)
		t->id = *id;
	t->objects += id != NULL;
	t->files += id == NULL;
}

static void note_file(void *context, const char *file, const char *what)
{
	note(context, NULL, file, what);
}

static struct told check(struct store *s, bool read_data)
{
	struct told t = {0};
	struct store_check c = {.read_data = read_data, .damaged = note, .context = &t};
	struct error err;

	CHECK_OK(store_check(s, &c, &err));
	return t;
}

static struct store *open_store(int fd, const struct crypt *c)
{
	struct store *s;
	struct error err;

	CHECK_OK(store_open_at(fd, c, false, NULL, &s, &err));
	return s;
}

/* Two packs of some objects; the ids are those of 0 … 19 as numbers. */
static void fill(int fd, const struct crypt *c, struct object_id ids[20])
{
	struct store *s = open_store(fd, c);
	struct store_writer *w;
	struct error err;

	CHECK_OK(store_writer_new(s, &w, &err));
	for (unsigned i = 0; i < 20; i++) {
		CHECK_OK(store_put(w, i % 3 ? OBJECT_CHUNK : OBJECT_LIST, &i, sizeof i, &ids[i], NULL, &err));
		if (i % 10 == 9) {
			CHECK_OK(store_writer_flush(w, &err));
			CHECK_OK(store_sync(s, &err));
		}
	}
	store_writer_free(w);
	store_close(s);
}

/* Calls one() for the path of each pack, from packs/ on. */
static void each_pack(int fd, void (*one)(int fd, const char *path, void *context), void *context)
{
	char path[300];
	int packs = openat(fd, "packs", O_RDONLY | O_DIRECTORY);
	DIR *list = fdopendir(packs), *inner;
	struct dirent *d, *e;

	CHECK(list);
	while ((d = readdir(list))) {
		if (strlen(d->d_name) != 2 || d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "packs/%.2s", d->d_name);
		inner = fdopendir(openat(fd, path, O_RDONLY | O_DIRECTORY));
		while ((e = readdir(inner))) {
			if (e->d_name[0] == '.')
				continue;
			snprintf(path, sizeof path, "packs/%.2s/%.64s", d->d_name, e->d_name);
			one(fd, path, context);
		}
		closedir(inner);
	}
	closedir(list);
}

static void flip(int fd, const char *path, off_t at)
{
	int file = openat(fd, path, O_RDWR);
	uint8_t byte;

	CHECK(file >= 0);
	CHECK(pread(file, &byte, 1, at) == 1);
	byte ^= 0x10;
	CHECK(pwrite(file, &byte, 1, at) == 1);
	close(file);
}

static off_t size_of(int fd, const char *path)
{
	struct stat s;

	CHECK(fstatat(fd, path, &s, 0) == 0);
	return s.st_size;
}

static void first_path(int fd, const char *path, void *context)
{
	(void)fd;
	snprintf(context, 300, "%s", path);
}

TEST(a_whole_store_has_no_damage)
{
	int fd = monofs_store_make(monofs_place(), "s");
	struct object_id ids[20];
	struct crypt c;
	struct store *s;

	monofs_crypt(&c, 1);
	fill(fd, &c, ids);
	s = open_store(fd, &c);
	CHECK_INT(check(s, false).files, 0);
	CHECK_INT(check(s, true).files + check(s, true).objects, 0);
	store_close(s);
	close(fd);
}

static void flip_each(int fd, const struct crypt *c, const char *path)
{
	struct store *s = open_store(fd, c);

	for (off_t at = 0; at < size_of(fd, path); at++) {
		struct told t;

		flip(fd, path, at);
		t = check(s, true);
		if (t.files == 0 || (strcmp(t.file, path) != 0 && t.objects == 0))
			test_fail(__FILE__, __LINE__, "%s: a flip at %lld: %u files, the last %s", path,
				(long long)at, t.files, t.file);
		flip(fd, path, at);
	}
	store_close(s);
	s = open_store(fd, c);
	CHECK_INT(check(s, true).files, 0);
	store_close(s);
}

TEST(one_flipped_byte_of_a_pack_is_found_and_named)
{
	for (uint8_t key = 0; key < 2; key++) {
		int fd = monofs_store_make(monofs_place(), key ? "sealed" : "plain");
		struct object_id ids[20];
		char path[300];
		struct crypt c;

		monofs_crypt(&c, key);
		fill(fd, &c, ids);
		each_pack(fd, first_path, path);
		flip_each(fd, &c, path);
		close(fd);
	}
}

TEST(a_flip_in_data_names_the_objects_that_are_lost)
{
	int fd = monofs_store_make(monofs_place(), "s");
	struct object_id ids[20];
	char path[300];
	struct store_bytes bytes;
	struct told t;
	struct error err;
	struct crypt c;
	struct store *s;
	bool known = false;

	monofs_crypt(&c, 0);
	fill(fd, &c, ids);
	each_pack(fd, first_path, path);
	flip(fd, path, PACK_HEADER_SIZE + 1);
	s = open_store(fd, &c);
	CHECK_INT(check(s, false).files, 0);
	t = check(s, true);
	CHECK_INT(t.files, 1);
	CHECK(t.objects > 0);
	for (unsigned i = 0; i < 20; i++)
		known |= object_id_equal(&ids[i], &t.id);
	CHECK(known);
	CHECK_ERROR(store_get(s, OBJECT_CHUNK, &t.id, &bytes, &err), ERROR_CORRUPT);
	store_close(s);
	close(fd);
}

static void remove_one(int fd, const char *path, void *context)
{
	bool *done = context;

	if (!*done)
		CHECK(unlinkat(fd, path, 0) == 0);
	*done = true;
}

TEST(a_pack_that_is_missing_is_named_with_what_was_in_it)
{
	int fd = monofs_store_make(monofs_place(), "s");
	struct object_id ids[20];
	bool done = false, fresh;
	struct store_writer *w;
	struct object_id id;
	struct told t;
	struct error err;
	struct crypt c;
	struct store *s;

	monofs_crypt(&c, 0);
	fill(fd, &c, ids);
	each_pack(fd, remove_one, &done);
	s = open_store(fd, &c);
	t = check(s, false);
	CHECK_INT(t.files, 1);
	CHECK_INT(t.objects, 10);
	CHECK_OK(store_writer_new(s, &w, &err));
	for (unsigned i = 0; i < 20; i++) /* what is lost is stored again */
		CHECK_OK(store_put(w, i % 3 ? OBJECT_CHUNK : OBJECT_LIST, &i, sizeof i, &id, &fresh, &err));
	CHECK_OK(store_writer_flush(w, &err));
	CHECK_OK(store_sync(s, &err));
	store_writer_free(w);
	CHECK_INT(check(s, true).files, 0);
	for (unsigned i = 0; i < 20; i++)
		CHECK_INT(store_has(s, &ids[i], &err), 1);
	store_close(s);
	close(fd);
}

TEST(a_damaged_index_is_found_and_made_anew)
{
	int fd = monofs_store_make(monofs_place(), "s");
	struct object_id ids[20];
	struct error err;
	struct crypt c;
	struct store *s;
	unsigned found = 0;

	monofs_crypt(&c, 0);
	fill(fd, &c, ids);
	for (off_t at = 0; at < size_of(fd, "index.db"); at += 509) {
		flip(fd, "index.db", at);
		s = open_store(fd, &c);
		found += check(s, false).files;
		CHECK_INT(check(s, false).files, 0);
		for (unsigned i = 0; i < 20; i++)
			CHECK_INT(store_has(s, &ids[i], &err), 1);
		store_close(s);
	}
	CHECK(found > 0 || size_of(fd, "index.db") < 8192);
	close(fd);
}

/* ---- the small files -------------------------------------------------------------------------------- */

static bool says_so(const char *path, const struct repository_secret *secret, const char *file)
{
	struct repository *r;
	struct error err;
	struct told t = {0};

	if (repository_open(path, secret, false, NULL, &r, &err) < 0) {
		if (err.code != ERROR_CORRUPT || !strstr(err.text, file))
			test_fail(__FILE__, __LINE__, "%s: %s", file, err.text);
		return true;
	}
	CHECK_OK(repository_check_files(r, note_file, &t, &err));
	repository_close(r);
	return t.files == 1 && strstr(t.file, file);
}

static void flip_file(const char *path, const struct repository_secret *secret, const char *file)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY);
	off_t size = size_of(fd, file);

	for (off_t at = 0; at < size; at += 1 + size / 40) {
		flip(fd, file, at);
		if (!says_so(path, secret, file))
			test_fail(__FILE__, __LINE__, "%s: a flip at %lld is not found", file, (long long)at);
		flip(fd, file, at);
	}
	close(fd);
}

TEST(one_flipped_byte_of_a_small_file_is_found_and_named)
{
	const struct repository_secret secret = {.passphrase = "correct horse"};
	const struct repository_new o = {.secret = &secret, .weak = true};
	char path[256], slot[300];
	struct repository *r;
	struct repository_slot *slots;
	struct told t = {0};
	struct error err;
	size_t count;

	monofs_path(monofs_place(), "a", path);
	CHECK_OK(repository_create(path, &o, &err));
	CHECK_OK(repository_open(path, &secret, false, NULL, &r, &err));
	CHECK_OK(repository_check_files(r, note_file, &t, &err));
	CHECK_INT(t.files, 0);
	CHECK_OK(repository_slots(r, &slots, &count, &err));
	CHECK_INT(count, 1);
	snprintf(slot, sizeof slot, "keys/%s", slots[0].name);
	free(slots);
	repository_close(r);
	flip_file(path, &secret, "format");
	flip_file(path, &secret, "refs");
	flip_file(path, &secret, "keys/master");
	flip_file(path, &secret, slot);
}

TEST(a_damaged_replica_is_another)
{
	char path[256];
	struct repository *r;
	struct error err;
	uint64_t before;
	int fd;

	monofs_path(monofs_place(), "a", path);
	CHECK_OK(repository_create(path, &(struct repository_new){0}, &err));
	CHECK_OK(repository_open(path, NULL, false, NULL, &r, &err));
	before = repository_replica(r);
	repository_close(r);
	CHECK_OK(repository_open(path, NULL, false, NULL, &r, &err));
	CHECK(repository_replica(r) == before);
	repository_close(r);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	flip(fd, "replica", 20);
	close(fd);
	CHECK_OK(repository_open(path, NULL, false, NULL, &r, &err));
	CHECK(repository_replica(r) != before);
	repository_close(r);
}

/* ---- copies ---------------------------------------------------------------------------------------------
 */

/* The same objects by two who write at once, which neither finds with the other: two packs, that differ in
 * one. */
static void fill_twice(int fd, const struct crypt *c, struct object_id ids[20])
{
	struct store *s[2] = {open_store(fd, c), open_store(fd, c)};
	struct store_writer *w[2];
	struct error err;

	for (unsigned k = 0; k < 2; k++) {
		CHECK_OK(store_writer_new(s[k], &w[k], &err));
		for (unsigned i = 0; i < 20; i++) {
			unsigned text = i == 19 ? i + k : i;

			/* In a frame of its own. */
			CHECK_OK(store_put(w[k], i == 19 ? OBJECT_LIST : OBJECT_CHUNK, &text, sizeof text,
				&ids[i], NULL, &err));
		}
		CHECK_OK(store_writer_flush(w[k], &err));
	}
	for (unsigned k = 0; k < 2; k++) {
		store_writer_free(w[k]);
		CHECK_OK(store_sync(s[k], &err));
		store_close(s[k]);
	}
}

static void flip_second(int fd, const char *path, void *context)
{
	unsigned *which = context;

	if ((*which)-- == 0)
		flip(fd, path, 32);
}

static bool is_live(void *context, const struct object_id *id)
{
	(void)context;
	(void)id;
	return true;
}

static int mark_nothing(void *context, struct error *err)
{
	(void)context;
	(void)err;
	return 0;
}

static void tidy(struct store *s, unsigned keep_percent)
{
	struct store_sweep sweep = {.mark = mark_nothing, .live = is_live, .keep_percent = keep_percent};
	struct error err;

	CHECK_OK(store_tidy(s, &sweep, &err));
}

static void check_all_there(struct store *s, const struct object_id ids[20])
{
	for (unsigned i = 0; i < 19; i++) {
		struct store_bytes bytes;
		struct error err;

		CHECK_OK(store_get(s, OBJECT_CHUNK, &ids[i], &bytes, &err));
		CHECK(bytes.size == sizeof i && memcmp(bytes.bytes, &i, sizeof i) == 0);
		store_release(s, &bytes);
	}
}

static void damage_one_copy(uint8_t key, unsigned which, bool checked)
{
	char name[32];
	struct object_id ids[20];
	struct crypt c;
	struct store *s;
	struct told t;
	int fd;

	snprintf(name, sizeof name, "s%u%u%u", key, which, checked);
	fd = monofs_store_make(monofs_place(), name);
	monofs_crypt(&c, key);
	fill_twice(fd, &c, ids);
	each_pack(fd, flip_second, &which);
	s = open_store(fd, &c);
	if (checked) {
		t = check(s, true);
		CHECK_INT(t.objects, 0);
		CHECK_INT(t.files, 2);
	}
	check_all_there(s, ids);
	store_close(s);
	s = open_store(fd, &c);
	tidy(s, 50);
	store_close(s);
	s = open_store(fd, &c);
	tidy(s, 0);
	t = check(s, true);
	CHECK(t.objects == 0 && t.files == 0);
	check_all_there(s, ids);
	store_close(s);
	close(fd);
}

TEST(a_damaged_object_of_which_there_is_a_whole_copy_is_read_told_and_mended)
{
	for (unsigned key = 0; key < 2; key++)
		for (unsigned which = 0; which < 2; which++)
			for (unsigned checked = 0; checked < 2; checked++)
				damage_one_copy((uint8_t)key, which, checked);
}
