/* SPDX-License-Identifier: Apache-2.0 */
/* What a union of file systems promises beyond what every file system does. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "vfs/memory/memory.h"
#include "vfs/overlay/overlay.h"
#include "vfs_fault.h"
#include "vfs_make.h"

#define LOWERS 3

/* Layers in memory, with a file system in front of the upper that can fail. */
struct layers {
	struct vfs *lower[LOWERS], *upper, *fault, *fs;
	uint64_t directory, work;
	size_t count;
	enum overlay_form form;
	bool read_only;
};

static void layers_end(struct layers *l)
{
	vfs_destroy(l->fs);
	vfs_destroy(l->fault);
	vfs_destroy(l->upper);
	for (size_t i = 0; i < LOWERS; i++)
		vfs_destroy(l->lower[i]);
}
#define _cleanup_layers_ __attribute__((cleanup(layers_end)))

static struct vfs *new_memory(void)
{
	struct memory_options options = {.uid = vfs_me().uid, .gid = vfs_me().gid};
	struct vfs *fs = NULL;
	struct error err;

	CHECK_OK(memory_new(&options, &fs, &err));
	return fs;
}

static void make_layers(struct layers *l, size_t count)
{
	l->count = count;
	for (size_t i = 0; i < count; i++)
		l->lower[i] = new_memory();
	l->upper = new_memory();
	l->fault = vfs_fault_new(l->upper);
	l->directory = vfs_make_directory(l->upper, VFS_ROOT, "upper");
	l->work = vfs_make_directory(l->upper, VFS_ROOT, "work");
}

static int try_mount(struct layers *l, struct error *err)
{
	struct overlay_layer lowers[LOWERS];
	struct overlay_options options = {.lowers = lowers, .lower_count = l->count, .form = l->form};

	vfs_destroy(l->fs);
	l->fs = NULL;
	for (size_t i = 0; i < l->count; i++)
		lowers[i] = (struct overlay_layer){l->lower[i], VFS_ROOT};
	if (!l->read_only) {
		options.upper = (struct overlay_layer){l->fault, l->directory};
		options.work = l->work;
	}
	return overlay_new(&options, &l->fs, err);
}

/* The union of them; nothing is remembered of one that was there. */
static void mount_layers(struct layers *l)
{
	struct error err;

	CHECK_OK(try_mount(l, &err));
}

static uint64_t find(struct vfs *fs, uint64_t parent, const char *name)
{
	struct vfs_attributes a;

	CHECK_CALL(vfs_lookup(fs, parent, name, &a));
	return a.ino;
}

static void make_whiteout(struct vfs *fs, uint64_t parent, const char *name)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;

	CHECK_CALL(vfs_mknod(fs, &me, parent, name, S_IFCHR | 0600, 0, 0, &a));
}

/* All names of a directory, sorted, with a space behind each. */
static int compare_texts(const void *a, const void *b)
{
	return strcmp(((const struct vfs_listed *)a)->name, ((const struct vfs_listed *)b)->name);
}

static void check_names(struct vfs *fs, uint64_t directory, const char *expected)
{
	_cleanup_listing_ struct vfs_listing l = {0};
	char text[512] = "";

	vfs_list(fs, directory, VFS_NO_HANDLE, 0, false, 0, &l);
	qsort(l.entries, l.count, sizeof *l.entries, compare_texts);
	CHECK_TEXT(l.entries[0].name, ".");
	CHECK_TEXT(l.entries[1].name, "..");
	for (size_t i = 2; i < l.count; i++) {
		CHECK_INT(vfs_look(fs, directory, l.entries[i].name), 0);
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", l.entries[i].name);
	}
	CHECK_TEXT(text, expected);
}

static bool has_mark(struct layers *l, const char *name)
{
	struct vfs_attributes a;

	if (l->form == OVERLAY_OCI)
		return vfs_look(l->upper, l->directory, name) == 0;
	if (vfs_lookup(l->upper, l->directory, name + 4, &a) < 0)
		return false;
	vfs_forget(l->upper, a.ino, 1);
	return S_ISCHR(a.mode) && a.major == 0 && a.minor == 0;
}

/* The work directory has nothing in it but an empty index. */
static void check_work(struct layers *l, const char *index)
{
	uint64_t in;

	check_names(l->upper, l->work, "index ");
	in = find(l->upper, l->work, "index");
	check_names(l->upper, in, index);
}

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
	vfs_check_text(l.fs, find(l.fs, VFS_ROOT, "a"), "one");
	vfs_check_text(l.fs, find(l.fs, VFS_ROOT, "b"), "two");
	vfs_check_text(l.fs, find(l.fs, VFS_ROOT, "c"), "upper");
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
	check_names(l.fs, find(l.fs, VFS_ROOT, "d"), "a b c u ");
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
	vfs_check_text(l.fs, find(l.fs, VFS_ROOT, "a"), "again");
	check_names(l.fs, find(l.fs, VFS_ROOT, "e"), "g ");
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
		d = find(l.fs, VFS_ROOT, names[i]);
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
	check_names(l.fs, find(l.fs, VFS_ROOT, "a"), "there ");
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
	d = find(l.fs, VFS_ROOT, "d");
	CHECK_CALL(vfs_setxattr(l.fs, d, "trusted.overlay.opaque", "y", 1, 0));
	CHECK_INT(vfs_getxattr(l.fs, d, "trusted.overlay.opaque", value, sizeof value), 1);
	CHECK_INT(vfs_listxattr(l.fs, d, names, sizeof names), sizeof "trusted.overlay.opaque");
	CHECK_TEXT(names, "trusted.overlay.opaque");
	mount_layers(&l);
	check_names(l.fs, find(l.fs, VFS_ROOT, "d"), "below ");
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
	file = find(l.fs, VFS_ROOT, "a");
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
	d = find(l.fs, VFS_ROOT, "d");
	for (size_t i = 0; i < 5; i++) {
		uint64_t ino = find(l.fs, d, names[i]);

		CHECK_CALL(vfs_setattr(l.fs, &me, ino, VFS_NO_HANDLE,
			&(struct vfs_attributes){.atime = {7, 8}}, VFS_SET_ATIME, &out));
		CHECK_INT(vfs_find(l.upper, find(l.upper, l.directory, "d"), names[i]).mode, a[i].mode);
		check_decorated(l.fs, ino, &a[i]);
		CHECK_INT(vfs_find(l.fs, d, names[i]).ino, ino);
	}
	/* Not even the directory above has changed. */
	check_decorated(l.fs, d, &parent);
	check_same_time(vfs_attributes_of(l.fs, d).atime, parent.atime);
	vfs_check_text(l.fs, find(l.fs, d, "file"), "text");
	CHECK_CALL(vfs_readlink(l.fs, find(l.fs, d, "link"), target));
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
	file = find(l.fs, VFS_ROOT, "f");
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
	handle = vfs_opened(l.fs, find(l.fs, VFS_ROOT, "f"), VFS_WRITE | VFS_TRUNCATE);
	vfs_release(l.fs, find(l.fs, VFS_ROOT, "f"), handle);
	other = find(l.fs, VFS_ROOT, "g");
	CHECK_CALL(vfs_setattr(
		l.fs, &me, other, VFS_NO_HANDLE, &(struct vfs_attributes){.size = 3}, VFS_SET_SIZE, &a));
	CHECK_INT(a.size, 3);
	/* 16 MiB would be 64 pieces. */
	CHECK(vfs_fault_calls(l.fault) < 60);
	vfs_check_text(l.fs, find(l.fs, VFS_ROOT, "f"), "");
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
	directory = find(l.fs, VFS_ROOT, "d");
	e = find(l.fs, VFS_ROOT, "e");
	file = find(l.fs, directory, "f");
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
	CHECK_INT(vfs_find(l.fs, find(l.fs, VFS_ROOT, "e"), "g").ino, file);
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
	file = find(l.fs, VFS_ROOT, "f");
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
	file = find(l.fs, VFS_ROOT, "f");
	before = vfs_opened(l.fs, file, VFS_READ);
	CHECK_INT(vfs_read(l.fs, file, before, bytes, 3, 0), 3);
	CHECK_TEXT(bytes, "old");
	vfs_put(l.fs, file, 0, "new");
	CHECK_INT(vfs_read(l.fs, file, before, bytes, 3, 0), 3);
	CHECK_TEXT(bytes, "new");
	CHECK_ERRNO(vfs_write(l.fs, file, before, "x", 1, 0), EBADF);
	vfs_release(l.fs, file, before);
	vfs_check_text(l.lower[0], find(l.lower[0], VFS_ROOT, "f"), "old");
}

TEST(a_lower_file_without_a_name_is_still_written_to)
{
	_cleanup_layers_ struct layers l = {0};
	uint64_t file;

	make_layers(&l, 1);
	vfs_make_text(l.lower[0], VFS_ROOT, "f", "old");
	mount_layers(&l);
	file = find(l.fs, VFS_ROOT, "f");
	CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, "f"));
	CHECK_INT(vfs_attributes_of(l.fs, file).links, 0);
	vfs_put(l.fs, file, 0, "new");
	vfs_check_text(l.fs, file, "new");
	CHECK_ERRNO(vfs_look(l.fs, VFS_ROOT, "f"), ENOENT);
	check_work(&l, "");
}

/* ---- hard links ------------------------------------------------------------------------------------- */

/* A lower file "a", "d/b", "c". */
static void make_linked(struct layers *l)
{
	struct vfs_attributes a;
	uint64_t file, d;

	make_layers(l, 1);
	file = vfs_make_text(l->lower[0], VFS_ROOT, "a", "old");
	d = vfs_make_directory(l->lower[0], VFS_ROOT, "d");
	CHECK_CALL(vfs_link(l->lower[0], file, d, "b", &a));
	CHECK_CALL(vfs_link(l->lower[0], file, VFS_ROOT, "c", &a));
	mount_layers(l);
}

TEST(all_names_of_a_lower_file_lead_to_its_copy)
{
	for (int again = 0; again < 2; again++) {
		_cleanup_layers_ struct layers l = {0};
		struct vfs_attributes b;

		make_linked(&l);
		vfs_put(l.fs, find(l.fs, VFS_ROOT, "a"), 0, "new");
		if (again)
			mount_layers(&l);
		b = vfs_find(l.fs, find(l.fs, VFS_ROOT, "d"), "b");
		CHECK_INT(b.ino, vfs_find(l.fs, VFS_ROOT, "a").ino);
		CHECK_INT(b.links, 3);
		vfs_check_text(l.fs, find(l.fs, VFS_ROOT, "c"), "new");
		/* A change by another name. */
		vfs_put(l.fs, find(l.fs, find(l.fs, VFS_ROOT, "d"), "b"), 0, "too");
		vfs_check_text(l.fs, find(l.fs, VFS_ROOT, "a"), "too");
		CHECK_CALL(vfs_look(l.upper, find(l.upper, l.directory, "d"), "b"));
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
	vfs_put(l.fs, find(l.fs, VFS_ROOT, "a"), 0, "new");
	CHECK_INT(vfs_find(l.fs, VFS_ROOT, "a").links, 2);
	CHECK_CALL(vfs_link(l.fs, find(l.fs, VFS_ROOT, "a"), VFS_ROOT, "x", &a));
	CHECK_INT(a.links, 3);
	CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, "a"));
	CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, "x"));
	/* The copy has only its link in the index now, and the name that leads there. */
	mount_layers(&l);
	a = vfs_find(l.fs, find(l.fs, VFS_ROOT, "d"), "b");
	CHECK_INT(a.links, 1);
	vfs_check_text(l.fs, find(l.fs, find(l.fs, VFS_ROOT, "d"), "b"), "new");
	CHECK_CALL(vfs_unlink(l.fs, find(l.fs, VFS_ROOT, "d"), "b"));
	check_work(&l, "");
}

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
	d = find(l.fs, VFS_ROOT, "d");
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
	check_names(l.fs, find(l.fs, VFS_ROOT, "d"), "");
	vfs_check_text(l.fs, find(l.fs, VFS_ROOT, "below"), "again");
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
	check_names(l.fs, find(l.fs, VFS_ROOT, "empty"), "g ");
	/* Away from there, the lower's stays hidden. */
	CHECK_CALL(vfs_rename(l.fs, VFS_ROOT, "empty", VFS_ROOT, "own", VFS_NO_REPLACE));
	mount_layers(&l);
	check_names(l.fs, VFS_ROOT, "lower own ");
	/* Over what was removed: nothing of it comes back. */
	CHECK_CALL(vfs_unlink(l.fs, find(l.fs, VFS_ROOT, "lower"), "f"));
	CHECK_CALL(vfs_rename(l.fs, VFS_ROOT, "own", VFS_ROOT, "lower", 0));
	mount_layers(&l);
	check_names(l.fs, VFS_ROOT, "lower ");
	check_names(l.fs, find(l.fs, VFS_ROOT, "lower"), "g ");
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
	d = find(l.fs, VFS_ROOT, "d");
	CHECK_CALL(vfs_rename(l.fs, d, "a", VFS_ROOT, "b", VFS_EXCHANGE));
	vfs_check_text(l.fs, find(l.fs, d, "a"), "b");
	vfs_check_text(l.fs, find(l.fs, VFS_ROOT, "b"), "a");
	CHECK_CALL(vfs_rename(l.fs, d, "a", VFS_ROOT, "b", 0));
	mount_layers(&l);
	check_names(l.fs, find(l.fs, VFS_ROOT, "d"), "");
	check_names(l.fs, VFS_ROOT, "b d ");
	vfs_check_text(l.fs, find(l.fs, VFS_ROOT, "b"), "b");
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
			vfs_put(l.fs, find(l.fs, VFS_ROOT, name), 0, "copied");
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
	file = find(l.fs, VFS_ROOT, "single");
	k = keep(l.fs, file);
	d = keep(l.fs, find(l.fs, VFS_ROOT, "d"));
	b = keep(l.fs, find(l.fs, VFS_ROOT, "a"));
	vfs_put(l.fs, file, 0, "new");
	vfs_put(l.fs, find(l.fs, VFS_ROOT, "a"), 0, "new");
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
	d = find(l.fs, VFS_ROOT, "d");
	vfs_put(l.fs, find(l.fs, d, "f"), 0, "y");
	CHECK_CALL(vfs_unlink(l.fs, d, "g"));
	vfs_make_directory(l.fs, d, "new");
	vfs_make_text(l.fs, find(l.fs, d, "new"), "k", "x");
	check_changes(&l, "C d/f\nD d/g\nA d/new\nA d/new/k\n");
	CHECK_CALL(vfs_setattr(
		l.fs, &me, d, VFS_NO_HANDLE, &(struct vfs_attributes){.mode = 0700}, VFS_SET_MODE, &a));
	e = find(l.fs, VFS_ROOT, "z");
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
	CHECK_CALL(vfs_unlink(l.fs, find(l.fs, VFS_ROOT, "d"), "f"));
	CHECK_CALL(vfs_rmdir(l.fs, VFS_ROOT, "d"));
	vfs_make_file(l.fs, VFS_ROOT, "d");
	vfs_make_file(l.fs, VFS_ROOT, "e");
	check_changes(&l, "D d\nD d/f\nA d\nA e\n");
}

TEST(a_file_that_was_changed_by_another_name_is_told_by_all_its_names)
{
	_cleanup_layers_ struct layers l = {0};

	make_linked(&l);
	vfs_put(l.fs, find(l.fs, VFS_ROOT, "a"), 0, "new");
	check_changes(&l, "C a\nC c\nC d/b\n");
}

/* ---- calls that fail, and crashes ------------------------------------------------------------------- */

/* One change of the union; each is done on layers of its own. It leaves the old or the new. */
struct change {
	const char *name;
	int (*make)(struct vfs *fs);
	/* The file's text, or NULL where the name is not there. */
	const char *path, *old, *new;
};

static int with(struct vfs *fs, const char *directory, uint64_t *ino)
{
	struct vfs_attributes a;
	int r = vfs_lookup(fs, VFS_ROOT, directory, &a);

	*ino = a.ino;
	return r;
}

static int do_write(struct vfs *fs)
{
	struct vfs_attributes a;
	uint64_t d;
	vfs_handle handle;
	int64_t r = with(fs, "d", &d);

	if (r == 0)
		r = vfs_lookup(fs, d, "f", &a);
	if (r == 0)
		r = vfs_open(fs, a.ino, VFS_WRITE | VFS_TRUNCATE, &handle);
	if (r == 0) {
		r = vfs_write(fs, a.ino, handle, "new", 3, 0);
		vfs_release(fs, a.ino, handle);
	}
	return r < 0 ? (int)r : 0;
}

/* As copy-up alone: the data stays. */
static int do_chmod(struct vfs *fs)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	uint64_t d;
	int r = with(fs, "d", &d);

	if (r == 0)
		r = vfs_lookup(fs, d, "f", &a);
	return r < 0 ? r
		     : vfs_setattr(fs, &me, a.ino, VFS_NO_HANDLE, &(struct vfs_attributes){.mode = 0640},
			       VFS_SET_MODE, &a);
}

static int do_unlink(struct vfs *fs)
{
	uint64_t d;
	int r = with(fs, "d", &d);

	return r < 0 ? r : vfs_unlink(fs, d, "f");
}

static int do_replace(struct vfs *fs)
{
	uint64_t d;
	int r = with(fs, "d", &d);

	return r < 0 ? r : vfs_rename(fs, VFS_ROOT, "g", d, "f", 0);
}

static int do_rename(struct vfs *fs)
{
	uint64_t d;
	int r = with(fs, "d", &d);

	return r < 0 ? r : vfs_rename(fs, d, "f", d, "x", 0);
}

static int do_rmdir(struct vfs *fs)
{
	return vfs_rmdir(fs, VFS_ROOT, "hollow");
}

static int do_mkdir(struct vfs *fs)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;

	return vfs_mkdir(fs, &me, VFS_ROOT, "gone", 0755, &a);
}

static int do_move_directory(struct vfs *fs)
{
	return vfs_rename(fs, VFS_ROOT, "own", VFS_ROOT, "hollow", 0);
}

static const struct change changes[] = {
	{"truncate and write", do_write, "d/f", "old", "new"},
	{"chmod", do_chmod, "d/f", "old", "old"},
	{"unlink", do_unlink, "d/f", "old", NULL},
	{"rename over", do_replace, "d/f", "old", "other"},
	{"rename away", do_rename, "d/f", "old", NULL},
	{"rename to", do_rename, "d/x", NULL, "old"},
	{"rmdir", do_rmdir, "hollow/secret", NULL, NULL},
	{"mkdir", do_mkdir, "gone/secret", NULL, NULL},
	{"move a directory", do_move_directory, "hollow/secret", NULL, NULL},
};

/* d/f (with a further name "l"), g, a directory "hollow" that is empty in the union and not in the lower, one
 * that is gone, and one of the upper. */
static void make_changeable(struct layers *l, enum overlay_form form)
{
	struct vfs_attributes a;
	uint64_t d, file;

	l->form = form;
	make_layers(l, 1);
	d = vfs_make_directory(l->lower[0], VFS_ROOT, "d");
	file = vfs_make_text(l->lower[0], d, "f", "old");
	CHECK_CALL(vfs_link(l->lower[0], file, VFS_ROOT, "l", &a));
	CHECK_CALL(vfs_setxattr(l->lower[0], file, "user.x", "y", 1, 0));
	vfs_make_text(l->lower[0], VFS_ROOT, "g", "other");
	vfs_make_text(l->lower[0], vfs_make_directory(l->lower[0], VFS_ROOT, "hollow"), "secret", "x");
	vfs_make_text(l->lower[0], vfs_make_directory(l->lower[0], VFS_ROOT, "gone"), "secret", "x");
	mount_layers(l);
	CHECK_CALL(vfs_unlink(l->fs, find(l->fs, VFS_ROOT, "hollow"), "secret"));
	CHECK_CALL(vfs_unlink(l->fs, find(l->fs, VFS_ROOT, "gone"), "secret"));
	CHECK_CALL(vfs_rmdir(l->fs, VFS_ROOT, "gone"));
	vfs_make_file(l->fs, vfs_make_directory(l->fs, VFS_ROOT, "own"), "mine");
	mount_layers(l);
}

/* Its text, into a buffer; false: not there. */
static bool read_path(struct vfs *fs, const char *path, char text[16])
{
	const char *slash = strchr(path, '/');
	char directory[16] = "";
	struct vfs_attributes a;
	int r;

	memcpy(directory, path, (size_t)(slash - path));
	r = vfs_lookup(fs, VFS_ROOT, directory, &a);
	if (r == 0)
		r = vfs_lookup(fs, a.ino, slash + 1, &a);
	if (r == -ENOENT)
		return false;
	CHECK_CALL(r);
	memset(text, 0, 16);
	CHECK_CALL(vfs_read(fs, a.ino, VFS_NO_HANDLE, text, 15, 0));
	return true;
}

static bool same_text(bool there, const char *text, const char *expected)
{
	return expected ? there && !strcmp(text, expected) : !there;
}

/* empty_too: a write that was cut off behind its truncation. */
static void check_change(struct layers *l, const struct change *c, unsigned at, bool done)
{
	char text[16] = "", linked[16];
	bool there = read_path(l->fs, c->path, text), truncated = c->make == do_write && !done;

	if ((done || !same_text(there, text, c->old)) && !same_text(there, text, c->new) &&
		!(truncated && same_text(there, text, "")))
		test_fail(__FILE__, __LINE__, "%s, call %u: %s is %s", c->name, at, c->path,
			there ? text : "not there");
	/* The other name has what that has, or what it had. */
	if (vfs_look(l->fs, VFS_ROOT, "l") == 0) {
		CHECK_INT(vfs_read(l->fs, find(l->fs, VFS_ROOT, "l"), VFS_NO_HANDLE, linked, 16, 0) >= 0, 1);
		if (c->make == do_write)
			CHECK(!memcmp(linked, text, strlen(text)));
	} else
		test_fail(__FILE__, __LINE__, "%s, call %u: the other name is lost", c->name, at);
}

/* Returns false where the change has fewer calls. */
static bool crash_at(const struct change *c, enum overlay_form form, unsigned at, bool dies)
{
	_cleanup_layers_ struct layers l = {0};
	bool reached, done;
	int r;

	make_changeable(&l, form);
	vfs_fault_at(l.fault, at, EIO, dies);
	r = c->make(l.fs);
	reached = vfs_fault_calls(l.fault) >= at;
	done = r == 0;
	if (!reached && !done)
		test_fail(__FILE__, __LINE__, "%s failed by itself: %s", c->name, strerror(-r));
	vfs_fault_at(l.fault, 0, 0, false);
	if (!dies) /* what goes on knows what is there */
		check_change(&l, c, at, done);
	mount_layers(&l);
	check_change(&l, c, at, done && !dies);
	check_names(l.upper, l.work, "index ");
	/* What was cut off can be done again. */
	if (!done) {
		r = c->make(l.fs);
		if (r < 0 && r != -ENOENT && r != -EEXIST)
			test_fail(__FILE__, __LINE__, "%s, call %u, again: %s", c->name, at, strerror(-r));
		check_change(&l, c, at, r == 0);
	}
	return reached;
}

static void crash_everywhere(enum overlay_form form, bool dies)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		unsigned at = 1;

		while (crash_at(&changes[i], form, at, dies))
			at++;
		CHECK(at > 3);
	}
}

TEST(a_crash_at_any_call_leaves_the_old_or_the_new)
{
	crash_everywhere(OVERLAY_OCI, true);
}

TEST(a_crash_at_any_call_leaves_the_old_or_the_new_with_devices_as_marks)
{
	crash_everywhere(OVERLAY_KERNEL, true);
}

TEST(any_call_that_fails_leaves_the_old_or_the_new)
{
	crash_everywhere(OVERLAY_OCI, false);
	crash_everywhere(OVERLAY_KERNEL, false);
}

TEST(any_call_that_fails_while_it_is_set_up_is_an_error)
{
	_cleanup_layers_ struct layers l = {0};
	struct error err;
	unsigned at = 0, calls;
	int r;

	make_linked(&l);
	/* The copy is found by the index only. */
	vfs_put(l.fs, find(l.fs, VFS_ROOT, "a"), 0, "new");
	CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, "a"));
	do {
		at++;
		vfs_fault_at(l.fault, at, EIO, false);
		r = try_mount(&l, &err);
		calls = vfs_fault_calls(l.fault);
		vfs_fault_at(l.fault, 0, 0, false);
		if (r == 0)
			vfs_check_text(l.fs, find(l.fs, VFS_ROOT, "c"), "new");
	} while (calls >= at);
	mount_layers(&l);
	vfs_check_text(l.fs, find(l.fs, VFS_ROOT, "c"), "new");
	CHECK(at > 5);
}

/* ---- threads ---------------------------------------------------------------------------------------- */

#define THREADS 8

struct thread {
	pthread_t id;
	struct layers *l;
	uint64_t directory;
	int number;
	int failed;
};

static void run_threads(struct layers *l, uint64_t directory, void *(*main)(void *))
{
	struct thread threads[THREADS];

	for (int i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){.l = l, .directory = directory, .number = i};
		CHECK_INT(pthread_create(&threads[i].id, NULL, main, &threads[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i].id, NULL);
	for (int i = 0; i < THREADS; i++)
		CHECK_INT(threads[i].failed, 0);
}

/* Its own byte of every file, by one of the file's two names. */
static void *write_all(void *context)
{
	struct thread *t = context;
	struct vfs *fs = t->l->fs;
	char name[16];

	for (int i = 0; i < 50 && !t->failed; i++) {
		struct vfs_attributes a;
		int64_t r;

		snprintf(name, sizeof name, "%s%d", t->number % 2 ? "link" : "file", i);
		r = vfs_lookup(fs, t->directory, name, &a);
		if (r == 0) {
			r = vfs_write(
				fs, a.ino, VFS_NO_HANDLE, &"abcdefgh"[t->number], 1, (uint64_t)t -> number);
			vfs_forget(fs, a.ino, 1);
		}
		t->failed = r < 0 ? (int)r : 0;
	}
	return NULL;
}

TEST(a_file_that_many_change_at_once_is_copied_once)
{
	_cleanup_layers_ struct layers l = {0};
	struct vfs_attributes a;
	uint64_t d, e;
	char name[16];

	make_layers(&l, 1);
	d = vfs_make_directory(l.lower[0], VFS_ROOT, "d");
	e = vfs_make_directory(l.lower[0], d, "e");
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "file%d", i);
		a.ino = vfs_make_text(l.lower[0], e, name, "--------lower");
		snprintf(name, sizeof name, "link%d", i);
		CHECK_CALL(vfs_link(l.lower[0], a.ino, e, name, &a));
	}
	mount_layers(&l);
	e = find(l.fs, find(l.fs, VFS_ROOT, "d"), "e");
	run_threads(&l, e, write_all);
	for (int again = 0; again < 2; again++) {
		for (int i = 0; i < 50; i++) {
			snprintf(name, sizeof name, "file%d", i);
			a = vfs_find(l.fs, e, name);
			CHECK_INT(a.links, 2);
			vfs_check_text(l.fs, find(l.fs, e, name), "abcdefghlower");
			snprintf(name, sizeof name, "link%d", i);
			CHECK_INT(vfs_find(l.fs, e, name).ino, a.ino);
		}
		check_names(l.upper, l.work, "index ");
		mount_layers(&l);
		e = find(l.fs, find(l.fs, VFS_ROOT, "d"), "e");
	}
}

static int take_some(void *context, const struct vfs_entry *entry)
{
	struct thread *t = context;

	if (entry->attributes)
		vfs_forget(t->l->fs, entry->ino, 1);
	return 0;
}

/* Anything at any place: no result is foreseen but that all goes on. */
static void *make_havoc(void *context)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	struct thread *t = context;
	struct vfs *fs = t->l->fs;
	struct vfs_caller me = vfs_me();
	uint32_t seed = (uint32_t)t->number * 77 + 1;

	for (int i = 0; i < 2000; i++) {
		const char *name, *other;
		struct vfs_attributes a, made;
		uint64_t parent = VFS_ROOT;

		seed = seed * 1103515245u + 12345;
		name = names[seed >> 16 & 3];
		other = names[seed >> 18 & 3];
		if (seed >> 20 & 1 && vfs_lookup(fs, VFS_ROOT, names[seed >> 21 & 3], &a) == 0)
			parent = a.ino;
		switch (seed >> 23 & 7) {
		case 0:
			if (vfs_mkdir(fs, &me, parent, name, 0755, &made) == 0)
				vfs_forget(fs, made.ino, 1);
			break;
		case 1:
			vfs_rmdir(fs, parent, name);
			break;
		case 2:
			vfs_unlink(fs, parent, name);
			break;
		case 3:
			vfs_rename(fs, parent, name, VFS_ROOT, other, seed >> 26 & 1 ? VFS_EXCHANGE : 0);
			break;
		case 4:
			vfs_readdir(fs, parent, VFS_NO_HANDLE, 0, seed >> 26 & 1, take_some, t);
			break;
		case 5:
			if (vfs_lookup(fs, parent, name, &made) == 0) {
				if (vfs_link(fs, made.ino, VFS_ROOT, other, &a) == 0)
					vfs_forget(fs, a.ino, 1);
				vfs_forget(fs, made.ino, 1);
			}
			break;
		default:
			if (vfs_lookup(fs, parent, name, &made) == 0) {
				vfs_write(fs, made.ino, VFS_NO_HANDLE, "x", 1, 0);
				vfs_getattr(fs, made.ino, VFS_NO_HANDLE, &a);
				vfs_forget(fs, made.ino, 1);
			} else if (vfs_mknod(fs, &me, parent, name, S_IFREG | 0644, 0, 0, &made) == 0)
				vfs_forget(fs, made.ino, 1);
		}
		if (parent != VFS_ROOT)
			vfs_forget(fs, parent, 1);
	}
	return NULL;
}

TEST(whatever_many_do_at_once_leaves_a_union)
{
	_cleanup_layers_ struct layers l = {0};
	struct vfs_attributes link;
	_cleanup_listing_ struct vfs_listing before = {0}, after = {0};

	make_layers(&l, 2);
	for (size_t i = 0; i < 2; i++) {
		uint64_t d = vfs_make_directory(l.lower[i], VFS_ROOT, "a");
		uint64_t file = vfs_make_text(l.lower[i], d, i ? "b" : "c", "text");

		CHECK_CALL(vfs_link(l.lower[i], file, d, "d", &link));
		CHECK_CALL(vfs_link(l.lower[i], file, VFS_ROOT, "c", &link));
	}
	mount_layers(&l);
	run_threads(&l, VFS_ROOT, make_havoc);
	check_names(l.upper, l.work, "index ");
	vfs_list(l.fs, VFS_ROOT, VFS_NO_HANDLE, 0, true, 0, &before);
	mount_layers(&l);
	vfs_list(l.fs, VFS_ROOT, VFS_NO_HANDLE, 0, true, 0, &after);
	CHECK_INT(before.count, after.count);
	for (size_t i = 2; i < after.count; i++) {
		CHECK_TEXT(after.entries[i].name, before.entries[i].name);
		CHECK_INT(after.entries[i].values.mode, before.entries[i].values.mode);
		CHECK_INT(after.entries[i].values.links, before.entries[i].values.links);
		CHECK_INT(after.entries[i].values.size, before.entries[i].values.size);
	}
}
