/* SPDX-License-Identifier: Apache-2.0 */
/* What a union of file systems shows, how it copies up, and hard links in it. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "overlay_layers.h"

/* ---- what is shown ---------------------------------------------------------------------------------- */

TEST(the_topmost_of_several_files_is_shown)
{
	_cleanup_layers_ struct layers l = {0};

	make_layers(&l, 3);
	vfs_make_text(l.lower[2], VFS_ROOT, "a", "two");
	vfs_make_text(l.lower[1], VFS_ROOT, "a", "one");
	vfs_make_text(l.lower[2], VFS_ROOT, "b", "two");
	vfs_make_text(l.lower[0], VFS_ROOT, "c", "nought");
	vfs_make_text(l.upper, l.directory, "c", "upper");
	mount_layers(&l);
	vfs_check_text(l.fs, look_up(l.fs, VFS_ROOT, "a"), "one");
	vfs_check_text(l.fs, look_up(l.fs, VFS_ROOT, "b"), "two");
	vfs_check_text(l.fs, look_up(l.fs, VFS_ROOT, "c"), "upper");
	check_names(l.fs, VFS_ROOT, "a b c ");
}

TEST(directories_of_all_layers_are_one)
{
	_cleanup_layers_ struct layers l = {0};
	uint64_t d;

	make_layers(&l, 3);
	for (size_t i = 0; i < 3; i++) {
		const char name[2] = {(char)('a' + i), 0};

		d = vfs_make_directory(l.lower[i], VFS_ROOT, "d");
		vfs_make_text(l.lower[i], d, name, name);
	}
	d = vfs_make_directory(l.upper, l.directory, "d");
	vfs_make_text(l.upper, d, "u", "u");
	mount_layers(&l);
	check_names(l.fs, VFS_ROOT, "d ");
	check_names(l.fs, look_up(l.fs, VFS_ROOT, "d"), "a b c u ");
}

TEST(both_forms_of_whiteouts_hide_what_is_below)
{
	_cleanup_layers_ struct layers l = {0};
	uint64_t d;

	make_layers(&l, 3);
	for (const char *name = "a\0b\0c\0d\0"; *name; name += 2)
		vfs_make_text(l.lower[2], VFS_ROOT, name, "below");
	d = vfs_make_directory(l.lower[2], VFS_ROOT, "e");
	vfs_make_text(l.lower[2], d, "f", "below");
	vfs_make_file(l.lower[1], VFS_ROOT, ".wh.a");
	make_whiteout(l.lower[1], VFS_ROOT, "b");
	vfs_make_file(l.upper, l.directory, ".wh.c");
	make_whiteout(l.upper, l.directory, "d");
	/* The same layer has a directory beside: what is below is hidden only. */
	vfs_make_file(l.lower[0], VFS_ROOT, ".wh.e");
	d = vfs_make_directory(l.lower[0], VFS_ROOT, "e");
	vfs_make_text(l.lower[0], d, "g", "above");
	vfs_make_text(l.lower[0], VFS_ROOT, "a", "again");
	mount_layers(&l);
	check_names(l.fs, VFS_ROOT, "a e ");
	vfs_check_text(l.fs, look_up(l.fs, VFS_ROOT, "a"), "again");
	check_names(l.fs, look_up(l.fs, VFS_ROOT, "e"), "g ");
	CHECK_ERRNO(vfs_look(l.fs, VFS_ROOT, "b"), ENOENT);
	CHECK_ERRNO(vfs_look(l.fs, VFS_ROOT, ".wh.c"), ENOENT);
}

TEST(every_form_of_opaque_directories_hides_what_is_below)
{
	static const char *const names[] = {"file", "trusted", "user"};
	_cleanup_layers_ struct layers l = {0};
	uint64_t d;

	make_layers(&l, 2);
	for (size_t i = 0; i < 3; i++) {
		d = vfs_make_directory(l.lower[1], VFS_ROOT, names[i]);
		vfs_make_text(l.lower[1], d, "below", "x");
		d = vfs_make_directory(l.lower[0], VFS_ROOT, names[i]);
		vfs_make_text(l.lower[0], d, "above", "x");
		if (i == 0)
			vfs_make_file(l.lower[0], d, ".wh..wh..opq");
		else
			CHECK_CALL(vfs_setxattr(l.lower[0], d,
				i == 1 ? "trusted.overlay.opaque" : "user.overlay.opaque", "y", 1, 0));
	}
	mount_layers(&l);
	for (size_t i = 0; i < 3; i++) {
		d = look_up(l.fs, VFS_ROOT, names[i]);
		check_names(l.fs, d, "above ");
		CHECK_ERRNO(vfs_getxattr(l.fs, d, "trusted.overlay.opaque", NULL, 0), ENODATA);
		CHECK_INT(vfs_listxattr(l.fs, d, NULL, 0), 0);
	}
}

TEST(an_opaque_root_hides_the_layers_below_it)
{
	_cleanup_layers_ struct layers l = {0};

	make_layers(&l, 3);
	vfs_make_file(l.lower[2], VFS_ROOT, "a");
	vfs_make_file(l.lower[1], VFS_ROOT, "b");
	vfs_make_file(l.lower[1], VFS_ROOT, ".wh..wh..opq");
	vfs_make_file(l.lower[0], VFS_ROOT, "c");
	mount_layers(&l);
	check_names(l.fs, VFS_ROOT, "b c ");
}

TEST(a_file_ends_a_directory_that_is_below_it_and_the_other_way_round)
{
	_cleanup_layers_ struct layers l = {0};
	uint64_t d;

	make_layers(&l, 3);
	d = vfs_make_directory(l.lower[2], VFS_ROOT, "a");
	vfs_make_file(l.lower[2], d, "lost");
	vfs_make_text(l.lower[1], VFS_ROOT, "a", "file");
	d = vfs_make_directory(l.lower[0], VFS_ROOT, "a");
	vfs_make_file(l.lower[0], d, "there");
	mount_layers(&l);
	check_names(l.fs, look_up(l.fs, VFS_ROOT, "a"), "there ");
}

TEST(marks_are_made_by_nobody)
{
	_cleanup_layers_ struct layers l = {0};
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	vfs_handle handle;
	uint64_t file;

	make_layers(&l, 1);
	mount_layers(&l);
	file = vfs_make_file(l.fs, VFS_ROOT, "f");
	CHECK_ERRNO(vfs_create(l.fs, &me, VFS_ROOT, ".wh.f", 0644, VFS_WRITE, &a, &handle), EINVAL);
	CHECK_ERRNO(vfs_mkdir(l.fs, &me, VFS_ROOT, ".wh..wh..opq", 0755, &a), EINVAL);
	CHECK_ERRNO(vfs_symlink(l.fs, &me, VFS_ROOT, ".wh.f", "x", &a), EINVAL);
	CHECK_ERRNO(vfs_link(l.fs, file, VFS_ROOT, ".wh.f", &a), EINVAL);
	CHECK_ERRNO(vfs_rename(l.fs, VFS_ROOT, "f", VFS_ROOT, ".wh.f", 0), EINVAL);
	CHECK_ERRNO(vfs_unlink(l.fs, VFS_ROOT, ".wh.f"), ENOENT);
	CHECK_ERRNO(vfs_mknod(l.fs, &me, VFS_ROOT, "w", S_IFCHR | 0600, 0, 0, &a), EPERM);
	check_names(l.fs, VFS_ROOT, "f ");
}

TEST(xattrs_of_an_overlay_on_an_overlay_are_its_own)
{
	_cleanup_layers_ struct layers l = {0};
	char names[64], value[4];
	uint64_t d;

	make_layers(&l, 1);
	d = vfs_make_directory(l.lower[0], VFS_ROOT, "d");
	vfs_make_file(l.lower[0], d, "below");
	mount_layers(&l);
	d = look_up(l.fs, VFS_ROOT, "d");
	CHECK_CALL(vfs_setxattr(l.fs, d, "trusted.overlay.opaque", "y", 1, 0));
	CHECK_INT(vfs_getxattr(l.fs, d, "trusted.overlay.opaque", value, sizeof value), 1);
	CHECK_INT(vfs_listxattr(l.fs, d, names, sizeof names), sizeof "trusted.overlay.opaque");
	CHECK_TEXT(names, "trusted.overlay.opaque");
	mount_layers(&l);
	check_names(l.fs, look_up(l.fs, VFS_ROOT, "d"), "below ");
}

TEST(without_an_upper_nothing_changes)
{
	_cleanup_layers_ struct layers l = {.read_only = true};
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	uint64_t file;

	make_layers(&l, 2);
	vfs_make_text(l.lower[1], VFS_ROOT, "a", "one");
	vfs_make_text(l.lower[0], VFS_ROOT, "b", "two");
	mount_layers(&l);
	file = look_up(l.fs, VFS_ROOT, "a");
	check_names(l.fs, VFS_ROOT, "a b ");
	CHECK_ERRNO(vfs_write(l.fs, file, VFS_NO_HANDLE, "x", 1, 0), EROFS);
	CHECK_ERRNO(vfs_mkdir(l.fs, &me, VFS_ROOT, "d", 0755, &a), EROFS);
	CHECK_ERRNO(vfs_unlink(l.fs, VFS_ROOT, "a"), EROFS);
	CHECK_ERRNO(vfs_rename(l.fs, VFS_ROOT, "a", VFS_ROOT, "c", 0), EROFS);
	CHECK_ERRNO(vfs_setattr(l.fs, &me, file, VFS_NO_HANDLE, &a, VFS_SET_MTIME_NOW, &a), EROFS);
	vfs_check_text(l.fs, file, "one");
}

TEST(a_union_of_nothing_is_refused)
{
	_cleanup_layers_ struct layers l = {.read_only = true};
	struct overlay_options options = {0};
	struct error err;
	uint64_t file;

	CHECK_ERROR(overlay_new(&options, &l.fs, &err), ERROR_INVALID);
	make_layers(&l, 1);
	file = vfs_make_file(l.upper, VFS_ROOT, "f");
	options.upper = (struct overlay_layer){l.upper, l.directory};
	options.work = l.directory;
	CHECK_ERROR(overlay_new(&options, &l.fs, &err), ERROR_INVALID);
	options.work = file;
	CHECK_ERROR(overlay_new(&options, &l.fs, &err), ERROR_INVALID);
}

/* ---- copy-up ---------------------------------------------------------------------------------------- */

static void check_same_time(struct vfs_time a, struct vfs_time b)
{
	CHECK_INT(vfs_compare_times(a, b), 0);
}

/* Owner, mode, times and an xattr that nobody would choose. */
static void decorate(struct vfs *fs, uint64_t ino, struct vfs_attributes *a)
{
	struct vfs_attributes values = {.mode = 06751,
		.uid = 1234,
		.gid = 4321,
		.atime = {-5, 123456789},
		.mtime = {99999, 987654321}};
	struct vfs_caller me = vfs_me();
	bool is_link = S_ISLNK(vfs_attributes_of(fs, ino).mode);

	CHECK_CALL(vfs_setattr(fs, &me, ino, VFS_NO_HANDLE, &values, VFS_SET_UID | VFS_SET_GID, a));
	CHECK_CALL(vfs_setxattr(fs, ino, "trusted.thing", "value", 5, 0));
	CHECK_CALL(vfs_setattr(fs, &me, ino, VFS_NO_HANDLE, &values,
		VFS_SET_ATIME | VFS_SET_MTIME | (is_link ? 0u : VFS_SET_MODE), a));
}

static void check_decorated(struct vfs *fs, uint64_t ino, const struct vfs_attributes *a)
{
	struct vfs_attributes now = vfs_attributes_of(fs, ino);
	char value[8];

	CHECK_INT(now.mode, a->mode);
	CHECK_INT(now.uid, 1234);
	CHECK_INT(now.gid, 4321);
	CHECK_INT(now.size, a->size);
	CHECK_INT(now.major, a->major);
	CHECK_INT(now.minor, a->minor);
	check_same_time(now.mtime, a->mtime);
	CHECK_INT(vfs_getxattr(fs, ino, "trusted.thing", value, sizeof value), 5);
	CHECK(!memcmp(value, "value", 5));
}

TEST(a_copy_has_all_that_the_original_has)
{
	static const char *const names[] = {"file", "directory", "link", "fifo", "device"};
	_cleanup_layers_ struct layers l = {0};
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a[5], parent, out;
	uint64_t numbers[5], d;
	char target[VFS_PATH_MAX + 1];

	make_layers(&l, 1);
	d = vfs_make_directory(l.lower[0], VFS_ROOT, "d");
	numbers[0] = vfs_make_text(l.lower[0], d, names[0], "text");
	numbers[1] = vfs_make_directory(l.lower[0], d, names[1]);
	CHECK_CALL(vfs_symlink(l.lower[0], &me, d, names[2], "some/target", &out));
	numbers[2] = out.ino;
	CHECK_CALL(vfs_mknod(l.lower[0], &me, d, names[3], S_IFIFO | 0600, 0, 0, &out));
	numbers[3] = out.ino;
	CHECK_CALL(vfs_mknod(l.lower[0], &me, d, names[4], S_IFBLK | 0600, 8, 17, &out));
	numbers[4] = out.ino;
	for (size_t i = 0; i < 5; i++)
		decorate(l.lower[0], numbers[i], &a[i]);
	decorate(l.lower[0], d, &parent);
	mount_layers(&l);
	d = look_up(l.fs, VFS_ROOT, "d");
	for (size_t i = 0; i < 5; i++) {
		uint64_t ino = look_up(l.fs, d, names[i]);

		CHECK_CALL(vfs_setattr(l.fs, &me, ino, VFS_NO_HANDLE,
			&(struct vfs_attributes){.atime = {7, 8}}, VFS_SET_ATIME, &out));
		CHECK_INT(vfs_find(l.upper, look_up(l.upper, l.directory, "d"), names[i]).mode, a[i].mode);
		check_decorated(l.fs, ino, &a[i]);
		CHECK_INT(vfs_find(l.fs, d, names[i]).ino, ino);
	}
	/* Not even the directory above has changed. */
	check_decorated(l.fs, d, &parent);
	check_same_time(vfs_attributes_of(l.fs, d).atime, parent.atime);
	vfs_check_text(l.fs, look_up(l.fs, d, "file"), "text");
	CHECK_CALL(vfs_readlink(l.fs, look_up(l.fs, d, "link"), target));
	CHECK_TEXT(target, "some/target");
	check_work(&l, "");
}

TEST(a_copy_has_the_holes_of_the_original)
{
	_cleanup_layers_ struct layers l = {0};
	uint64_t size = 100ull << 20, file;
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a, lower;
	char end[4];

	make_layers(&l, 1);
	file = vfs_make_text(l.lower[0], VFS_ROOT, "f", "begin");
	vfs_put(l.lower[0], file, size / 2, "middle");
	CHECK_CALL(vfs_setattr(l.lower[0], &me, file, VFS_NO_HANDLE, &(struct vfs_attributes){.size = size},
		VFS_SET_SIZE, &lower));
	mount_layers(&l);
	file = look_up(l.fs, VFS_ROOT, "f");
	CHECK_INT(vfs_write(l.fs, file, VFS_NO_HANDLE, "B", 1, 0), 1);
	a = vfs_attributes_of(l.fs, file);
	CHECK_INT(a.size, size);
	CHECK_INT(a.blocks, lower.blocks);
	vfs_check_bytes(l.fs, file, 0, "Begin\0", 6);
	vfs_check_bytes(l.fs, file, size / 2, "middle\0", 7);
	CHECK_INT(vfs_read(l.fs, file, VFS_NO_HANDLE, end, 4, size - 2), 2);
}

TEST(what_is_cut_is_copied_only_as_far_as_it_is_kept)
{
	_cleanup_layers_ struct layers l = {0};
	static uint8_t bytes[VFS_IO_MAX];
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	uint64_t file, other;
	vfs_handle handle;

	make_layers(&l, 1);
	memset(bytes, 'x', sizeof bytes);
	file = vfs_make_file(l.lower[0], VFS_ROOT, "f");
	other = vfs_make_file(l.lower[0], VFS_ROOT, "g");
	for (uint64_t i = 0; i < 8; i++) {
		CHECK_CALL(vfs_write(l.lower[0], file, VFS_NO_HANDLE, bytes, sizeof bytes, i << 20));
		CHECK_CALL(vfs_write(l.lower[0], other, VFS_NO_HANDLE, bytes, sizeof bytes, i << 20));
	}
	mount_layers(&l);
	vfs_fault_at(l.fault, 0, 0, false);
	handle = vfs_opened(l.fs, look_up(l.fs, VFS_ROOT, "f"), VFS_WRITE | VFS_TRUNCATE);
	vfs_release(l.fs, look_up(l.fs, VFS_ROOT, "f"), handle);
	other = look_up(l.fs, VFS_ROOT, "g");
	CHECK_CALL(vfs_setattr(
		l.fs, &me, other, VFS_NO_HANDLE, &(struct vfs_attributes){.size = 3}, VFS_SET_SIZE, &a));
	CHECK_INT(a.size, 3);
	/* 16 MiB would be 64 pieces. */
	CHECK(vfs_fault_calls(l.fault) < 60);
	vfs_check_text(l.fs, look_up(l.fs, VFS_ROOT, "f"), "");
	vfs_check_text(l.fs, other, "xxx");
}

TEST(numbers_outlive_copying_renaming_forgetting_and_the_process)
{
	_cleanup_layers_ struct layers l = {0};
	uint64_t d, file, directory, e;

	make_layers(&l, 2);
	d = vfs_make_directory(l.lower[1], VFS_ROOT, "d");
	vfs_make_directory(l.lower[0], VFS_ROOT, "d");
	vfs_make_text(l.lower[1], d, "f", "text");
	vfs_make_directory(l.lower[1], VFS_ROOT, "e");
	mount_layers(&l);
	directory = look_up(l.fs, VFS_ROOT, "d");
	e = look_up(l.fs, VFS_ROOT, "e");
	file = look_up(l.fs, directory, "f");
	CHECK(file != directory && directory != e && file != e);
	vfs_put(l.fs, file, 0, "T");
	CHECK_INT(vfs_find(l.fs, directory, "f").ino, file);
	CHECK_CALL(vfs_rename(l.fs, directory, "f", e, "g", 0));
	CHECK_INT(vfs_find(l.fs, e, "g").ino, file);
	CHECK_INT(vfs_find(l.fs, VFS_ROOT, "d").ino, directory);
	vfs_forget(l.fs, file, UINT64_MAX);
	CHECK_INT(vfs_find(l.fs, e, "g").ino, file);
	mount_layers(&l);
	CHECK_INT(vfs_find(l.fs, VFS_ROOT, "d").ino, directory);
	CHECK_INT(vfs_find(l.fs, VFS_ROOT, "e").ino, e);
	CHECK_INT(vfs_find(l.fs, look_up(l.fs, VFS_ROOT, "e"), "g").ino, file);
}

/* An upper that nothing was copied into so far is not asked where its files come from, and then it is. */
TEST(numbers_outlive_the_first_copy_of_a_later_process)
{
	_cleanup_layers_ struct layers l = {0};
	uint64_t file, made;

	make_layers(&l, 1);
	vfs_make_text(l.lower[0], VFS_ROOT, "f", "text");
	mount_layers(&l);
	made = vfs_make_text(l.fs, VFS_ROOT, "made", "text");
	mount_layers(&l);
	CHECK_INT(vfs_find(l.fs, VFS_ROOT, "made").ino, made);
	file = look_up(l.fs, VFS_ROOT, "f");
	vfs_put(l.fs, file, 0, "T");
	mount_layers(&l);
	CHECK_INT(vfs_find(l.fs, VFS_ROOT, "f").ino, file);
	CHECK_INT(vfs_find(l.fs, VFS_ROOT, "made").ino, made);
	mount_layers(&l);
	CHECK_INT(vfs_find(l.fs, VFS_ROOT, "f").ino, file);
}

TEST(the_change_attribute_grows_over_a_copy)
{
	_cleanup_layers_ struct layers l = {0};
	struct vfs_attributes before;
	uint64_t file;

	make_layers(&l, 1);
	file = vfs_make_text(l.lower[0], VFS_ROOT, "f", "text");
	for (int i = 0; i < 100; i++)
		vfs_put(l.lower[0], file, 0, "T");
	mount_layers(&l);
	file = look_up(l.fs, VFS_ROOT, "f");
	before = vfs_attributes_of(l.fs, file);
	vfs_put(l.fs, file, 0, "x");
	CHECK(vfs_attributes_of(l.fs, file).change > before.change);
}

TEST(a_file_that_was_opened_before_the_copy_reads_the_copy)
{
	_cleanup_layers_ struct layers l = {0};
	vfs_handle before;
	char bytes[8] = {0};
	uint64_t file;

	make_layers(&l, 1);
	vfs_make_text(l.lower[0], VFS_ROOT, "f", "old");
	mount_layers(&l);
	file = look_up(l.fs, VFS_ROOT, "f");
	before = vfs_opened(l.fs, file, VFS_READ);
	CHECK_INT(vfs_read(l.fs, file, before, bytes, 3, 0), 3);
	CHECK_TEXT(bytes, "old");
	vfs_put(l.fs, file, 0, "new");
	CHECK_INT(vfs_read(l.fs, file, before, bytes, 3, 0), 3);
	CHECK_TEXT(bytes, "new");
	CHECK_ERRNO(vfs_write(l.fs, file, before, "x", 1, 0), EBADF);
	vfs_release(l.fs, file, before);
	vfs_check_text(l.lower[0], look_up(l.lower[0], VFS_ROOT, "f"), "old");
}

TEST(a_lower_file_without_a_name_is_still_written_to)
{
	_cleanup_layers_ struct layers l = {0};
	uint64_t file;

	make_layers(&l, 1);
	vfs_make_text(l.lower[0], VFS_ROOT, "f", "old");
	mount_layers(&l);
	file = look_up(l.fs, VFS_ROOT, "f");
	CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, "f"));
	CHECK_INT(vfs_attributes_of(l.fs, file).links, 0);
	vfs_put(l.fs, file, 0, "new");
	vfs_check_text(l.fs, file, "new");
	CHECK_ERRNO(vfs_look(l.fs, VFS_ROOT, "f"), ENOENT);
	check_work(&l, "");
}

/* ---- hard links ------------------------------------------------------------------------------------- */

TEST(all_names_of_a_lower_file_lead_to_its_copy)
{
	for (int again = 0; again < 2; again++) {
		_cleanup_layers_ struct layers l = {0};
		struct vfs_attributes b;

		make_linked(&l);
		vfs_put(l.fs, look_up(l.fs, VFS_ROOT, "a"), 0, "new");
		if (again)
			mount_layers(&l);
		b = vfs_find(l.fs, look_up(l.fs, VFS_ROOT, "d"), "b");
		CHECK_INT(b.ino, vfs_find(l.fs, VFS_ROOT, "a").ino);
		CHECK_INT(b.links, 3);
		vfs_check_text(l.fs, look_up(l.fs, VFS_ROOT, "c"), "new");
		/* A change by another name. */
		vfs_put(l.fs, look_up(l.fs, look_up(l.fs, VFS_ROOT, "d"), "b"), 0, "too");
		vfs_check_text(l.fs, look_up(l.fs, VFS_ROOT, "a"), "too");
		CHECK_CALL(vfs_look(l.upper, look_up(l.upper, l.directory, "d"), "b"));
		CHECK_INT(vfs_find(l.fs, VFS_ROOT, "c").links, 3);
	}
}

TEST(names_of_lower_files_are_counted_in_later_processes_too)
{
	_cleanup_layers_ struct layers l = {0};
	struct vfs_attributes a;

	make_linked(&l);
	CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, "c"));
	CHECK_INT(vfs_find(l.fs, VFS_ROOT, "a").links, 2);
	mount_layers(&l);
	CHECK_INT(vfs_find(l.fs, VFS_ROOT, "a").links, 2);
	vfs_put(l.fs, look_up(l.fs, VFS_ROOT, "a"), 0, "new");
	CHECK_INT(vfs_find(l.fs, VFS_ROOT, "a").links, 2);
	CHECK_CALL(vfs_link(l.fs, look_up(l.fs, VFS_ROOT, "a"), VFS_ROOT, "x", &a));
	CHECK_INT(a.links, 3);
	CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, "a"));
	CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, "x"));
	/* The copy has only its link in the index now, and the name that leads there. */
	mount_layers(&l);
	a = vfs_find(l.fs, look_up(l.fs, VFS_ROOT, "d"), "b");
	CHECK_INT(a.links, 1);
	vfs_check_text(l.fs, look_up(l.fs, look_up(l.fs, VFS_ROOT, "d"), "b"), "new");
	CHECK_CALL(vfs_unlink(l.fs, look_up(l.fs, VFS_ROOT, "d"), "b"));
	check_work(&l, "");
}
