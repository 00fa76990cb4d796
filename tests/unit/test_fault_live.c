/* SPDX-License-Identifier: Apache-2.0 */
/* The live tree where memory runs out, or the disk: a call that fails has changed nothing, a revision that
 * fails leaves everything to the next, and what is there afterwards is there after a restart. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "fault.h"
#include "monofs/check.h"
#include "monofs/live.h"
#include "monofs_place.h"
#include "monofs_tree.h"
#include "vfs_make.h"

static const struct live_options by_hand = {.no_automatic = true};
static char path[256];
static struct repository *repository;
static struct vfs *fs;

static void open_tree(void)
{
	struct error err;

	CHECK_OK(repository_open(path, NULL, false, NULL, &repository, &err));
	CHECK_OK(live_new(repository, &by_hand, &fs, &err));
}

static void close_tree(void)
{
	vfs_destroy(fs);
	repository_close(repository);
}

static void make_tree(void)
{
	struct error err;

	monofs_path(monofs_place(), "a.monofs", path);
	CHECK_OK(repository_create(path, &(struct repository_new){0}, &err));
	open_tree();
	vfs_make_text(fs, VFS_ROOT, "file", "text");
	vfs_make_text(fs, VFS_ROOT, "other", "other");
	vfs_make_file(fs, vfs_make_directory(fs, VFS_ROOT, "directory"), "inner");
}

static int commit(void)
{
	struct object_id id;
	bool made;

	return live_commit(fs, "", NULL, &id, &made, NULL);
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static const struct vfs_caller me;

static uint64_t file(void)
{
	return vfs_find(fs, VFS_ROOT, "file").ino;
}

static int call_make(void)
{
	struct vfs_attributes a;

	return vfs_mkdir(fs, &me, VFS_ROOT, "made", 0755, &a);
}

static int call_symlink(void)
{
	struct vfs_attributes a;

	return vfs_symlink(fs, &me, VFS_ROOT, "symlink", "target", &a);
}

static int call_link(void)
{
	struct vfs_attributes a;

	return vfs_link(fs, file(), vfs_find(fs, VFS_ROOT, "directory").ino, "link", &a);
}

static int call_rename(void)
{
	return vfs_rename(fs, VFS_ROOT, "other", vfs_find(fs, VFS_ROOT, "directory").ino, "moved", 0);
}

static int call_write(void)
{
	int64_t n = vfs_write(fs, file(), VFS_NO_HANDLE, "more of it", 10, 2);

	return n == 10 ? 0 : (int)n;
}

static int call_set(void)
{
	struct vfs_attributes a = {.size = 3, .mode = 0600};

	return vfs_setattr(fs, &me, file(), VFS_NO_HANDLE, &a, VFS_SET_SIZE | VFS_SET_MODE, &a);
}

static int call_xattr(void)
{
	return vfs_setxattr(fs, file(), "user.a", "value", 5, 0);
}

static int call_punch(void)
{
	return vfs_allocate(fs, file(), VFS_NO_HANDLE, VFS_PUNCH_HOLE | VFS_KEEP_SIZE, 0, 2);
}

static int call_unlink(void)
{
	return vfs_unlink(fs, VFS_ROOT, "file");
}

static int (*const calls[])(void) = {call_make, call_symlink, call_link, call_rename, call_write, call_set,
	call_xattr, call_punch, call_unlink, commit};

/* Until it succeeds, with allocations or calls of the system failing in their turn: each, but of a revision's
 * one in seven. Who lost a disk begins anew. */
static void check_call(int (*call)(void), enum fault_kind kind)
{
	for (unsigned n = 1;; n += call == commit ? 7 : 1) {
		_cleanup_free_ char *before = tree_text(fs, true), *after = NULL;
		bool armed = fault_arm(kind, n);
		int r = call();

		fault_disarm();
		if (r == 0)
			return;
		CHECK(armed && n < 10000);
		if (kind == FAULT_DISK) {
			close_tree();
			open_tree();
		}
		after = tree_text(fs, true);
		CHECK_TREE(after, before);
	}
}

static void check_all(enum fault_kind kind)
{
	make_tree();
	CHECK_INT(commit(), 0);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		check_call(calls[i], kind);
	for (int i = 0; i < 2; i++) {
		_cleanup_free_ char *before = tree_text(fs, true), *after = NULL;

		close_tree();
		open_tree();
		after = tree_text(fs, true);
		CHECK_TREE(after, before);
		if (i == 0)
			vfs_make_file(fs, VFS_ROOT, "further");
		CHECK_INT(commit(), 0);
	}
	close_tree();
}

static void damaged(void *context, const char *what, const char *revision, const char *name, const char *why)
{
	(void)context;
	(void)revision;
	test_fail(__FILE__, __LINE__, "damaged: %s (%s): %s", what, name ? name : "", why);
}

static void check_clean(void)
{
	const struct check_options o = {.read_data = true, .damaged = damaged};
	struct check_result result;
	struct error err;

	CHECK_OK(check_repository(repository, &o, &result, &err));
}

/* Also where it was a sync that failed, after which nobody knows what is on disk. */
TEST(a_revision_that_the_disk_refuses_is_made_by_the_next_try)
{
	bool happened = true;

	make_tree();
	CHECK_INT(commit(), 0);
	for (unsigned n = 1; happened; n += 3) {
		_cleanup_free_ char *before = NULL, *after = NULL;
		char text[16];
		int r;

		CHECK(n < 10000);
		snprintf(text, sizeof text, "text %u", n);
		vfs_put(fs, file(), 0, text);
		before = tree_text(fs, true);
		fault_arm(FAULT_DISK, n);
		r = commit();
		happened = fault_happened();
		fault_disarm();
		CHECK_INT(r < 0 ? commit() : 0, 0);
		close_tree();
		open_tree();
		after = tree_text(fs, true);
		CHECK_TREE(after, before);
		check_clean();
	}
	close_tree();
}

TEST(a_call_for_which_there_is_no_memory_changes_nothing)
{
	check_all(FAULT_MEMORY);
}

TEST(a_call_that_the_disk_refuses_changes_nothing)
{
	check_all(FAULT_DISK);
}
