/* SPDX-License-Identifier: Apache-2.0 */
/* What file systems promise of rename. */
#include <stdlib.h>
#include <sys/stat.h>

#include "vfs_make.h"
#include "vfs_promises.h"

void promise_rename_moves_a_name_and_keeps_the_object(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d"), f = vfs_make_text(fs, VFS_ROOT, "f", "text");

	(void)can;
	CHECK_CALL(vfs_rename(fs, VFS_ROOT, "f", VFS_ROOT, "g", 0));
	CHECK_ERRNO(vfs_look(fs, VFS_ROOT, "f"), ENOENT);
	CHECK_INT(vfs_find(fs, VFS_ROOT, "g").ino, f);
	CHECK_CALL(vfs_rename(fs, VFS_ROOT, "g", d, "h", VFS_NO_REPLACE));
	CHECK_ERRNO(vfs_look(fs, VFS_ROOT, "g"), ENOENT);
	CHECK_INT(vfs_find(fs, d, "h").ino, f);
	CHECK_INT(vfs_attributes_of(fs, f).links, 1);
	vfs_check_text(fs, f, "text");
	CHECK_CALL(vfs_rename(fs, d, "h", VFS_ROOT, "f", 0));
	CHECK_CALL(vfs_rmdir(fs, VFS_ROOT, "d"));
}

void promise_rename_replaces_a_file_that_is_open(struct vfs *fs, unsigned can)
{
	uint64_t old = vfs_make_text(fs, VFS_ROOT, "f", "old"), new = vfs_make_text(fs, VFS_ROOT, "g", "new");
	vfs_handle open_old = vfs_opened(fs, old, VFS_READ | VFS_WRITE);
	vfs_handle open_new = vfs_opened(fs, new, VFS_READ | VFS_WRITE);
	struct vfs_attributes a;
	char bytes[8] = {0};

	(void)can;
	CHECK_CALL(vfs_rename(fs, VFS_ROOT, "g", VFS_ROOT, "f", 0));
	CHECK_INT(vfs_find(fs, VFS_ROOT, "f").ino, new);
	CHECK_ERRNO(vfs_look(fs, VFS_ROOT, "g"), ENOENT);
	CHECK_INT(vfs_read(fs, old, open_old, bytes, sizeof bytes, 0), 3);
	CHECK_TEXT(bytes, "old");
	CHECK_INT(vfs_write(fs, old, open_old, "x", 1, 0), 1);
	CHECK_INT(vfs_write(fs, new, open_new, "N", 1, 0), 1);
	CHECK_CALL(vfs_getattr(fs, old, open_old, &a));
	CHECK_INT(a.links, 0);
	vfs_release(fs, old, open_old);
	vfs_release(fs, new, open_new);
	vfs_check_text(fs, new, "New");
}

void promise_rename_without_replacing_refuses_a_name_that_is_there(struct vfs *fs, unsigned can)
{
	uint64_t f = vfs_make_file(fs, VFS_ROOT, "f"), g = vfs_make_file(fs, VFS_ROOT, "g");

	(void)can;
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "f", VFS_ROOT, "g", VFS_NO_REPLACE), EEXIST);
	CHECK_INT(vfs_find(fs, VFS_ROOT, "f").ino, f);
	CHECK_INT(vfs_find(fs, VFS_ROOT, "g").ino, g);
	CHECK_CALL(vfs_rename(fs, VFS_ROOT, "f", VFS_ROOT, "h", VFS_NO_REPLACE));
	CHECK_INT(vfs_find(fs, VFS_ROOT, "h").ino, f);
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "h", VFS_ROOT, "g", VFS_NO_REPLACE | VFS_EXCHANGE), EINVAL);
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "h", VFS_ROOT, "i", 1u << 20), EINVAL);
}

void promise_rename_replaces_an_empty_directory_only(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d"), e = vfs_make_directory(fs, VFS_ROOT, "e");
	uint32_t links = vfs_attributes_of(fs, VFS_ROOT).links;

	vfs_make_file(fs, e, "f");
	vfs_make_file(fs, d, "g");
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "d", VFS_ROOT, "e", 0), ENOTEMPTY);
	CHECK_CALL(vfs_look(fs, e, "f"));
	CHECK_CALL(vfs_unlink(fs, e, "f"));
	CHECK_CALL(vfs_rename(fs, VFS_ROOT, "d", VFS_ROOT, "e", 0));
	CHECK_INT(vfs_find(fs, VFS_ROOT, "e").ino, d);
	CHECK_CALL(vfs_look(fs, d, "g"));
	CHECK_INT(vfs_attributes_of(fs, e).links, 0);
	if (can & VFS_CAN_COUNT)
		CHECK_INT(vfs_attributes_of(fs, VFS_ROOT).links, links - 1);
}

void promise_rename_replaces_like_by_like(struct vfs *fs, unsigned can)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;

	(void)can;
	vfs_make_file(fs, VFS_ROOT, "f");
	vfs_make_directory(fs, VFS_ROOT, "d");
	CHECK_CALL(vfs_symlink(fs, &me, VFS_ROOT, "s", "d", &a));
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "f", VFS_ROOT, "d", 0), EISDIR);
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "d", VFS_ROOT, "f", 0), ENOTDIR);
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "d", VFS_ROOT, "s", 0), ENOTDIR);
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "s", VFS_ROOT, "d", 0), EISDIR);
	CHECK_CALL(vfs_rename(fs, VFS_ROOT, "f", VFS_ROOT, "s", 0));
	CHECK_INT(vfs_find(fs, VFS_ROOT, "s").mode & S_IFMT, S_IFREG);
}

void promise_rename_between_names_of_one_object_changes_nothing(struct vfs *fs, unsigned can)
{
	uint64_t f = vfs_make_file(fs, VFS_ROOT, "f"), d = vfs_make_directory(fs, VFS_ROOT, "d");
	struct vfs_attributes a;

	(void)can;
	CHECK_CALL(vfs_link(fs, f, d, "g", &a));
	CHECK_CALL(vfs_rename(fs, VFS_ROOT, "f", d, "g", 0));
	CHECK_INT(vfs_find(fs, VFS_ROOT, "f").ino, f);
	CHECK_INT(vfs_find(fs, d, "g").ino, f);
	CHECK_INT(vfs_attributes_of(fs, f).links, 2);
	CHECK_CALL(vfs_rename(fs, VFS_ROOT, "f", VFS_ROOT, "f", 0));
	CHECK_CALL(vfs_rename(fs, VFS_ROOT, "d", VFS_ROOT, "d", 0));
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "f", VFS_ROOT, "f", VFS_NO_REPLACE), EEXIST);
	CHECK_INT(vfs_attributes_of(fs, f).links, 2);
	CHECK_INT(vfs_find(fs, VFS_ROOT, "d").ino, d);
}

void promise_rename_never_puts_a_directory_beneath_itself(struct vfs *fs, unsigned can)
{
	uint64_t a = vfs_make_directory(fs, VFS_ROOT, "a"), b = vfs_make_directory(fs, a, "b");
	uint64_t c = vfs_make_directory(fs, b, "c");

	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "a", a, "x", 0), EINVAL);
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "a", c, "x", 0), EINVAL);
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "a", b, "c", 0), EINVAL);
	CHECK_ERRNO(vfs_rename(fs, b, "c", VFS_ROOT, "a", 0), ENOTEMPTY);
	if (can & VFS_CAN_EXCHANGE) {
		CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "a", b, "c", VFS_EXCHANGE), EINVAL);
		CHECK_ERRNO(vfs_rename(fs, b, "c", VFS_ROOT, "a", VFS_EXCHANGE), EINVAL);
	}
	CHECK_INT(vfs_find(fs, VFS_ROOT, "a").ino, a);
	CHECK_INT(vfs_find(fs, b, "c").ino, c);
	CHECK_CALL(vfs_rename(fs, b, "c", VFS_ROOT, "c", 0));
	CHECK_CALL(vfs_rename(fs, VFS_ROOT, "a", c, "a", 0));
	CHECK_INT(vfs_find(fs, c, "a").ino, a);
}

void promise_rename_of_what_is_not_there_fails(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");

	(void)can;
	vfs_make_text(fs, VFS_ROOT, "f", "kept");
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "x", VFS_ROOT, "f", 0), ENOENT);
	CHECK_ERRNO(vfs_rename(fs, d, "f", VFS_ROOT, "y", 0), ENOENT);
	vfs_check_text(fs, vfs_find(fs, VFS_ROOT, "f").ino, "kept");
}

/* The number that ".." of the directory has. */
static uint64_t parent_of(struct vfs *fs, uint64_t directory)
{
	_cleanup_listing_ struct vfs_listing listing = {0};
	const struct vfs_listed *entry = NULL;

	vfs_list(fs, directory, VFS_NO_HANDLE, 0, false, 0, &listing);
	CHECK_INT(vfs_listed(&listing, "..", &entry), 1);
	return entry->ino;
}

void promise_a_moved_directory_has_a_new_parent(struct vfs *fs, unsigned can)
{
	uint64_t a = vfs_make_directory(fs, VFS_ROOT, "a"), b = vfs_make_directory(fs, VFS_ROOT, "b");
	uint64_t d = vfs_make_directory(fs, a, "d");
	struct vfs_attributes before = vfs_attributes_of(fs, b);

	vfs_make_file(fs, d, "f");
	CHECK_INT(parent_of(fs, d), a);
	CHECK_CALL(vfs_rename(fs, a, "d", b, "e", 0));
	CHECK_INT(parent_of(fs, d), b);
	CHECK_CALL(vfs_look(fs, d, "f"));
	if (can & VFS_CAN_COUNT) {
		CHECK_INT(vfs_attributes_of(fs, a).links, 2);
		CHECK_INT(vfs_attributes_of(fs, b).links, before.links + 1);
	}
	CHECK_CALL(vfs_rmdir(fs, VFS_ROOT, "a"));
}

void promise_an_exchange_swaps_two_names(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");
	uint64_t f = vfs_make_text(fs, VFS_ROOT, "f", "f"), g = vfs_make_text(fs, d, "g", "g");

	if (!(can & VFS_CAN_EXCHANGE)) {
		CHECK(vfs_rename(fs, VFS_ROOT, "f", d, "g", VFS_EXCHANGE) < 0);
		return;
	}
	CHECK_CALL(vfs_rename(fs, VFS_ROOT, "f", d, "g", VFS_EXCHANGE));
	CHECK_INT(vfs_find(fs, VFS_ROOT, "f").ino, g);
	CHECK_INT(vfs_find(fs, d, "g").ino, f);
	CHECK_INT(vfs_attributes_of(fs, f).links, 1);
	CHECK_INT(vfs_attributes_of(fs, g).links, 1);
	vfs_check_text(fs, vfs_find(fs, VFS_ROOT, "f").ino, "g");
	vfs_check_text(fs, vfs_find(fs, d, "g").ino, "f");
}

void promise_an_exchange_swaps_a_file_and_a_directory(struct vfs *fs, unsigned can)
{
	uint64_t a = vfs_make_directory(fs, VFS_ROOT, "a"), b = vfs_make_directory(fs, VFS_ROOT, "b");
	uint64_t d = vfs_make_directory(fs, a, "d"), f = vfs_make_file(fs, b, "f");
	uint32_t links = vfs_attributes_of(fs, b).links;

	vfs_make_file(fs, d, "inside");
	if (!(can & VFS_CAN_EXCHANGE))
		return;
	CHECK_CALL(vfs_rename(fs, a, "d", b, "f", VFS_EXCHANGE));
	CHECK_INT(vfs_find(fs, a, "d").ino, f);
	CHECK_INT(vfs_find(fs, b, "f").ino, d);
	CHECK_CALL(vfs_look(fs, d, "inside"));
	CHECK_INT(parent_of(fs, d), b);
	if (can & VFS_CAN_COUNT) {
		CHECK_INT(vfs_attributes_of(fs, a).links, 2);
		CHECK_INT(vfs_attributes_of(fs, b).links, links + 1);
	}
}

void promise_an_exchange_needs_both_names(struct vfs *fs, unsigned can)
{
	uint64_t f = vfs_make_file(fs, VFS_ROOT, "f");

	if (!(can & VFS_CAN_EXCHANGE))
		return;
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "f", VFS_ROOT, "g", VFS_EXCHANGE), ENOENT);
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "g", VFS_ROOT, "f", VFS_EXCHANGE), ENOENT);
	CHECK_INT(vfs_find(fs, VFS_ROOT, "f").ino, f);
	CHECK_CALL(vfs_rename(fs, VFS_ROOT, "f", VFS_ROOT, "f", VFS_EXCHANGE));
}
