/* SPDX-License-Identifier: Apache-2.0 */
/* Damage is found and named by what it affects; what nobody needs goes, and what anybody needs stays. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monofs/check.h"
#include "monofs/id_set.h"
#include "monofs_scene.h"
#include "os/fs.h"
#include "test.h"

static struct error err;

struct told {
	unsigned count;
	bool victim;
};

static void damaged(void *context, const char *what, const char *revision, const char *path, const char *why)
{
	struct told *t = context;

	(void)what;
	CHECK(*why);
	t->count++;
	if (path && strcmp(path, "d/victim") == 0) {
		CHECK(revision && strlen(revision) == 64);
		t->victim = true;
	}
}

static struct check_result check(struct scene *s, bool read_data, struct told *t)
{
	struct check_options o = {.read_data = read_data, .damaged = damaged, .context = t};
	struct check_result result;

	*t = (struct told){0};
	CHECK_OK(check_repository(s->r, &o, &result, &err));
	CHECK_INT(result.damaged, t->count);
	return result;
}

static void make(struct scene *s)
{
	static uint8_t bytes[100000];

	monofs_bytes(bytes, sizeof bytes, 5);
	scene_directory(s, "d");
	scene_write(s, "d/victim", bytes, sizeof bytes);
	scene_text(s, "d/other", "other");
	scene_import(s);
}

/* The largest pack, whose path goes to out; returns its size. */
static uint64_t find_pack(struct scene *s, char out[600])
{
	char folder[300], path[600];
	uint64_t largest = 0;

	for (unsigned i = 0; i < 256; i++) {
		_cleanup_list_ DIR *list = NULL;
		const char *name;
		struct stat st;

		snprintf(folder, sizeof folder, "%.256s/packs/%02x", s->repository, i);
		if (access(folder, F_OK) < 0)
			continue;
		CHECK_OK(fs_list_open(AT_FDCWD, folder, &list, &err));
		while ((name = fs_list_next(list))) {
			snprintf(path, sizeof path, "%s/%.200s", folder, name);
			CHECK(stat(path, &st) == 0);
			if ((uint64_t)st.st_size <= largest)
				continue;
			largest = (uint64_t)st.st_size;
			strcpy(out, path);
		}
	}
	return largest;
}

static void flip(const char *path, uint64_t at)
{
	_cleanup_fd_ int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	CHECK(chmod(path, 0600) == 0);
	if (fd < 0) {
		fd = open(path, O_RDWR | O_CLOEXEC);
		CHECK(fd >= 0);
	}
	CHECK_INT(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= 0x10;
	CHECK_INT(pwrite(fd, &byte, 1, (off_t)at), 1);
}

TEST(a_flipped_byte_is_named_with_the_path_that_it_affects)
{
	for (unsigned encrypted = 0; encrypted < 2; encrypted++) {
		struct scene *s = scene_new(encrypted);
		struct told t;
		char pack[600];
		uint64_t size;

		make(s);
		CHECK_INT(check(s, true, &t).damaged, 0);
		scene_reopen(s, encrypted);
		size = find_pack(s, pack);
		for (unsigned i = 1; i < 10; i++) {
			uint64_t at = size * i / 10;

			flip(pack, at);
			scene_reopen(s, encrypted);
			CHECK(check(s, true, &t).damaged > 0);
			CHECK(t.victim || i > 8);
			flip(pack, at);
		}
		scene_reopen(s, encrypted);
		CHECK_INT(check(s, true, &t).damaged, 0);
		scene_free(s);
	}
}

static uint64_t collect(struct scene *s)
{
	struct collect_options o = {0};
	struct store_sweep result;

	CHECK_OK(collect_garbage(s->r, &o, &result, &err));
	return result.removed_packs;
}

TEST(what_no_revision_needs_goes_and_the_rest_stays)
{
	struct scene *s = scene_new(false);
	struct object_id parent, commit;
	struct import_options o = {0};
	struct restore_options out = {.owners = true};
	struct restore_result restored;
	uint64_t removed = 0;
	struct told t;
	static uint8_t bytes[200000];
	_cleanup_free_ char *before = NULL, *after = NULL;

	make(s);
	commit = parent = scene_main(s);
	before = scene_list(s->host);
	scene_reopen(s, false);
	/* Stored, synced, and nobody's. */
	monofs_bytes(bytes, sizeof bytes, 6);
	scene_write(s, "d/victim", bytes, sizeof bytes);
	CHECK_OK(import_directory(s->r, s->host, &o, &s->result, &err));
	CHECK_OK(store_sync(repository_store(s->r), &err));
	for (unsigned i = 0; i < 4 && !removed; i++) {
		scene_reopen(s, false);
		removed += collect(s);
	}
	CHECK(removed > 0);
	scene_reopen(s, false);
	CHECK_INT(check(s, true, &t).damaged, 0);
	CHECK_OK(restore_directory(s->r, &commit, s->target, &out, &restored, &err));
	after = scene_list(s->target);
	CHECK_TEXT(after, before);
	scene_free(s);
}

static int mark_nothing(void *context, struct error *e)
{
	(void)context;
	(void)e;
	return 0;
}

static bool nothing_is_needed(void *context, const struct object_id *id)
{
	(void)context;
	(void)id;
	return false;
}

/* As by who had found it before its pack was condemned, and made a revision of it after. */
TEST(what_a_revision_has_in_a_condemned_pack_is_no_damage)
{
	struct store_sweep sweep = {.mark = mark_nothing, .live = nothing_is_needed};
	struct scene *s = scene_new(false);
	struct told t;

	make(s);
	scene_reopen(s, false);
	scene_text(s, "d/other", "another one");
	scene_import(s);
	scene_reopen(s, false);
	CHECK_OK(store_tidy(repository_store(s->r), &sweep, &err));
	CHECK(sweep.condemned_packs >= 2);
	CHECK_INT(check(s, true, &t).damaged, 0);
	scene_free(s);
}

TEST(nothing_is_removed_from_a_damaged_repository)
{
	struct scene *s = scene_new(false);
	struct object_id content = {.bytes = {1}}, identity = {.bytes = {2}};
	struct collect_options o = {0};
	struct store_sweep result;
	struct told t;

	make(s);
	scene_commit(s, &content, &identity);
	CHECK(collect_garbage(s->r, &o, &result, &err) < 0);
	CHECK_INT(check(s, false, &t).damaged, 2);
	scene_free(s);
}

TEST(a_set_of_ids_has_what_was_added_and_no_more)
{
	for (unsigned width = 8; width <= 16; width += 8) {
		struct id_set set = {.width = width};
		struct object_id id = {0};
		uint64_t state = 1, random;
		bool fresh;

		CHECK(!id_set_has(&set, &id));
		CHECK_OK(id_set_add(&set, &id, &fresh, &err));
		CHECK(fresh && id_set_has(&set, &id));
		for (unsigned i = 0; i < 20000; i++) {
			random = monofs_random(&state);
			memcpy(id.bytes, &random, sizeof random);
			CHECK(!id_set_has(&set, &id));
			CHECK_OK(id_set_add(&set, &id, &fresh, &err));
			CHECK(fresh);
			CHECK_OK(id_set_add(&set, &id, &fresh, &err));
			CHECK(!fresh && id_set_has(&set, &id));
		}
		id_set_free(&set);
	}
}
