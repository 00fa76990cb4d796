/* SPDX-License-Identifier: Apache-2.0 */
/* Names of a union that come and go, handles of it that last, and what it says has changed. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "overlay_layers.h"

/* ---- names that come and go ------------------------------------------------------------------------- */

static void whiteouts_are_left_where_they_are_needed(enum overlay_form form)
{
	_cleanup_layers_ struct layers l = {.form = form};
	uint64_t d;

	make_layers(&l, 2);
	vfs_make_text(l.lower[1], VFS_ROOT, "below", "x");
	vfs_make_text(l.lower[1], VFS_ROOT, "hidden", "x");
	vfs_make_file(l.lower[0], VFS_ROOT, ".wh.hidden");
	d = vfs_make_directory(l.lower[1], VFS_ROOT, "d");
	vfs_make_text(l.lower[1], d, "f", "x");
	mount_layers(&l);
	vfs_make_text(l.fs, VFS_ROOT, "new", "x");
	vfs_make_text(l.fs, VFS_ROOT, "hidden", "x");
	CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, "new"));
	CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, "hidden"));
	check_names(l.upper, l.directory, "");
	CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, "below"));
	CHECK(has_mark(&l, ".wh.below"));
	check_names(l.fs, VFS_ROOT, "d ");
	/* Directories: empty in the union. */
	d = look_up(l.fs, VFS_ROOT, "d");
	CHECK_ERRNO(vfs_rmdir(l.fs, VFS_ROOT, "d"), ENOTEMPTY);
	CHECK_CALL(vfs_unlink(l.fs, d, "f"));
	CHECK_CALL(vfs_rmdir(l.fs, VFS_ROOT, "d"));
	CHECK(has_mark(&l, ".wh.d"));
	check_names(l.fs, VFS_ROOT, "");
	check_names(l.fs, d, "");
	/* Made again, they have nothing of what was below. */
	d = vfs_make_directory(l.fs, VFS_ROOT, "d");
	check_names(l.fs, d, "");
	vfs_make_text(l.fs, VFS_ROOT, "below", "again");
	CHECK(!has_mark(&l, ".wh.d") && !has_mark(&l, ".wh.below"));
	mount_layers(&l);
	check_names(l.fs, VFS_ROOT, "below d ");
	check_names(l.fs, look_up(l.fs, VFS_ROOT, "d"), "");
	vfs_check_text(l.fs, look_up(l.fs, VFS_ROOT, "below"), "again");
	CHECK_CALL(vfs_rmdir(l.fs, VFS_ROOT, "d"));
	CHECK(has_mark(&l, ".wh.d"));
	check_work(&l, "");
}

TEST(whiteout_files_are_left_where_they_are_needed)
{
	whiteouts_are_left_where_they_are_needed(OVERLAY_OCI);
}

TEST(whiteout_devices_are_left_where_they_are_needed)
{
	whiteouts_are_left_where_they_are_needed(OVERLAY_KERNEL);
	whiteouts_are_left_where_they_are_needed(OVERLAY_KERNEL_USER);
}

TEST(the_longest_names_are_hidden_too)
{
	_cleanup_layers_ struct layers l = {0};
	char name[VFS_NAME_MAX + 1];

	memset(name, 'n', VFS_NAME_MAX);
	name[VFS_NAME_MAX] = 0;
	make_layers(&l, 1);
	vfs_make_file(l.lower[0], VFS_ROOT, name);
	mount_layers(&l);
	CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, name));
	check_names(l.fs, VFS_ROOT, "");
	vfs_make_directory(l.fs, VFS_ROOT, name);
	CHECK_CALL(vfs_rmdir(l.fs, VFS_ROOT, name));
	mount_layers(&l);
	check_names(l.fs, VFS_ROOT, "");
}

static void directories_move(enum overlay_form form)
{
	_cleanup_layers_ struct layers l = {.form = form};
	uint64_t d, own;

	make_layers(&l, 1);
	d = vfs_make_directory(l.lower[0], VFS_ROOT, "lower");
	vfs_make_file(l.lower[0], d, "f");
	vfs_make_directory(l.lower[0], VFS_ROOT, "empty");
	mount_layers(&l);
	own = vfs_make_directory(l.fs, VFS_ROOT, "own");
	vfs_make_file(l.fs, own, "g");
	CHECK_ERRNO(vfs_rename(l.fs, VFS_ROOT, "lower", VFS_ROOT, "x", 0), EXDEV);
	CHECK_ERRNO(vfs_rename(l.fs, VFS_ROOT, "own", VFS_ROOT, "lower", VFS_EXCHANGE), EXDEV);
	CHECK_ERRNO(vfs_rename(l.fs, VFS_ROOT, "own", VFS_ROOT, "lower", 0), ENOTEMPTY);
	CHECK_ERRNO(vfs_rename(l.fs, VFS_ROOT, "own", VFS_ROOT, "empty", VFS_NO_REPLACE), EEXIST);
	CHECK_CALL(vfs_rename(l.fs, VFS_ROOT, "own", VFS_ROOT, "empty", 0));
	mount_layers(&l);
	check_names(l.fs, VFS_ROOT, "empty lower ");
	check_names(l.fs, look_up(l.fs, VFS_ROOT, "empty"), "g ");
	/* Away from there, the lower's stays hidden. */
	CHECK_CALL(vfs_rename(l.fs, VFS_ROOT, "empty", VFS_ROOT, "own", VFS_NO_REPLACE));
	mount_layers(&l);
	check_names(l.fs, VFS_ROOT, "lower own ");
	/* Over what was removed: nothing of it comes back. */
	CHECK_CALL(vfs_unlink(l.fs, look_up(l.fs, VFS_ROOT, "lower"), "f"));
	CHECK_CALL(vfs_rename(l.fs, VFS_ROOT, "own", VFS_ROOT, "lower", 0));
	mount_layers(&l);
	check_names(l.fs, VFS_ROOT, "lower ");
	check_names(l.fs, look_up(l.fs, VFS_ROOT, "lower"), "g ");
	check_work(&l, "");
}

TEST(only_directories_of_the_upper_move)
{
	directories_move(OVERLAY_OCI);
	directories_move(OVERLAY_KERNEL);
}

TEST(files_move_and_change_places_over_layers)
{
	_cleanup_layers_ struct layers l = {0};
	uint64_t d;

	make_layers(&l, 2);
	d = vfs_make_directory(l.lower[1], VFS_ROOT, "d");
	vfs_make_text(l.lower[1], d, "a", "a");
	vfs_make_text(l.lower[0], VFS_ROOT, "b", "b");
	mount_layers(&l);
	d = look_up(l.fs, VFS_ROOT, "d");
	CHECK_CALL(vfs_rename(l.fs, d, "a", VFS_ROOT, "b", VFS_EXCHANGE));
	vfs_check_text(l.fs, look_up(l.fs, d, "a"), "b");
	vfs_check_text(l.fs, look_up(l.fs, VFS_ROOT, "b"), "a");
	CHECK_CALL(vfs_rename(l.fs, d, "a", VFS_ROOT, "b", 0));
	mount_layers(&l);
	check_names(l.fs, look_up(l.fs, VFS_ROOT, "d"), "");
	check_names(l.fs, VFS_ROOT, "b d ");
	vfs_check_text(l.fs, look_up(l.fs, VFS_ROOT, "b"), "b");
}

TEST(lists_of_several_layers_go_on_while_files_are_copied_and_removed)
{
	_cleanup_layers_ struct layers l = {0};
	_cleanup_listing_ struct vfs_listing listing = {0};
	uint64_t cookie = 0;
	char name[16];

	make_layers(&l, 2);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "%d", i);
		vfs_make_file(l.lower[i % 2], VFS_ROOT, name);
	}
	mount_layers(&l);
	for (int i = 0; vfs_list(l.fs, VFS_ROOT, VFS_NO_HANDLE, cookie, false, 7, &listing) > 0; i++) {
		cookie = listing.entries[listing.count - 1].cookie;
		for (int j = i * 10; j < 300 && j < i * 10 + 10; j += 2) {
			snprintf(name, sizeof name, "%d", j);
			vfs_put(l.fs, look_up(l.fs, VFS_ROOT, name), 0, "copied");
			snprintf(name, sizeof name, "%d", j + 1);
			CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, name));
		}
	}
	for (int i = 0; i < 300; i += 2) {
		snprintf(name, sizeof name, "%d", i);
		CHECK_INT(vfs_listed(&listing, name, NULL), 1);
	}
}

static int compare_numbers(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

/* All numbers below `end` as names, but multiples of 3, each once. */
static void check_numbers(struct vfs *fs, vfs_handle handle, int end)
{
	_cleanup_listing_ struct vfs_listing listing = {0};
	_cleanup_free_ int *numbers = calloc((size_t)end, sizeof *numbers);
	size_t n = 0;
	uint64_t cookie = 0;

	while (vfs_list(fs, VFS_ROOT, handle, cookie, false, 1000, &listing) > 0)
		cookie = listing.entries[listing.count - 1].cookie;
	CHECK_INT(listing.count - 2, end - (end + 2) / 3);
	for (size_t i = 2; i < listing.count; i++)
		numbers[n++] = atoi(listing.entries[i].name);
	qsort(numbers, n, sizeof *numbers, compare_numbers);
	for (size_t i = 0; i < n; i++)
		CHECK_INT(numbers[i], i / 2 * 3 + i % 2 + 1);
}

TEST(directories_larger_than_what_is_read_at_once_are_listed_whole)
{
	_cleanup_layers_ struct layers l = {0};
	const int end = 60000;
	vfs_handle handle;
	char name[16];

	make_layers(&l, 2);
	for (int i = 0; i < end; i++) {
		snprintf(name, sizeof name, "%d", i);
		if (i < end / 3 * 2)
			vfs_make_file(l.lower[1], VFS_ROOT, name);
		if (i >= end / 3)
			vfs_make_file(l.lower[0], VFS_ROOT, name);
		if (i % 5 == 0)
			vfs_make_file(l.upper, l.directory, name);
	}
	mount_layers(&l);
	for (int i = 0; i < end; i += 3) {
		snprintf(name, sizeof name, "%d", i);
		CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, name));
	}
	CHECK_CALL(vfs_opendir(l.fs, VFS_ROOT, &handle));
	check_numbers(l.fs, handle, end);
	vfs_releasedir(l.fs, VFS_ROOT, handle);
	check_numbers(l.fs, VFS_NO_HANDLE, end);
}

/* ---- persistent handles ----------------------------------------------------------------------------- */

struct kept {
	uint8_t bytes[VFS_PERSISTENT_MAX];
	size_t size;
};

static struct kept keep(struct vfs *fs, uint64_t ino)
{
	struct kept k = {.size = 0};

	CHECK_CALL(vfs_persist(fs, ino, k.bytes, &k.size));
	return k;
}

static int resolve(struct vfs *fs, const struct kept *k, uint64_t *ino)
{
	struct vfs_attributes a = {0};
	int r = vfs_resolve(fs, k->bytes, k->size, &a);

	*ino = a.ino;
	return r;
}

TEST(persistent_handles_of_lower_objects_lead_to_their_copies)
{
	_cleanup_layers_ struct layers l = {0};
	struct kept k, d, b;
	uint64_t file, ino, other;

	make_linked(&l);
	vfs_make_text(l.lower[0], VFS_ROOT, "single", "old");
	file = look_up(l.fs, VFS_ROOT, "single");
	k = keep(l.fs, file);
	d = keep(l.fs, look_up(l.fs, VFS_ROOT, "d"));
	b = keep(l.fs, look_up(l.fs, VFS_ROOT, "a"));
	vfs_put(l.fs, file, 0, "new");
	vfs_put(l.fs, look_up(l.fs, VFS_ROOT, "a"), 0, "new");
	vfs_forget(l.fs, file, UINT64_MAX);
	CHECK_CALL(resolve(l.fs, &k, &ino));
	CHECK_INT(ino, file);
	vfs_check_text(l.fs, ino, "new");
	CHECK_CALL(resolve(l.fs, &d, &other));
	check_names(l.fs, other, "b ");
	CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, "single"));
	CHECK_ERRNO(resolve(l.fs, &k, &ino), ESTALE);
	mount_layers(&l);
	CHECK_CALL(resolve(l.fs, &b, &ino));
	vfs_check_text(l.fs, ino, "new");
	CHECK_ERRNO(resolve(l.fs, &k, &ino), ESTALE);
}

/* ---- what has changed ------------------------------------------------------------------------------- */

static int note_change(void *context, const struct overlay_change *c)
{
	CHECK((c->before == NULL) == (c->kind == OVERLAY_ADDED));
	CHECK((c->now == NULL) == (c->kind == OVERLAY_DELETED));
	buffer_format(context, "%c %s\n", "ACDO"[c->kind], c -> path);
	return 0;
}

static void check_changes(struct layers *l, const char *expected)
{
	struct buffer text = {0};
	char *is;

	CHECK_CALL(overlay_changes(l->fs, note_change, &text));
	is = buffer_take_text(&text);
	if (strcmp(is ? is : "", expected) != 0)
		test_fail(__FILE__, __LINE__, "changes are\n%s\nexpected\n%s", is, expected);
	free(is);
}

static void changes_are_told(enum overlay_form form)
{
	_cleanup_layers_ struct layers l = {.form = form};
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	uint64_t d, e;

	make_layers(&l, 2);
	d = vfs_make_directory(l.lower[1], VFS_ROOT, "d");
	vfs_make_text(l.lower[1], d, "f", "x");
	vfs_make_text(l.lower[1], d, "g", "x");
	e = vfs_make_directory(l.lower[1], d, "e");
	vfs_make_text(l.lower[1], e, "h", "x");
	vfs_make_text(l.lower[0], VFS_ROOT, "same", "x");
	vfs_make_text(l.lower[0], VFS_ROOT, "type", "x");
	e = vfs_make_directory(l.lower[0], VFS_ROOT, "z");
	vfs_make_text(l.lower[0], e, "i", "x");
	vfs_make_text(l.lower[0], e, "j", "x");
	mount_layers(&l);
	check_changes(&l, "");
	d = look_up(l.fs, VFS_ROOT, "d");
	vfs_put(l.fs, look_up(l.fs, d, "f"), 0, "y");
	CHECK_CALL(vfs_unlink(l.fs, d, "g"));
	vfs_make_directory(l.fs, d, "new");
	vfs_make_text(l.fs, look_up(l.fs, d, "new"), "k", "x");
	check_changes(&l, "C d/f\nD d/g\nA d/new\nA d/new/k\n");
	CHECK_CALL(vfs_setattr(
		l.fs, &me, d, VFS_NO_HANDLE, &(struct vfs_attributes){.mode = 0700}, VFS_SET_MODE, &a));
	e = look_up(l.fs, VFS_ROOT, "z");
	CHECK_CALL(vfs_unlink(l.fs, e, "i"));
	CHECK_CALL(vfs_unlink(l.fs, e, "j"));
	CHECK_CALL(vfs_rmdir(l.fs, VFS_ROOT, "z"));
	check_changes(&l, "C d\nC d/f\nD d/g\nA d/new\nA d/new/k\nD z\nD z/i\nD z/j\n");
	vfs_make_text(l.fs, vfs_make_directory(l.fs, VFS_ROOT, "z"), "j", "new");
	CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, "type"));
	vfs_make_directory(l.fs, VFS_ROOT, "type");
	mount_layers(&l);
	check_changes(&l, "C d\nC d/f\nD d/g\nA d/new\nA d/new/k\nD type\nA type\nO z\nD z/i\nC z/j\n");
}

TEST(every_change_is_told_in_order)
{
	changes_are_told(OVERLAY_OCI);
	changes_are_told(OVERLAY_KERNEL);
}

TEST(a_directory_that_became_a_file_is_told_with_all_that_was_in_it)
{
	_cleanup_layers_ struct layers l = {0};
	uint64_t d;

	make_layers(&l, 1);
	d = vfs_make_directory(l.lower[0], VFS_ROOT, "d");
	vfs_make_file(l.lower[0], d, "f");
	mount_layers(&l);
	CHECK_CALL(vfs_unlink(l.fs, look_up(l.fs, VFS_ROOT, "d"), "f"));
	CHECK_CALL(vfs_rmdir(l.fs, VFS_ROOT, "d"));
	vfs_make_file(l.fs, VFS_ROOT, "d");
	vfs_make_file(l.fs, VFS_ROOT, "e");
	check_changes(&l, "D d\nD d/f\nA d\nA e\n");
}

TEST(a_file_that_was_changed_by_another_name_is_told_by_all_its_names)
{
	_cleanup_layers_ struct layers l = {0};

	make_linked(&l);
	vfs_put(l.fs, look_up(l.fs, VFS_ROOT, "a"), 0, "new");
	check_changes(&l, "C a\nC c\nC d/b\n");
}
