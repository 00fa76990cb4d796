/* SPDX-License-Identifier: Apache-2.0 */
/* Drafts: what a live tree stores before it is a revision, so that neither memory nor the journal hold it. */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "monofs/check.h"
#include "monofs/journal.h"
#include "monofs/live.h"
#include "monofs/tree.h"
#include "monofs/view.h"
#include "monofs_place.h"
#include "monofs_tree.h"
#include "os/fs.h"
#include "vfs_make.h"

#define HOUR 3600000000000ull

static const struct live_options by_hand = {.no_automatic = true};

struct tree {
	char path[256];
	struct repository *r;
	struct vfs *fs;
};

static void tree_open(struct tree *t, const struct live_options *o)
{
	struct error err;

	CHECK_OK(repository_open(t->path, NULL, false, NULL, &t->r, &err));
	CHECK_OK(live_new(t->r, o, &t->fs, &err));
	CHECK_OK(live_start(t->fs, &err));
}

static void tree_close(struct tree *t)
{
	vfs_destroy(t->fs);
	repository_close(t->r);
}

static void tree_make(struct tree *t, const struct live_options *o)
{
	const struct repository_new new = {.weak = true};
	struct error err;

	monofs_path(monofs_place(), "a.monofs", t->path);
	CHECK_OK(repository_create(t->path, &new, &err));
	tree_open(t, o);
}

static void make_files(struct tree *t, const char *prefix, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char name[64];

		snprintf(name, sizeof name, "%s-%u", prefix, i);
		vfs_forget(t->fs, vfs_make_text(t->fs, VFS_ROOT, name, name), 1);
	}
}

static struct live_state state_of(struct tree *t)
{
	struct live_state state;

	live_state(t->fs, &state);
	return state;
}

static struct object_id commit(struct tree *t)
{
	struct object_id id;
	struct error err;
	bool made;

	CHECK_OK(live_commit(t->fs, "somebody", "something", &id, &made, &err));
	CHECK(made);
	return id;
}

static void check_shown(struct tree *t, const struct object_id *id, const char *text)
{
	_cleanup_free_ char *shown = NULL;
	struct vfs *view;
	struct error err;

	CHECK_OK(view_new(t->r, id, &view, &err));
	shown = tree_text(view, true);
	CHECK_TREE(shown, text);
	vfs_destroy(view);
}

/* Of how many packs nobody needs anything. */
static uint64_t collect(struct tree *t)
{
	const struct collect_options o = {.grace = 0};
	struct store_sweep result;
	struct error err;

	CHECK_OK(collect_garbage(t->r, &o, &result, &err));
	return result.condemned_packs;
}

static bool main_is(struct tree *t, const struct object_id *id)
{
	const struct object_id main = state_of(t).base;

	return object_id_equal(&main, id);
}

static bool is_draft(struct tree *t)
{
	const struct object_id main = state_of(t).base;
	struct object_id draft;
	struct error err;
	int r = live_find_draft(t->r, &main, &draft, &err);

	CHECK_OK(r);
	return r == 1;
}

TEST(more_changes_than_memory_is_to_hold_become_a_draft_and_one_revision_in_the_end)
{
	const struct live_options o = {.no_automatic = true, .dirty_most = 100};
	_cleanup_commit_ struct commit c = {0};
	struct object_id first, id;
	_cleanup_free_ char *text = NULL;
	struct tree t;
	struct error err;

	tree_make(&t, &o);
	first = state_of(&t).base;
	make_files(&t, "file", 2000);
	for (int i = 0; i < 3000 && !is_draft(&t); i++)
		usleep(10000);
	CHECK(is_draft(&t));
	CHECK(main_is(&t, &first));
	CHECK(state_of(&t).dirty > 0);
	CHECK(state_of(&t).journal_bytes < 1000 * 100);
	text = tree_text(t.fs, true);
	id = commit(&t);
	CHECK(!is_draft(&t));
	CHECK_INT(state_of(&t).dirty, 0);
	CHECK_OK(commit_get(repository_store(t.r), &id, &c, &err));
	CHECK_INT(c.parent_count, 1);
	CHECK(object_id_equal(&c.parents[0], &first));
	check_shown(&t, &id, text);
	tree_close(&t);
}

TEST(a_draft_outlives_its_process_and_a_collection_of_garbage)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct object_id id;
	struct tree t;
	struct error err;

	tree_make(&t, &by_hand);
	make_files(&t, "file", 50);
	before = tree_text(t.fs, true);
	CHECK_OK(live_draft(t.fs, &err));
	CHECK_INT(state_of(&t).journal_bytes, 0);
	tree_close(&t);
	CHECK_OK(repository_open(t.path, NULL, false, NULL, &t.r, &err));
	CHECK_INT(journal_pending(repository_directory(t.r), &err), 0);
	CHECK_INT(live_pending(t.r, &err), 1);
	CHECK_INT(collect(&t), 0);
	CHECK_INT(tree_check_clean(t.r), 2); /* the draft is looked into, too */
	CHECK_OK(live_new(t.r, &by_hand, &t.fs, &err));
	CHECK(state_of(&t).dirty > 0);
	after = tree_text(t.fs, true);
	CHECK_TREE(after, before);
	id = commit(&t);
	check_shown(&t, &id, before);
	CHECK_INT(live_pending(t.r, &err), 0);
	CHECK_INT(tree_check_clean(t.r), 2); /* the first, empty one and this */
	tree_close(&t);
}

TEST(a_draft_that_a_process_left_becomes_a_revision_by_itself)
{
	const struct live_options o = {.quiet = 1000000, .most = HOUR};
	struct object_id first;
	struct tree t;
	struct error err;

	tree_make(&t, &by_hand);
	first = state_of(&t).base;
	make_files(&t, "file", 5);
	CHECK_OK(live_draft(t.fs, &err));
	tree_close(&t);
	tree_open(&t, &o);
	for (int i = 0; i < 3000 && main_is(&t, &first); i++)
		usleep(10000);
	CHECK(!main_is(&t, &first));
	tree_close(&t);
}

TEST(a_roll_back_throws_drafts_away)
{
	_cleanup_free_ char *before = NULL, *after = NULL, *again = NULL;
	struct tree t;
	struct error err;

	tree_make(&t, &by_hand);
	make_files(&t, "kept", 10);
	commit(&t);
	before = tree_text(t.fs, true);
	make_files(&t, "lost", 10);
	CHECK_OK(live_draft(t.fs, &err));
	make_files(&t, "lost, too", 10);
	CHECK_OK(live_roll_back(t.fs, &err));
	after = tree_text(t.fs, true);
	CHECK_TREE(after, before);
	CHECK_INT(state_of(&t).dirty, 0);
	tree_close(&t);
	tree_open(&t, &by_hand);
	again = tree_text(t.fs, true);
	CHECK_TREE(again, before);
	CHECK(!is_draft(&t));
	tree_close(&t);
}

/* What it takes is nobody's, but its journal has an end all the same. */
static void write_without_a_name(const struct live_options *o)
{
	static uint8_t bytes[65536];
	struct vfs_attributes a;
	struct error err;
	struct tree t;
	vfs_handle h;
	uint64_t f;

	tree_make(&t, o);
	f = vfs_make_file(t.fs, VFS_ROOT, "f");
	h = vfs_opened(t.fs, f, VFS_READ | VFS_WRITE);
	CHECK_CALL(vfs_unlink(t.fs, VFS_ROOT, "f"));
	for (uint64_t i = 0; i < 100; i++) {
		monofs_bytes(bytes, sizeof bytes, i);
		CHECK_INT(vfs_write(t.fs, f, h, bytes, sizeof bytes, i * sizeof bytes), sizeof bytes);
	}
	for (uint64_t i = 0; i < 100; i++) {
		monofs_bytes(bytes, sizeof bytes, i);
		vfs_check_bytes(t.fs, f, i * sizeof bytes, bytes, sizeof bytes);
	}
	CHECK(state_of(&t).journal_bytes <= (2u << 20) + 2 * sizeof bytes);
	CHECK_CALL(vfs_getattr(t.fs, f, h, &a));
	vfs_release(t.fs, f, h);
	vfs_forget(t.fs, f, 1);
	tree_close(&t);
	CHECK_OK(fs_remove_tree(AT_FDCWD, t.path, &err));
}

TEST(a_file_without_a_name_is_written_beyond_what_the_journal_may_have)
{
	write_without_a_name(&(struct live_options){.quiet = HOUR, .most = HOUR, .journal_most = 1u << 20});
	write_without_a_name(&(struct live_options){.no_automatic = true, .journal_most = 1u << 20});
}

/* ---- what a client has looked up --------------------------------------------------------------------- */

#define FILES 500u

/* It forgets what it may, as a kernel does. */
struct client {
	struct vfs *fs;
	uint64_t open; /* a file that it has open */
	unsigned told;
	bool old; /* it does not know how to */
};

static bool client_prune(void *context, const uint64_t *inos, size_t count)
{
	struct client *c = context;

	for (size_t i = 0; i < count; i++) {
		CHECK(inos[i] != c->open && inos[i] != VFS_ROOT);
		if (!c->old)
			vfs_forget(c->fs, inos[i], 1);
	}
	c->told += (unsigned)count;
	return !c->old;
}

TEST(who_has_looked_up_very_much_is_told_what_he_need_not_keep)
{
	const struct live_options o = {.no_automatic = true, .nodes_most = 50};
	static uint64_t inos[FILES];
	struct tree t;
	struct client c;
	vfs_handle handle;

	tree_make(&t, &o);
	c = (struct client){.fs = t.fs, .open = vfs_make_text(t.fs, VFS_ROOT, "open", "open")};
	CHECK_INT(vfs_open(t.fs, c.open, VFS_READ, &handle), 0);
	CHECK_INT(vfs_watch(t.fs, &(struct vfs_watcher){.context = &c, .prune = client_prune}), 0);
	for (unsigned i = 0; i < FILES; i++) {
		char name[32];

		snprintf(name, sizeof name, "%u", i);
		inos[i] = vfs_make_text(t.fs, VFS_ROOT, name, name);
	}
	/* What was in use until now stays for one more time. */
	commit(&t);
	make_files(&t, "more", 1);
	commit(&t);
	CHECK(c.told >= FILES - 50 && c.told <= FILES + 1);
	vfs_unwatch(t.fs);
	for (unsigned i = 0; i < FILES; i++) {
		struct vfs_attributes a;
		char name[32];

		snprintf(name, sizeof name, "%u", i);
		CHECK_INT(vfs_lookup(t.fs, VFS_ROOT, name, &a), 0);
		CHECK(a.ino == inos[i] && a.size == strlen(name));
	}
	vfs_release(t.fs, c.open, handle);
	tree_close(&t);
}

TEST(who_cannot_be_told_what_he_need_not_keep_is_told_once)
{
	const struct live_options o = {.no_automatic = true, .nodes_most = 50};
	struct tree t;
	struct client c;
	unsigned told = 0;

	tree_make(&t, &o);
	c = (struct client){.fs = t.fs, .old = true};
	CHECK_INT(vfs_watch(t.fs, &(struct vfs_watcher){.context = &c, .prune = client_prune}), 0);
	for (unsigned i = 0; i < FILES; i++) {
		char name[32];

		snprintf(name, sizeof name, "%u", i);
		vfs_make_text(t.fs, VFS_ROOT, name, name);
		if (i % 100 == 0)
			commit(&t);
		if (!told)
			told = c.told;
	}
	CHECK(told > 0 && c.told == told);
	vfs_unwatch(t.fs);
	tree_close(&t);
}
