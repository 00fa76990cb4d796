/* SPDX-License-Identifier: Apache-2.0 */
/* The live tree: whatever is done to it, and however often it becomes a revision, is opened again or dies. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "monofs/journal.h"
#include "monofs/live.h"
#include "monofs/tree.h"
#include "monofs/view.h"
#include "monofs_place.h"
#include "monofs_tree.h"
#include "os/fs.h"
#include "os/process.h"
#include "vfs/memory/memory.h"
#include "vfs_make.h"

static const struct live_options by_hand = {.no_automatic = true};

struct tree {
	char path[256];
	const struct repository_secret *secret; /* NULL: it is not encrypted */
	struct repository *r;
	struct vfs *fs;
};

static void tree_open(struct tree *t)
{
	struct error err;

	CHECK_OK(repository_open(t->path, t->secret, false, NULL, &t->r, &err));
	CHECK_OK(live_new(t->r, &by_hand, &t->fs, &err));
}

static void tree_close(struct tree *t)
{
	vfs_destroy(t->fs);
	repository_close(t->r);
}

static void tree_make_with(struct tree *t, const struct repository_secret *secret)
{
	const struct repository_new o = {.secret = secret, .weak = true};
	struct error err;

	t->secret = secret;
	monofs_path(monofs_place(), "a.monofs", t->path);
	CHECK_OK(repository_create(t->path, &o, &err));
	tree_open(t);
}

static void tree_make(struct tree *t)
{
	tree_make_with(t, NULL);
}

static struct object_id commit(struct tree *t)
{
	struct object_id id;
	struct error err;
	bool made;

	CHECK_OK(live_commit(t->fs, "somebody", "something", &id, &made, &err));
	return id;
}

/* The newest revision shows the same, but for what has other numbers: nothing. */
static void check_view(struct tree *t, const struct object_id *id)
{
	_cleanup_free_ char *live = tree_text(t->fs, true), *shown = NULL;
	struct vfs *view;
	struct error err;

	CHECK_OK(view_new(t->r, id, &view, &err));
	shown = tree_text(view, true);
	CHECK_TREE(shown, live);
	vfs_destroy(view);
}

/* ---- a model ------------------------------------------------------------------------------------------- */

static void interrupt(struct tree *t, uint64_t how)
{
	_cleanup_free_ char *before = tree_text(t->fs, true), *after = NULL;

	struct error err;

	if (how % 2) {
		struct object_id id = commit(t);

		check_view(t, &id);
	} else if (how >= 6) {
		CHECK_OK(live_draft(t->fs, &err));
	}
	if (how % 3 == 0) {
		tree_close(t);
		tree_open(t);
	}
	after = tree_text(t->fs, true);
	CHECK_TREE(after, before);
}

static void run_model(uint64_t seed, unsigned steps, const struct repository_secret *secret)
{
	const struct memory_options options = {.mode = 0755};
	struct tree_changer c = {.count = 2, .random = seed};
	uint64_t when = seed;
	struct tree t;
	struct error err;

	tree_make_with(&t, secret);
	CHECK_OK(memory_new(&options, &c.fs[1], &err));
	for (unsigned i = 0; i < steps; i++) {
		_cleanup_free_ char *ours = NULL, *model = NULL;

		c.fs[0] = t.fs;
		tree_change(&c);
		if (monofs_random(&when) % 25)
			continue;
		interrupt(&t, monofs_random(&when) % 12);
		ours = tree_text(t.fs, false);
		model = tree_text(c.fs[1], false);
		CHECK_TREE(ours, model);
	}
	vfs_destroy(c.fs[1]);
	tree_close(&t);
}

TEST(any_sequence_of_changes_revisions_and_restarts_leaves_what_a_plain_file_system_has)
{
	for (uint64_t seed = 1; seed <= 6; seed++)
		run_model(seed, 300, NULL);
}

TEST(the_same_where_the_repository_is_encrypted)
{
	const struct repository_secret secret = {.passphrase = "open"};

	for (uint64_t seed = 7; seed <= 8; seed++)
		run_model(seed, 300, &secret);
}

/* ---- killed -------------------------------------------------------------------------------------------- */

static void copy(const char *from, const char *to)
{
	const char *const argv[] = {"cp", "-a", from, to, NULL};
	const struct process_run_options o = {.timeout = 60000000000ull};
	struct error err;

	CHECK_OK(process_run(argv, &o, &err));
}

/* After each change: bytes of the only segment, and what there is. */
struct step {
	uint64_t bytes;
	char *text;
};

static void check_killed_at(const struct tree *t, const struct step *s, uint64_t more)
{
	_cleanup_free_ char *text = NULL;
	struct tree killed = {.secret = NULL};
	char segment[300];
	struct error err;

	snprintf(killed.path, sizeof killed.path, "%.200s.killed", t->path);
	copy(t->path, killed.path);
	snprintf(segment, sizeof segment, "%s/journal/0000000000000001", killed.path);
	CHECK_INT(truncate(segment, (off_t)(40 + s->bytes + more)), 0);
	tree_open(&killed);
	text = tree_text(killed.fs, true);
	CHECK_TREE(text, s->text);
	tree_close(&killed);
	CHECK_OK(fs_remove_tree(AT_FDCWD, killed.path, &err));
}

TEST(killed_after_any_record_it_has_all_changes_before)
{
	enum { STEPS = 200 };
	static struct step steps[STEPS];
	struct tree_changer c = {.count = 1, .random = 77};
	struct live_state state;
	unsigned stride = getenv("MC_ALL") ? 1 : 13;
	struct tree t;

	tree_make(&t);
	c.fs[0] = t.fs;
	for (int i = 0; i < STEPS; i++) {
		tree_change(&c);
		live_state(t.fs, &state);
		steps[i] = (struct step){state.journal_bytes, tree_text(t.fs, true)};
	}
	tree_close(&t);
	for (int i = 0; i < STEPS; i += (int)stride) {
		check_killed_at(&t, &steps[i], 0);
		/* In the middle of the next. */
		if (i + 1 < STEPS && steps[i + 1].bytes > steps[i].bytes)
			check_killed_at(&t, &steps[i], (steps[i + 1].bytes - steps[i].bytes) / 2);
	}
	for (int i = 0; i < STEPS; i++)
		free(steps[i].text);
}

/* What a process has made that is killed at a random moment, while revisions are made: files, each with its
 * number, one after the other. It tells of each that fsync has reported. */
static _Noreturn void write_until_killed(const char *path, bool drafts, int tell)
{
	const struct live_options o = {
		.quiet = 1000000, .most = drafts ? 30000000 : 3000000, .dirty_most = drafts ? 3 : 0};
	const struct vfs_caller me = {0};
	struct repository *r;
	struct vfs *fs;

	if (repository_open(path, NULL, false, NULL, &r, NULL) < 0 || live_new(r, &o, &fs, NULL) < 0 ||
		live_start(fs, NULL) < 0)
		_exit(1);
	for (uint32_t i = 0;; i++) {
		struct vfs_attributes a;
		vfs_handle h;
		char name[32];

		snprintf(name, sizeof name, "file-%u", i);
		if (vfs_create(fs, &me, VFS_ROOT, name, 0644, VFS_WRITE, &a, &h) < 0 ||
			vfs_write(fs, a.ino, h, name, strlen(name), 0) < 0 ||
			vfs_fsync(fs, a.ino, h, false) < 0 || write(tell, &i, sizeof i) != sizeof i)
			_exit(1);
		vfs_release(fs, a.ino, h);
		vfs_forget(fs, a.ino, 1);
	}
}

static void check_files(struct tree *t, uint32_t synced)
{
	for (uint32_t i = 0; i < synced; i++) {
		struct vfs_attributes a;
		char name[32];

		snprintf(name, sizeof name, "file-%u", i);
		CHECK_INT(vfs_lookup(t->fs, VFS_ROOT, name, &a), 0);
		vfs_check_text(t->fs, a.ino, name);
		vfs_forget(t->fs, a.ino, 1);
	}
}

TEST(killed_at_any_moment_it_has_all_that_fsync_reported)
{
	uint64_t random = 5;

	for (int round = 0; round < 6; round++) {
		uint32_t synced = 0, number;
		struct object_id id;
		struct tree t;
		int ends[2];
		pid_t child;

		tree_make(&t);
		tree_close(&t);
		CHECK_INT(pipe(ends), 0);
		child = fork();
		if (child == 0)
			write_until_killed(t.path, round % 2, ends[1]);
		close(ends[1]);
		CHECK(read(ends[0], &number, sizeof number) == sizeof number);
		usleep((useconds_t)(monofs_random(&random) % 150000));
		CHECK_INT(kill(child, SIGKILL), 0);
		CHECK_INT(waitpid(child, NULL, 0), child);
		do
			synced = number + 1;
		while (read(ends[0], &number, sizeof number) == sizeof number);
		close(ends[0]);
		tree_open(&t);
		check_files(&t, synced);
		id = commit(&t);
		check_view(&t, &id);
		tree_close(&t);
	}
}

/* ---- what a revision is -------------------------------------------------------------------------------- */

TEST(nothing_changed_is_no_revision)
{
	struct object_id id, again;
	struct tree t;
	struct error err;
	bool made;

	tree_make(&t);
	CHECK_OK(live_commit(t.fs, "", NULL, &id, &made, &err));
	CHECK(!made);
	vfs_make_text(t.fs, VFS_ROOT, "f", "text");
	CHECK_OK(live_commit(t.fs, "", NULL, &id, &made, &err));
	CHECK(made);
	CHECK_OK(live_commit(t.fs, "", NULL, &again, &made, &err));
	CHECK(!made && object_id_equal(&id, &again));
	tree_close(&t);
}

TEST(a_revision_stays_as_it_was_while_the_tree_changes)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct tree_changer c = {.count = 1, .random = 3};
	struct object_id id;
	struct vfs *view;
	struct tree t;
	struct error err;

	tree_make(&t);
	c.fs[0] = t.fs;
	for (int i = 0; i < 200; i++)
		tree_change(&c);
	id = commit(&t);
	CHECK_OK(view_new(t.r, &id, &view, &err));
	before = tree_text(view, true);
	for (int i = 0; i < 200; i++)
		tree_change(&c);
	commit(&t);
	after = tree_text(view, true);
	CHECK_TREE(after, before);
	CHECK_INT(vfs_unlink(view, VFS_ROOT, "a"), -EROFS);
	vfs_destroy(view);
	tree_close(&t);
}

TEST(the_same_contents_have_the_same_root_whichever_way_they_came)
{
	struct object_id roots[2];

	for (int way = 0; way < 2; way++) {
		const struct vfs_attributes v = {.mode = 0750, .mtime = {1000, 5}};
		const struct vfs_caller me = {0};
		_cleanup_commit_ struct commit c = {0};
		struct vfs_attributes a;
		struct object_id id;
		struct tree t;
		struct error err;
		uint64_t d, f;

		tree_make(&t);
		d = vfs_make_directory(t.fs, VFS_ROOT, way ? "x" : "d");
		if (way) {
			vfs_make_file(t.fs, d, "gone");
			commit(&t);
			CHECK_INT(vfs_unlink(t.fs, d, "gone"), 0);
			CHECK_INT(vfs_rename(t.fs, VFS_ROOT, "x", VFS_ROOT, "d", 0), 0);
		}
		f = vfs_make_text(t.fs, d, "f", way ? "some text that is cut" : "some text");
		if (way) {
			commit(&t);
			CHECK_INT(vfs_setattr(t.fs, &me, f, VFS_NO_HANDLE,
					  &(struct vfs_attributes){.size = 9}, VFS_SET_SIZE, &a),
				0);
		}
		CHECK_INT(vfs_link(t.fs, f, VFS_ROOT, way ? "z" : "a", &a), 0);
		if (way) {
			commit(&t);
			CHECK_INT(vfs_link(t.fs, f, VFS_ROOT, "a", &a), 0);
			CHECK_INT(vfs_unlink(t.fs, VFS_ROOT, "z"), 0);
		}
		for (int i = 0; i < 3; i++)
			CHECK_INT(vfs_setattr(t.fs, &me, (uint64_t[]){f, d, VFS_ROOT}[i], VFS_NO_HANDLE, &v,
					  VFS_SET_MODE | VFS_SET_MTIME, &a),
				0);
		id = commit(&t);
		CHECK_OK(commit_get(repository_store(t.r), &id, &c, &err));
		roots[way] = c.content;
		tree_close(&t);
	}
	CHECK(object_id_equal(&roots[0], &roots[1]));
}

TEST(of_several_names_the_one_that_a_walk_meets_first_has_the_file)
{
	struct tree_object below = {0}, beside = {0};
	struct vfs_attributes a;
	struct object_id id;
	struct error err;
	struct tree t;
	uint64_t d, f;

	tree_make(&t);
	d = vfs_make_directory(t.fs, VFS_ROOT, "d");
	f = vfs_make_text(t.fs, d, "f", "some text");
	/* Its bytes are before those of "d/f", but "d" is before it. */
	CHECK_INT(vfs_link(t.fs, f, VFS_ROOT, "d-g", &a), 0);
	id = commit(&t);
	CHECK_OK(tree_find_name(t.r, &id, "d/f", 3, &below, &err));
	CHECK_OK(tree_find_name(t.r, &id, "d-g", 3, &beside, &err));
	CHECK_INT(below.entry.kind, ENTRY_FILE);
	CHECK_INT(beside.entry.kind, ENTRY_LINK);
	tree_object_free(&below);
	tree_object_free(&beside);
	tree_close(&t);
}

/* ---- further promises ---------------------------------------------------------------------------------- */

TEST(an_unlinked_file_is_read_and_written_over_revisions)
{
	const struct vfs_caller me = {0};
	struct vfs_attributes a;
	char bytes[16] = {0};
	vfs_handle h;
	struct tree t;

	tree_make(&t);
	CHECK_INT(vfs_create(t.fs, &me, VFS_ROOT, "f", 0644, VFS_READ | VFS_WRITE, &a, &h), 0);
	CHECK_INT(vfs_write(t.fs, a.ino, h, "one", 3, 0), 3);
	commit(&t);
	CHECK_INT(vfs_write(t.fs, a.ino, h, "two", 3, 3), 3);
	CHECK_INT(vfs_unlink(t.fs, VFS_ROOT, "f"), 0);
	CHECK_INT(vfs_write(t.fs, a.ino, h, "three", 5, 6), 5);
	commit(&t);
	vfs_make_text(t.fs, VFS_ROOT, "g", "other");
	commit(&t);
	CHECK_INT(vfs_read(t.fs, a.ino, h, bytes, sizeof bytes, 0), 11);
	CHECK_TEXT(bytes, "onetwothree");
	vfs_release(t.fs, a.ino, h);
	vfs_forget(t.fs, a.ino, 1);
	tree_close(&t);
	tree_open(&t);
	CHECK_INT(vfs_look(t.fs, VFS_ROOT, "f"), -ENOENT);
	tree_close(&t);
}

TEST(numbers_and_persistent_handles_outlive_a_restart)
{
	uint8_t bytes[VFS_PERSISTENT_MAX];
	struct vfs_attributes a, found;
	uint64_t d, e, f;
	size_t size;
	struct tree t;

	tree_make(&t);
	d = vfs_make_directory(t.fs, VFS_ROOT, "d");
	e = vfs_make_directory(t.fs, d, "e");
	f = vfs_make_text(t.fs, e, "f", "text");
	a = vfs_attributes_of(t.fs, f);
	CHECK_INT(vfs_persist(t.fs, f, bytes, &size), 0);
	for (int i = 0; i < 3; i++) {
		tree_close(&t); /* first with all in the journal, then in a revision, then moved */
		tree_open(&t);
		CHECK_INT(vfs_resolve(t.fs, bytes, size, &found), 0);
		CHECK_INT(found.ino, a.ino);
		CHECK_INT(found.generation, a.generation);
		vfs_check_text(t.fs, found.ino, "text");
		if (i == 0)
			commit(&t);
		if (i == 1)
			CHECK_INT(vfs_rename(t.fs, VFS_ROOT, "d", VFS_ROOT, "moved", 0), 0);
	}
	CHECK_INT(vfs_resolve(t.fs, bytes, size, &found), 0);
	bytes[12] ^= 1;
	CHECK_INT(vfs_resolve(t.fs, bytes, size, &found), -ESTALE);
	tree_close(&t);
}

TEST(a_roll_back_leaves_the_newest_revision)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct tree_changer c = {.count = 1, .random = 9};
	struct vfs_attributes a;
	struct error err;
	vfs_handle h;
	struct tree t;
	uint64_t f;

	tree_make(&t);
	c.fs[0] = t.fs;
	for (int i = 0; i < 150; i++)
		tree_change(&c);
	vfs_make_text(t.fs, VFS_ROOT, "kept", "kept");
	commit(&t);
	before = tree_text(t.fs, true);
	for (int i = 0; i < 150; i++)
		tree_change(&c);
	f = vfs_make_file(t.fs, VFS_ROOT, "new");
	h = vfs_opened(t.fs, f, VFS_READ);
	CHECK_ERROR(live_roll_back(t.fs, &err), ERROR_BUSY);
	vfs_release(t.fs, f, h);
	CHECK_OK(live_roll_back(t.fs, &err));
	after = tree_text(t.fs, true);
	CHECK_TREE(after, before);
	CHECK_INT(vfs_getattr(t.fs, f, VFS_NO_HANDLE, &a), -ESTALE);
	vfs_forget(t.fs, f, 1);
	free(after);
	tree_close(&t);
	tree_open(&t);
	after = tree_text(t.fs, true);
	CHECK_TREE(after, before);
	vfs_put(t.fs, vfs_find(t.fs, VFS_ROOT, "kept").ino, 0, "more");
	commit(&t);
	tree_close(&t);
}

TEST(a_full_disk_refuses_and_leaves_all_that_was_reported)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct rlimit was, limit;
	struct object_id id;
	uint8_t bytes[4096];
	struct tree t;
	struct error err;
	uint64_t f;
	bool made;
	int64_t n = 0;

	tree_make(&t);
	f = vfs_make_file(t.fs, VFS_ROOT, "f");
	signal(SIGXFSZ, SIG_IGN);
	CHECK(getrlimit(RLIMIT_FSIZE, &was) == 0);
	limit = was;
	limit.rlim_cur = 100000;
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	for (uint64_t at = 0; at < 1000000 && n >= 0; at += sizeof bytes) {
		monofs_bytes(bytes, sizeof bytes, at);
		n = vfs_write(t.fs, f, VFS_NO_HANDLE, bytes, sizeof bytes, at);
	}
	CHECK(n == -EFBIG || n == -ENOSPC);
	CHECK_INT(vfs_fsync(t.fs, f, VFS_NO_HANDLE, false), 0);
	before = tree_text(t.fs, true);
	limit.rlim_cur = 50000;
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	CHECK(live_commit(t.fs, "", NULL, &id, &made, &err) < 0);
	after = tree_text(t.fs, true);
	CHECK_TREE(after, before);
	CHECK(setrlimit(RLIMIT_FSIZE, &was) == 0);
	tree_close(&t);
	tree_open(&t);
	free(after);
	after = tree_text(t.fs, true);
	CHECK_TREE(after, before);
	id = commit(&t);
	check_view(&t, &id);
	tree_close(&t);
}

TEST(a_directory_of_very_many_names_is_a_revision_and_comes_back)
{
	const struct vfs_caller me = {0};
	const unsigned many = getenv("MC_ALL") ? 1000000 : 20000;
	_cleanup_listing_ struct vfs_listing listing = {0};
	struct vfs_attributes a;
	char name[32];
	struct tree t;

	tree_make(&t);
	for (unsigned i = 0; i < many; i++) {
		snprintf(name, sizeof name, "name-%u", i);
		CHECK_CALL(vfs_mknod(t.fs, &me, VFS_ROOT, name, S_IFREG | 0644, 0, 0, &a));
		vfs_forget(t.fs, a.ino, 1);
	}
	commit(&t);
	CHECK_CALL(vfs_unlink(t.fs, VFS_ROOT, "name-7"));
	commit(&t);
	tree_close(&t);
	tree_open(&t);
	CHECK_INT(vfs_list(t.fs, VFS_ROOT, VFS_NO_HANDLE, 0, false, 0, &listing), 2 + many - 1);
	for (unsigned i = 0; i < many; i += 101) {
		snprintf(name, sizeof name, "name-%u", i);
		CHECK_CALL(vfs_look(t.fs, VFS_ROOT, name));
	}
	tree_close(&t);
}

TEST(directories_lie_as_deep_as_a_revision_may_have_them_and_no_deeper)
{
	const struct vfs_caller me = {0};
	uint64_t d = VFS_ROOT;
	uint8_t bytes[VFS_PERSISTENT_MAX];
	struct vfs_attributes a;
	unsigned depth = 0;
	size_t size;
	struct tree t;
	int r;

	tree_make(&t);
	while ((r = vfs_mkdir(t.fs, &me, d, "d", 0755, &a)) == 0) {
		d = a.ino;
		depth++;
	}
	CHECK_INT(r, -ENAMETOOLONG);
	CHECK_INT(depth, ENTRY_DEPTH_MAX - 1);
	vfs_make_text(t.fs, d, "f", "text");
	CHECK_CALL(vfs_persist(t.fs, vfs_find(t.fs, d, "f").ino, bytes, &size));
	commit(&t);
	tree_close(&t);
	tree_open(&t);
	CHECK_CALL(vfs_resolve(t.fs, bytes, size, &a));
	vfs_check_text(t.fs, a.ino, "text");
	tree_close(&t);
}

TEST(changes_become_revisions_by_themselves)
{
	const struct live_options o = {.quiet = 20000000, .most = 100000000, .author = "me"};
	struct live_state state;
	struct object_id first;
	struct tree t;
	struct error err;

	tree_make(&t);
	tree_close(&t);
	CHECK_OK(repository_open(t.path, NULL, false, NULL, &t.r, &err));
	CHECK_OK(live_new(t.r, &o, &t.fs, &err));
	CHECK_OK(live_start(t.fs, &err));
	live_state(t.fs, &state);
	first = state.base;
	vfs_make_text(t.fs, VFS_ROOT, "f", "text");
	for (int i = 0; i < 3000 && object_id_equal(&state.base, &first); i++) {
		usleep(10000);
		live_state(t.fs, &state);
	}
	CHECK(!object_id_equal(&state.base, &first));
	tree_close(&t);
}

TEST(a_journal_that_grows_too_large_makes_writers_wait_for_a_revision)
{
	const struct live_options o = {
		.quiet = 3600000000000ull, .most = 3600000000000ull, .journal_most = 1u << 20};
	static uint8_t bytes[65536];
	struct live_state state;
	struct tree t;
	struct error err;
	uint64_t f;

	tree_make(&t);
	tree_close(&t);
	CHECK_OK(repository_open(t.path, NULL, false, NULL, &t.r, &err));
	CHECK_OK(live_new(t.r, &o, &t.fs, &err));
	CHECK_OK(live_start(t.fs, &err));
	f = vfs_make_file(t.fs, VFS_ROOT, "f");
	for (uint64_t i = 0; i < 200; i++) {
		monofs_bytes(bytes, sizeof bytes, i);
		CHECK_INT(vfs_write(t.fs, f, VFS_NO_HANDLE, bytes, sizeof bytes, i * sizeof bytes),
			sizeof bytes);
		live_state(t.fs, &state);
		CHECK(state.journal_bytes <= (2u << 20) + 2 * sizeof bytes);
	}
	for (uint64_t i = 0; i < 200; i++) {
		monofs_bytes(bytes, sizeof bytes, i);
		vfs_check_bytes(t.fs, f, i * sizeof bytes, bytes, sizeof bytes);
	}
	tree_close(&t);
}

/* ---- reading ahead ------------------------------------------------------------------------------------- */

#define LONG_SIZE  (12u << 20)
#define LONG_PIECE 40000u

struct long_reader {
	pthread_t thread;
	struct vfs *fs;
	const uint8_t *bytes; /* that are there */
	uint64_t file, from;
	int wrong; /* calls that gave other than that */
};

static void *read_on(void *context)
{
	static _Thread_local uint8_t piece[LONG_PIECE];
	struct long_reader *r = context;

	for (uint64_t at = r->from; at < LONG_SIZE; at += LONG_PIECE) {
		size_t n = LONG_SIZE - at < LONG_PIECE ? (size_t)(LONG_SIZE - at) : LONG_PIECE;

		if (vfs_read(r->fs, r->file, VFS_NO_HANDLE, piece, LONG_PIECE, at) != (int64_t)n ||
			memcmp(piece, r->bytes + at, n) != 0)
			r->wrong++;
	}
	return NULL;
}

/* By some at once, from various places on. */
static void check_read_on(struct vfs *fs, uint64_t file, const uint8_t *bytes)
{
	struct long_reader readers[4];

	for (unsigned i = 0; i < ARRAY_SIZE(readers); i++) {
		readers[i] = (struct long_reader){
			.fs = fs, .bytes = bytes, .file = file, .from = i * (LONG_SIZE / 5)};
		CHECK_INT(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(readers); i++) {
		pthread_join(readers[i].thread, NULL);
		CHECK_INT(readers[i].wrong, 0);
	}
}

static void check_long_file(const struct repository_secret *secret)
{
	_cleanup_free_ uint8_t *bytes = malloc(LONG_SIZE);
	static uint8_t piece[LONG_PIECE];
	struct vfs_attributes a;
	struct tree t;
	uint64_t f;

	monofs_bytes(bytes, LONG_SIZE, 7);
	tree_make_with(&t, secret);
	f = vfs_make_file(t.fs, VFS_ROOT, "f");
	for (uint64_t at = 0; at < LONG_SIZE; at += 1u << 20)
		CHECK_INT(vfs_write(t.fs, f, VFS_NO_HANDLE, bytes + at, 1u << 20, at), 1 << 20);
	commit(&t);
	tree_close(&t);
	/* What is being read ahead does not outlive the tree. */
	for (uint64_t i = 0; i < 8; i++) {
		tree_open(&t);
		CHECK_INT(vfs_lookup(t.fs, VFS_ROOT, "f", &a), 0);
		f = a.ino;
		CHECK_INT(vfs_read(t.fs, f, VFS_NO_HANDLE, piece, i * 5000, 0), i * 5000);
		tree_close(&t);
	}
	tree_open(&t);
	CHECK_INT(vfs_lookup(t.fs, VFS_ROOT, "f", &a), 0);
	f = a.ino;
	check_read_on(t.fs, f, bytes);
	monofs_bytes(bytes + 5000000, 70000, 8);
	CHECK_INT(vfs_write(t.fs, f, VFS_NO_HANDLE, bytes + 5000000, 70000, 5000000), 70000);
	check_read_on(t.fs, f, bytes);
	commit(&t);
	check_read_on(t.fs, f, bytes);
	tree_close(&t);
}

TEST(who_reads_a_file_to_its_end_gets_what_is_in_it)
{
	const struct repository_secret secret = {.passphrase = "open"};

	check_long_file(NULL);
	check_long_file(&secret);
}
