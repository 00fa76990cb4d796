/* SPDX-License-Identifier: Apache-2.0 */
/* Damage is found and named by what it affects; what nobody needs goes, and what anybody needs stays. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monofs/check.h"
#include "monofs/id_set.h"
#include "monofs/view.h"
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

/* ---- trees whose objects are whole, and that are none ---- */

struct wrong {
	unsigned count;
	char path[64], why[200]; /* the last */
	char revision[OBJECT_HEX_SIZE];
};

static void note(void *context, const char *what, const char *revision, const char *path, const char *why)
{
	struct wrong *w = context;

	CHECK(*what && revision && path);
	w->count++;
	snprintf(w->path, sizeof w->path, "%s", path);
	snprintf(w->why, sizeof w->why, "%s", why);
	snprintf(w->revision, sizeof w->revision, "%s", revision);
}

static struct wrong check_trees(struct scene *s)
{
	struct wrong w = {0};
	struct check_options o = {.damaged = note, .context = &w};
	struct check_result result;

	CHECK_OK(check_repository(s->r, &o, &result, &err));
	CHECK_INT(result.damaged, w.count);
	return w;
}

/* No way out of the repository gives anything else. */
static void nothing_comes_out(struct scene *s, const struct object_id *commit, const char *path)
{
	struct restore_options o = {0};
	struct restore_result result;
	struct vfs *view;
	char archive[300];
	_cleanup_fd_ int fd = -1;

	snprintf(archive, sizeof archive, "%s.tar", s->target);
	fd = open(archive, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK_ERROR(restore_tar(s->r, commit, fd, &o, &result, &err), ERROR_CORRUPT);
	CHECK(strstr(err.text, path));
	CHECK_ERROR(restore_directory(s->r, commit, s->target, &o, &result, &err), ERROR_CORRUPT);
	CHECK(strstr(err.text, path));
	CHECK(view_new(s->r, commit, &view, &err) < 0);
	CHECK(strstr(err.text, path));
}

TEST(a_hard_link_that_leads_to_no_first_name_is_damage_and_comes_out_nowhere)
{
	static const struct {
		const char *target, *why;
	} links[] = {{"d/a", "is not there"}, {"c/none", "is not there"}, {"a/none", "is not there"},
		{"b", "another one before it"}, {"c", "is a directory"}, {"d/z", "is not before it"},
		{"d/link", "is not before it"}, {"e", "is not before it"}};

	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		const struct scene_item items[] = {{"a", ENTRY_FILE, "text", 1, 0},
			{"b", ENTRY_LINK, "a", 1, 0}, {"c", ENTRY_DIRECTORY, NULL, 0, 0},
			{"c/f", ENTRY_LINK, "a", 1, 0}, {"d", ENTRY_DIRECTORY, NULL, 0, 0},
			{"d/link", ENTRY_LINK, links[i].target, 1, 0}, {"d/z", ENTRY_FILE, "last", 0, 0},
			{"e", ENTRY_FILE, "later", 0, 0}};
		struct scene *s = scene_new(i & 1);
		struct object_id commit = scene_tree(s, items, sizeof items / sizeof *items);
		struct wrong w = check_trees(s);
		char hex[OBJECT_HEX_SIZE];

		CHECK_INT(w.count, 1);
		CHECK_TEXT(w.path, "d/link");
		CHECK(strstr(w.why, links[i].why) && strstr(w.why, links[i].target));
		CHECK_TEXT(w.revision, object_id_hex(&commit, hex));
		nothing_comes_out(s, &commit, "d/link");
		scene_free(s);
	}
}

/* The newest revision, which is met first, is whole. */
TEST(where_hard_links_lead_is_judged_in_each_revision_that_has_them)
{
	static const struct scene_item items[] = {{"g", ENTRY_DIRECTORY, NULL, 0, 0},
		{"g/f", ENTRY_DIRECTORY, NULL, 0, 0}, {"g/f/x", ENTRY_LINK, "a", 7, 0}};
	static const struct scene_item more[] = {{"a", ENTRY_FILE, "text", 7, 0},
		{"e", ENTRY_DIRECTORY, NULL, 0, 0}, {"e/x", ENTRY_LINK, "a", 7, 0},
		{"g", ENTRY_DIRECTORY, NULL, 0, 0}, {"g/f", ENTRY_DIRECTORY, NULL, 0, 0},
		{"g/f/x", ENTRY_LINK, "a", 7, 0}};
	struct scene *s = scene_new(false);
	struct object_id commit = scene_tree(s, items, sizeof items / sizeof *items);
	char hex[OBJECT_HEX_SIZE];
	struct wrong w;

	scene_tree(s, more, sizeof more / sizeof *more);
	w = check_trees(s);
	CHECK_INT(w.count, 1);
	CHECK_TEXT(w.path, "g/f/x");
	CHECK_TEXT(w.revision, object_id_hex(&commit, hex));
	scene_free(s);
}

static void check_pair(struct scene *s, const struct object_id *content, const struct object_id *identity,
	const char *path, const char *why)
{
	_cleanup_commit_ struct commit a = {0}, b = {0};
	struct object_id commit;
	char hex[OBJECT_HEX_SIZE];
	struct wrong w;

	CHECK_OK(commit_get(repository_store(s->r), content, &a, &err));
	CHECK_OK(commit_get(repository_store(s->r), identity, &b, &err));
	commit = scene_commit(s, &a.content, &b.identity);
	w = check_trees(s);
	CHECK_INT(w.count, 1);
	CHECK_TEXT(w.path, path);
	CHECK(strstr(w.why, why));
	CHECK_TEXT(w.revision, object_id_hex(&commit, hex));
}

TEST(names_without_an_identity_and_identities_without_a_name_are_damage)
{
	struct scene_item items[200];
	char names[200][16];
	struct object_id all, fewer;

	for (unsigned way = 0; way < 2; way++) {
		struct scene *s = scene_new(false);

		items[0] = (struct scene_item){"d", ENTRY_DIRECTORY, NULL, 0, 0};
		for (unsigned i = 1; i < 200; i++) {
			snprintf(names[i], sizeof names[i], "d/%03u", i);
			items[i] = (struct scene_item){names[i], ENTRY_FILE, "text", 0, 0};
		}
		all = scene_tree(s, items, 200);
		memmove(items + 100, items + 101, 99 * sizeof *items);
		fewer = scene_tree(s, items, 199);
		CHECK_INT(check_trees(s).count, 0);
		if (way)
			check_pair(s, &fewer, &all, "d/100", "it has an identity and is not there");
		else
			check_pair(s, &all, &fewer, "d/100", "it has no identity");
		scene_free(s);
	}
}

TEST(what_is_no_directory_has_no_identities_beneath_it)
{
	static const struct scene_item directory[] = {
		{"a", ENTRY_DIRECTORY, NULL, 0, 0}, {"a/b", ENTRY_FILE, "text", 0, 0}};
	static const struct scene_item file[] = {{"a", ENTRY_FILE, "text", 0, 0}};
	struct scene *s = scene_new(false);
	struct object_id with = scene_tree(s, directory, 2), without = scene_tree(s, file, 1);

	CHECK_INT(check_trees(s).count, 0);
	check_pair(s, &without, &with, "a", "it is no directory");
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
