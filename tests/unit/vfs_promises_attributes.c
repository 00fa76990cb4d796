/* SPDX-License-Identifier: Apache-2.0 */
/* What file systems promise of attributes, plain and extended. */
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "vfs_make.h"
#include "vfs_promises.h"

static struct vfs_attributes set(struct vfs *fs, uint64_t ino, struct vfs_attributes values, unsigned what)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes out, again;

	CHECK_CALL(vfs_setattr(fs, &me, ino, VFS_NO_HANDLE, &values, what, &out));
	again = vfs_attributes_of(fs, ino);
	CHECK_INT(again.mode, out.mode);
	CHECK_INT(again.size, out.size);
	CHECK_INT(vfs_compare_times(again.mtime, out.mtime), 0);
	CHECK_INT(vfs_compare_times(again.ctime, out.ctime), 0);
	return out;
}

void promise_modes_keep_all_twelve_bits(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f"), d = vfs_make_directory(fs, VFS_ROOT, "d");
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;

	(void)can;
	for (uint32_t mode = 1; mode < 010000; mode = mode * 2 + 1) {
		/* Owners may always read what they write next. */
		CHECK_INT(set(fs, file, (struct vfs_attributes){.mode = mode | 0600}, VFS_SET_MODE).mode,
			S_IFREG | mode | 0600);
		CHECK_INT(set(fs, d, (struct vfs_attributes){.mode = mode | 0700}, VFS_SET_MODE).mode,
			S_IFDIR | mode | 0700);
		CHECK_INT(vfs_find(fs, VFS_ROOT, "f").mode, S_IFREG | mode | 0600);
	}
	CHECK_CALL(vfs_mkdir(fs, &me, VFS_ROOT, "sticky", 01777, &a));
	CHECK_INT(a.mode, S_IFDIR | 01777);
	/* The type is not the caller's to set. */
	CHECK_INT(set(fs, file, (struct vfs_attributes){.mode = S_IFDIR | 0640}, VFS_SET_MODE).mode,
		S_IFREG | 0640);
}

void promise_the_umask_takes_bits_of_new_objects(struct vfs *fs, unsigned can)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	vfs_handle handle;

	(void)can;
	me.umask = 027;
	CHECK_CALL(vfs_create(fs, &me, VFS_ROOT, "f", 0666, VFS_WRITE, &a, &handle));
	CHECK_INT(a.mode & 07777, 0640);
	vfs_release(fs, a.ino, handle);
	CHECK_CALL(vfs_mkdir(fs, &me, VFS_ROOT, "d", 0777, &a));
	CHECK_INT(a.mode & 07777, 0750);
	CHECK_CALL(vfs_mknod(fs, &me, VFS_ROOT, "n", S_IFIFO | 0666, 0, 0, &a));
	CHECK_INT(a.mode & 07777, 0640);
	me.umask = 0;
	CHECK_CALL(vfs_create(fs, &me, VFS_ROOT, "g", 0666, VFS_WRITE, &a, &handle));
	CHECK_INT(a.mode & 07777, 0666);
	vfs_release(fs, a.ino, handle);
}

void promise_new_objects_belong_to_who_asked(struct vfs *fs, unsigned can)
{
	struct vfs_caller who = vfs_me();
	struct vfs_attributes a[4];
	vfs_handle handle;

	if (can & VFS_CAN_OWNERS)
		who = (struct vfs_caller){.uid = 1234, .gid = 4321};
	CHECK_CALL(vfs_create(fs, &who, VFS_ROOT, "f", 0644, VFS_WRITE, &a[0], &handle));
	CHECK_CALL(vfs_mkdir(fs, &who, VFS_ROOT, "d", 0755, &a[1]));
	CHECK_CALL(vfs_symlink(fs, &who, VFS_ROOT, "s", "f", &a[2]));
	CHECK_CALL(vfs_mknod(fs, &who, VFS_ROOT, "n", S_IFIFO | 0644, 0, 0, &a[3]));
	for (int i = 0; i < 4; i++) {
		if (i == 2 && can & VFS_CANNOT_OWN_LINKS)
			continue;
		CHECK_INT(a[i].uid, who.uid);
		CHECK_INT(a[i].gid, who.gid);
	}
	vfs_release(fs, a[0].ino, handle);
}

void promise_owners_are_kept(struct vfs *fs, unsigned can)
{
	struct vfs_attributes a = {.uid = 65534, .gid = 100000}, link;
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	struct vfs_caller me = vfs_me();
	uint32_t gid;

	if (!(can & VFS_CAN_OWNERS)) {
		a = set(fs, file, (struct vfs_attributes){.uid = me.uid, .gid = me.gid},
			VFS_SET_UID | VFS_SET_GID);
		CHECK_INT(a.uid, me.uid);
		return;
	}
	a = set(fs, file, a, VFS_SET_UID | VFS_SET_GID);
	CHECK_INT(a.uid, 65534);
	CHECK_INT(a.gid, 100000);
	gid = a.gid;
	a = set(fs, file, (struct vfs_attributes){.uid = 7, .gid = 8}, VFS_SET_UID);
	CHECK_INT(a.uid, 7);
	CHECK_INT(a.gid, gid);
	CHECK_INT(vfs_find(fs, VFS_ROOT, "f").uid, 7);
	CHECK_CALL(vfs_symlink(fs, &me, VFS_ROOT, "s", "f", &link));
	a = set(fs, link.ino, (struct vfs_attributes){.uid = 9}, VFS_SET_UID);
	if (!(can & VFS_CANNOT_OWN_LINKS))
		CHECK_INT(a.uid, 9);
	CHECK_INT(vfs_attributes_of(fs, file).uid, 7);
}

void promise_setgid_directories_pass_their_group_on(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");
	uint32_t group = can & VFS_CAN_OWNERS ? 777 : vfs_me().gid;
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	vfs_handle handle;

	set(fs, d, (struct vfs_attributes){.gid = group}, VFS_SET_GID);
	CHECK_INT(set(fs, d, (struct vfs_attributes){.mode = 02775}, VFS_SET_MODE).mode, S_IFDIR | 02775);
	CHECK_CALL(vfs_create(fs, &me, d, "f", 0644, VFS_WRITE, &a, &handle));
	CHECK_INT(a.gid, group);
	CHECK_INT(a.mode, S_IFREG | 0644);
	vfs_release(fs, a.ino, handle);
	CHECK_CALL(vfs_mkdir(fs, &me, d, "e", 0755, &a));
	CHECK_INT(a.gid, group);
	CHECK_INT(a.mode, S_IFDIR | 02755);
	CHECK_CALL(vfs_symlink(fs, &me, d, "s", "x", &a));
	if (!(can & VFS_CANNOT_OWN_LINKS))
		CHECK_INT(a.gid, group);
	CHECK_CALL(vfs_mknod(fs, &me, d, "n", S_IFIFO | 0644, 0, 0, &a));
	CHECK_INT(a.gid, group);
	CHECK_CALL(vfs_mkdir(fs, &me, VFS_ROOT, "plain", 0755, &a));
	CHECK_INT(a.gid, me.gid);
	CHECK_INT(a.mode, S_IFDIR | 0755);
}

void promise_privileges_go_when_that_is_asked(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "text");

	(void)can;
	set(fs, file, (struct vfs_attributes){.mode = 06755}, VFS_SET_MODE);
	CHECK_INT(set(fs, file, (struct vfs_attributes){0}, VFS_CLEAR_PRIVILEGES).mode, S_IFREG | 0755);
	set(fs, file, (struct vfs_attributes){.mode = 06711}, VFS_SET_MODE);
	CHECK_INT(set(fs, file, (struct vfs_attributes){.size = 2}, VFS_SET_SIZE | VFS_CLEAR_PRIVILEGES).mode,
		S_IFREG | 0711);
	vfs_check_text(fs, file, "te");
}

void promise_times_are_kept_to_the_nanosecond(struct vfs *fs, unsigned can)
{
	struct vfs_attributes values = {.atime = {1000000000, 123456789}, .mtime = {1700000000, 999999999}},
			      a;
	struct vfs_caller me = vfs_me();
	uint64_t numbers[3];

	(void)can;
	numbers[0] = vfs_make_file(fs, VFS_ROOT, "f");
	numbers[1] = vfs_make_directory(fs, VFS_ROOT, "d");
	CHECK_CALL(vfs_symlink(fs, &me, VFS_ROOT, "s", "nowhere", &a));
	numbers[2] = a.ino;
	for (int i = 0; i < 3; i++) {
		a = set(fs, numbers[i], values, VFS_SET_ATIME | VFS_SET_MTIME);
		CHECK_INT(vfs_compare_times(a.atime, values.atime), 0);
		CHECK_INT(vfs_compare_times(a.mtime, values.mtime), 0);
		CHECK(a.ctime.seconds > values.mtime.seconds);
	}
}

void promise_times_that_are_not_set_stay(struct vfs *fs, unsigned can)
{
	struct vfs_attributes values = {.atime = {1000000000, 1}, .mtime = {1700000000, 2}}, a;
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");

	(void)can;
	set(fs, file, values, VFS_SET_ATIME | VFS_SET_MTIME);
	a = set(fs, file, (struct vfs_attributes){.atime = {5, 6}, .mtime = {7, 8}}, VFS_SET_MTIME);
	CHECK_INT(vfs_compare_times(a.atime, values.atime), 0);
	CHECK_INT(vfs_compare_times(a.mtime, (struct vfs_time){7, 8}), 0);
	a = set(fs, file, (struct vfs_attributes){.atime = {5, 6}, .mtime = {9, 9}}, VFS_SET_ATIME);
	CHECK_INT(vfs_compare_times(a.atime, (struct vfs_time){5, 6}), 0);
	CHECK_INT(vfs_compare_times(a.mtime, (struct vfs_time){7, 8}), 0);
	a = set(fs, file, (struct vfs_attributes){.mode = 0600}, VFS_SET_MODE);
	CHECK_INT(vfs_compare_times(a.atime, (struct vfs_time){5, 6}), 0);
	CHECK_INT(vfs_compare_times(a.mtime, (struct vfs_time){7, 8}), 0);
}

void promise_times_are_set_to_now(struct vfs *fs, unsigned can)
{
	struct vfs_attributes values = {.atime = {1000, 0}, .mtime = {2000, 0}}, a;
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	time_t before = time(NULL);

	(void)can;
	set(fs, file, values, VFS_SET_ATIME | VFS_SET_MTIME);
	a = set(fs, file, values, VFS_SET_ATIME_NOW);
	CHECK(a.atime.seconds >= before - 1 && a.atime.seconds <= time(NULL) + 1);
	CHECK_INT(a.mtime.seconds, 2000);
	a = set(fs, file, values, VFS_SET_ATIME | VFS_SET_MTIME_NOW);
	CHECK(a.mtime.seconds >= before - 1 && a.mtime.seconds <= time(NULL) + 1);
	CHECK_INT(a.atime.seconds, 1000);
}

void promise_times_before_1970_and_after_2106_are_kept(struct vfs *fs, unsigned can)
{
	struct vfs_attributes values = {.atime = {-1, 999999999}, .mtime = {4294967297, 5}}, a;
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");

	(void)can;
	a = set(fs, file, values, VFS_SET_ATIME | VFS_SET_MTIME);
	CHECK_INT(vfs_compare_times(a.atime, values.atime), 0);
	CHECK_INT(vfs_compare_times(a.mtime, values.mtime), 0);
}

void promise_a_time_with_too_many_nanoseconds_is_refused(struct vfs *fs, unsigned can)
{
	struct vfs_attributes values = {.atime = {1, 1000000000}, .mtime = {1, UINT32_MAX}}, a;
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	struct vfs_caller me = vfs_me();

	(void)can;
	CHECK_ERRNO(vfs_setattr(fs, &me, file, VFS_NO_HANDLE, &values, VFS_SET_ATIME, &a), EINVAL);
	CHECK_ERRNO(vfs_setattr(fs, &me, file, VFS_NO_HANDLE, &values, VFS_SET_MTIME, &a), EINVAL);
	CHECK_CALL(vfs_setattr(fs, &me, file, VFS_NO_HANDLE, &values, VFS_SET_MTIME_NOW, &a));
}

/* Since the last call, ctime and the change attribute have moved on. */
static void check_changed(struct vfs *fs, uint64_t ino, struct vfs_attributes *before, const char *by)
{
	struct vfs_attributes a = vfs_attributes_of(fs, ino);

	if (vfs_compare_times(a.ctime, before->ctime) <= 0 || a.change <= before->change)
		test_fail(__FILE__, __LINE__, "%s does not show", by);
	*before = a;
	vfs_let_time_pass();
}

void promise_every_change_of_an_object_shows(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "text");
	struct vfs_attributes before = vfs_attributes_of(fs, file), a;
	struct vfs_time mtime;

	vfs_let_time_pass();
	set(fs, file, (struct vfs_attributes){.mode = 0600}, VFS_SET_MODE);
	CHECK_INT(vfs_compare_times(vfs_attributes_of(fs, file).mtime, before.mtime), 0);
	check_changed(fs, file, &before, "chmod");
	mtime = before.mtime;
	vfs_put(fs, file, 1, "x");
	check_changed(fs, file, &before, "write");
	CHECK(vfs_compare_times(before.mtime, mtime) > 0);
	mtime = before.mtime;
	set(fs, file, (struct vfs_attributes){.size = 2}, VFS_SET_SIZE);
	check_changed(fs, file, &before, "truncate");
	CHECK(vfs_compare_times(before.mtime, mtime) > 0);
	CHECK_CALL(vfs_link(fs, file, VFS_ROOT, "g", &a));
	check_changed(fs, file, &before, "link");
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, "g"));
	check_changed(fs, file, &before, "unlink");
	CHECK_CALL(vfs_rename(fs, VFS_ROOT, "f", VFS_ROOT, "g", 0));
	check_changed(fs, file, &before, "rename");
	set(fs, file, (struct vfs_attributes){.mtime = {1, 1}}, VFS_SET_MTIME);
	check_changed(fs, file, &before, "utimes");
	if (!(can & VFS_CAN_XATTRS))
		return;
	CHECK_CALL(vfs_setxattr(fs, file, "user.x", "v", 1, 0));
	check_changed(fs, file, &before, "setxattr");
	CHECK_CALL(vfs_removexattr(fs, file, "user.x"));
	check_changed(fs, file, &before, "removexattr");
}

static void check_directory_changed(struct vfs *fs, uint64_t d, struct vfs_attributes *before, const char *by)
{
	struct vfs_time mtime = before->mtime;

	check_changed(fs, d, before, by);
	if (vfs_compare_times(before->mtime, mtime) <= 0)
		test_fail(__FILE__, __LINE__, "%s does not move mtime", by);
}

void promise_names_that_come_and_go_change_their_directory(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d"), e = vfs_make_directory(fs, VFS_ROOT, "e");
	struct vfs_attributes before = vfs_attributes_of(fs, d), other = vfs_attributes_of(fs, e), a;
	struct vfs_caller me = vfs_me();
	uint64_t file;

	(void)can;
	vfs_let_time_pass();
	file = vfs_make_file(fs, d, "f");
	check_directory_changed(fs, d, &before, "create");
	CHECK_CALL(vfs_link(fs, file, d, "g", &a));
	check_directory_changed(fs, d, &before, "link");
	CHECK_CALL(vfs_symlink(fs, &me, d, "s", "x", &a));
	check_directory_changed(fs, d, &before, "symlink");
	vfs_make_directory(fs, d, "sub");
	check_directory_changed(fs, d, &before, "mkdir");
	CHECK_CALL(vfs_rmdir(fs, d, "sub"));
	check_directory_changed(fs, d, &before, "rmdir");
	CHECK_CALL(vfs_rename(fs, d, "g", d, "h", 0));
	check_directory_changed(fs, d, &before, "rename");
	CHECK_CALL(vfs_rename(fs, d, "h", e, "h", 0));
	check_directory_changed(fs, d, &before, "rename from");
	check_directory_changed(fs, e, &other, "rename to");
	CHECK_CALL(vfs_unlink(fs, d, "f"));
	check_directory_changed(fs, d, &before, "unlink");
	vfs_put(fs, file, 0, "x");
	CHECK_INT(vfs_compare_times(vfs_attributes_of(fs, e).mtime, other.mtime), 0);
}

void promise_reading_changes_no_mtime(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "text");
	struct vfs_attributes before = vfs_attributes_of(fs, file), after;

	(void)can;
	vfs_let_time_pass();
	vfs_check_text(fs, file, "text");
	after = vfs_attributes_of(fs, file);
	CHECK_INT(vfs_compare_times(before.mtime, after.mtime), 0);
	CHECK_INT(vfs_compare_times(before.ctime, after.ctime), 0);
	CHECK_INT(after.change, before.change);
	CHECK(vfs_compare_times(before.atime, after.atime) <= 0);
}

void promise_the_birth_time_stays(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	struct vfs_time born = vfs_attributes_of(fs, file).btime;

	if (!(can & VFS_CAN_BTIME))
		return;
	CHECK(born.seconds >= time(NULL) - 60 && born.seconds <= time(NULL) + 1);
	vfs_let_time_pass();
	vfs_put(fs, file, 0, "x");
	set(fs, file, (struct vfs_attributes){.mtime = {1, 1}}, VFS_SET_MTIME);
	CHECK_INT(vfs_compare_times(vfs_attributes_of(fs, file).btime, born), 0);
}

/* ---- extended attributes ---------------------------------------------------------------------------- */

void promise_xattrs_are_kept(struct vfs *fs, unsigned can)
{
	uint64_t numbers[] = {vfs_make_file(fs, VFS_ROOT, "f"), vfs_make_directory(fs, VFS_ROOT, "d")};
	char value[16] = {0};
	struct vfs_attributes a;

	if (!(can & VFS_CAN_XATTRS))
		return;
	for (int i = 0; i < 2; i++) {
		CHECK_ERRNO(vfs_getxattr(fs, numbers[i], "user.a", value, sizeof value), ENODATA);
		CHECK_CALL(vfs_setxattr(fs, numbers[i], "user.a", "one\0two", 7, 0));
		CHECK_CALL(vfs_setxattr(fs, numbers[i], "user.empty", "", 0, 0));
		CHECK_INT(vfs_getxattr(fs, numbers[i], "user.a", value, sizeof value), 7);
		CHECK(!memcmp(value, "one\0two", 8));
		CHECK_INT(vfs_getxattr(fs, numbers[i], "user.empty", value, sizeof value), 0);
		CHECK_CALL(vfs_removexattr(fs, numbers[i], "user.a"));
		CHECK_ERRNO(vfs_removexattr(fs, numbers[i], "user.a"), ENODATA);
		CHECK_ERRNO(vfs_getxattr(fs, numbers[i], "user.a", value, sizeof value), ENODATA);
		CHECK_INT(vfs_getxattr(fs, numbers[i], "user.empty", NULL, 0), 0);
	}
	CHECK_CALL(vfs_link(fs, numbers[0], VFS_ROOT, "g", &a));
	CHECK_CALL(vfs_rename(fs, VFS_ROOT, "f", VFS_ROOT, "h", 0));
	CHECK_INT(vfs_getxattr(fs, vfs_find(fs, VFS_ROOT, "g").ino, "user.empty", NULL, 0), 0);
}

void promise_xattrs_are_created_and_replaced_as_asked(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	char value[8] = {0};

	if (!(can & VFS_CAN_XATTRS))
		return;
	CHECK_ERRNO(vfs_setxattr(fs, file, "user.a", "1", 1, VFS_XATTR_REPLACE), ENODATA);
	CHECK_CALL(vfs_setxattr(fs, file, "user.a", "1", 1, VFS_XATTR_CREATE));
	CHECK_ERRNO(vfs_setxattr(fs, file, "user.a", "2", 1, VFS_XATTR_CREATE), EEXIST);
	CHECK_INT(vfs_getxattr(fs, file, "user.a", value, sizeof value), 1);
	CHECK_TEXT(value, "1");
	CHECK_CALL(vfs_setxattr(fs, file, "user.a", "three", 5, VFS_XATTR_REPLACE));
	CHECK_INT(vfs_getxattr(fs, file, "user.a", value, sizeof value), 5);
	CHECK_TEXT(value, "three");
	CHECK_CALL(vfs_setxattr(fs, file, "user.a", "4", 1, 0));
	CHECK_INT(vfs_getxattr(fs, file, "user.a", NULL, 0), 1);
}

void promise_xattrs_that_do_not_fit_are_not_cut(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	char room[32] = {0};

	if (!(can & VFS_CAN_XATTRS))
		return;
	CHECK_INT(vfs_listxattr(fs, file, NULL, 0), 0);
	CHECK_CALL(vfs_setxattr(fs, file, "user.a", "12345678", 8, 0));
	CHECK_INT(vfs_getxattr(fs, file, "user.a", NULL, 0), 8);
	CHECK_ERRNO(vfs_getxattr(fs, file, "user.a", room, 7), ERANGE);
	CHECK_INT(vfs_getxattr(fs, file, "user.a", room, 8), 8);
	CHECK_TEXT(room, "12345678");
	CHECK_INT(vfs_listxattr(fs, file, NULL, 0), 7);
	CHECK_ERRNO(vfs_listxattr(fs, file, room, 6), ERANGE);
	CHECK_INT(vfs_listxattr(fs, file, room, 7), 7);
	CHECK_TEXT(room, "user.a");
}

static bool list_has(const char *names, size_t size, const char *name)
{
	for (size_t at = 0; at < size; at += strlen(names + at) + 1)
		if (!strcmp(names + at, name))
			return true;
	return false;
}

void promise_xattrs_are_listed(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	char names[1024], name[32];
	int64_t n;

	if (!(can & VFS_CAN_XATTRS))
		return;
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "user.%02d", i);
		CHECK_CALL(vfs_setxattr(fs, file, name, "v", 1, 0));
	}
	for (int i = 0; i < 20; i += 2) {
		snprintf(name, sizeof name, "user.%02d", i);
		CHECK_CALL(vfs_removexattr(fs, file, name));
	}
	n = vfs_listxattr(fs, file, names, sizeof names);
	CHECK_INT(n, 10 * 8);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "user.%02d", i);
		CHECK_INT(list_has(names, (size_t)n, name), i % 2);
	}
}

void promise_xattrs_have_names_and_values_of_any_size_allowed(struct vfs *fs, unsigned can)
{
	_cleanup_free_ char *value = malloc(VFS_XATTR_VALUE_MAX + 1), *back = malloc(VFS_XATTR_VALUE_MAX);
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	char name[VFS_XATTR_NAME_MAX + 2];
	size_t size = can & VFS_CAN_LARGE_XATTRS ? VFS_XATTR_VALUE_MAX : 1000;

	if (!(can & VFS_CAN_XATTRS))
		return;
	memset(value, 'v', VFS_XATTR_VALUE_MAX + 1);
	memset(name, 'n', sizeof name);
	memcpy(name, "user.", 5);
	name[VFS_XATTR_NAME_MAX + 1] = 0;
	CHECK_ERRNO(vfs_setxattr(fs, file, name, value, 1, 0), ERANGE);
	CHECK_ERRNO(vfs_setxattr(fs, file, "", value, 1, 0), ERANGE);
	CHECK_ERRNO(vfs_setxattr(fs, file, "user.x", value, VFS_XATTR_VALUE_MAX + 1, 0), E2BIG);
	name[VFS_XATTR_NAME_MAX] = 0;
	CHECK_CALL(vfs_setxattr(fs, file, name, value, size, 0));
	CHECK_INT(vfs_getxattr(fs, file, name, back, VFS_XATTR_VALUE_MAX), size);
	CHECK(!memcmp(value, back, size));
	CHECK_INT(vfs_listxattr(fs, file, NULL, 0), VFS_XATTR_NAME_MAX + 1);
}

void promise_trusted_xattrs_are_kept(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");
	char value[4] = {0};

	if (!(can & VFS_CAN_TRUSTED))
		return;
	CHECK_CALL(vfs_setxattr(fs, d, "trusted.overlay.opaque", "y", 1, 0));
	CHECK_INT(vfs_getxattr(fs, d, "trusted.overlay.opaque", value, sizeof value), 1);
	CHECK_TEXT(value, "y");
}

/* ---- the whole -------------------------------------------------------------------------------------- */

static void check_refused(struct vfs *fs, uint64_t file, uint64_t d)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a = {.size = 0, .mode = 0600};
	vfs_handle handle;

	CHECK_ERRNO(vfs_setattr(fs, &me, file, VFS_NO_HANDLE, &a, VFS_SET_MODE, &a), EROFS);
	CHECK_ERRNO(vfs_setattr(fs, &me, file, VFS_NO_HANDLE, &a, VFS_SET_SIZE, &a), EROFS);
	CHECK_ERRNO(vfs_mknod(fs, &me, VFS_ROOT, "n", S_IFREG | 0644, 0, 0, &a), EROFS);
	CHECK_ERRNO(vfs_mkdir(fs, &me, VFS_ROOT, "n", 0755, &a), EROFS);
	CHECK_ERRNO(vfs_symlink(fs, &me, VFS_ROOT, "n", "t", &a), EROFS);
	CHECK_ERRNO(vfs_link(fs, file, VFS_ROOT, "n", &a), EROFS);
	CHECK_ERRNO(vfs_unlink(fs, VFS_ROOT, "f"), EROFS);
	CHECK_ERRNO(vfs_rmdir(fs, VFS_ROOT, "d"), EROFS);
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "f", d, "g", 0), EROFS);
	CHECK_ERRNO(vfs_create(fs, &me, VFS_ROOT, "n", 0644, VFS_WRITE, &a, &handle), EROFS);
	CHECK(handle == VFS_NO_HANDLE);
	CHECK_ERRNO(vfs_open(fs, file, VFS_WRITE, &handle), EROFS);
	CHECK_ERRNO(vfs_open(fs, file, VFS_READ | VFS_TRUNCATE, &handle), EROFS);
	CHECK_ERRNO(vfs_write(fs, file, VFS_NO_HANDLE, "x", 1, 0), EROFS);
	CHECK_ERRNO(vfs_allocate(fs, file, VFS_NO_HANDLE, 0, 0, 100), EROFS);
	CHECK_ERRNO(vfs_setxattr(fs, file, "user.a", "x", 1, 0), EROFS);
	CHECK_ERRNO(vfs_removexattr(fs, file, "user.a"), EROFS);
}

void promise_a_read_only_file_system_changes_nothing(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "text"), d = vfs_make_directory(fs, VFS_ROOT, "d");
	_cleanup_listing_ struct vfs_listing listing = {0};
	struct vfs_attributes before = vfs_attributes_of(fs, file), after;
	vfs_handle handle;
	char bytes[8];

	(void)can;
	fs->read_only = true;
	check_refused(fs, file, d);
	handle = vfs_opened(fs, file, VFS_READ);
	CHECK_INT(vfs_read(fs, file, handle, bytes, sizeof bytes, 0), 4);
	vfs_release(fs, file, handle);
	CHECK_INT(vfs_list(fs, VFS_ROOT, VFS_NO_HANDLE, 0, true, 0, &listing), 4);
	after = vfs_find(fs, VFS_ROOT, "f");
	CHECK_INT(after.change, before.change);
	CHECK_INT(after.mode, before.mode);
	CHECK_INT(after.links, 1);
	fs->read_only = false;
}

void promise_space_is_told(struct vfs *fs, unsigned can)
{
	struct vfs_statistics s;

	(void)can;
	CHECK_CALL(vfs_statfs(fs, &s));
	CHECK(s.block_size >= 512 && s.blocks > 0);
	CHECK(s.free <= s.blocks && s.available <= s.free);
	CHECK(s.files_free <= s.files);
	CHECK_INT(s.name_max, VFS_NAME_MAX);
}
