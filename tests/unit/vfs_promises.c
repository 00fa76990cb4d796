/* SPDX-License-Identifier: Apache-2.0 */
/* What file systems promise of names. */
#include "vfs_promises.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "vfs_make.h"

void promise_what_is_made_is_found_by_its_name(struct vfs *fs, unsigned can)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes made, found;
	vfs_handle handle;

	(void)can;
	CHECK_CALL(vfs_create(fs, &me, VFS_ROOT, "f", 0640, VFS_WRITE, &made, &handle));
	CHECK_CALL(vfs_lookup(fs, VFS_ROOT, "f", &found));
	CHECK_INT(found.ino, made.ino);
	CHECK_INT(found.generation, made.generation);
	CHECK_INT(found.mode, S_IFREG | 0640);
	CHECK_INT(found.size, 0);
	CHECK_INT(found.links, 1);
	vfs_release(fs, made.ino, handle);
	vfs_forget(fs, made.ino, 2);
	CHECK_CALL(vfs_mkdir(fs, &me, VFS_ROOT, "d", 0750, &made));
	CHECK_INT(made.mode, S_IFDIR | 0750);
	CHECK_CALL(vfs_mknod(fs, &me, made.ino, "n", S_IFREG | 0600, 0, 0, &found));
	CHECK_INT(found.mode, S_IFREG | 0600);
	CHECK_INT(vfs_find(fs, made.ino, "n").ino, found.ino);
	CHECK_INT(vfs_find(fs, VFS_ROOT, "d").ino, made.ino);
	CHECK(found.ino != made.ino && made.ino != VFS_ROOT);
}

void promise_what_was_never_made_is_not_found(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");

	(void)can;
	vfs_make_file(fs, d, "f");
	CHECK_ERRNO(vfs_look(fs, VFS_ROOT, "f"), ENOENT);
	CHECK_ERRNO(vfs_look(fs, d, "d"), ENOENT);
	CHECK_ERRNO(vfs_look(fs, d, "F"), ENOENT);
	CHECK_ERRNO(vfs_unlink(fs, d, "g"), ENOENT);
	CHECK_ERRNO(vfs_rmdir(fs, d, "g"), ENOENT);
}

void promise_names_have_up_to_255_bytes(struct vfs *fs, unsigned can)
{
	char name[VFS_NAME_MAX + 2], other[VFS_NAME_MAX + 1];
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;

	(void)can;
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = 0;
	memcpy(other, name, sizeof other);
	other[sizeof other - 1] = 0;
	CHECK_ERRNO(vfs_lookup(fs, VFS_ROOT, name, &a), ENAMETOOLONG);
	CHECK_ERRNO(vfs_mkdir(fs, &me, VFS_ROOT, name, 0755, &a), ENAMETOOLONG);
	vfs_make_file(fs, VFS_ROOT, other);
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, other, VFS_ROOT, name, 0), ENAMETOOLONG);
	other[VFS_NAME_MAX - 1] = 'm';
	CHECK_ERRNO(vfs_look(fs, VFS_ROOT, other), ENOENT);
	other[VFS_NAME_MAX - 1] = 'n';
	CHECK_CALL(vfs_look(fs, VFS_ROOT, other));
	other[VFS_NAME_MAX - 1] = 0;
	CHECK_ERRNO(vfs_look(fs, VFS_ROOT, other), ENOENT);
}

void promise_names_hold_every_byte_but_slash_and_nul(struct vfs *fs, unsigned can)
{
	_cleanup_listing_ struct vfs_listing listing = {0};
	const struct vfs_listed *entry;
	uint64_t numbers[256] = {0};

	(void)can;
	for (unsigned byte = 1; byte < 256; byte++) {
		char name[] = {'x', (char)byte, 'y', 0};

		if (byte != '/')
			numbers[byte] = vfs_make_file(fs, VFS_ROOT, name);
	}
	CHECK_INT(vfs_list(fs, VFS_ROOT, VFS_NO_HANDLE, 0, false, 0, &listing), 2 + 254);
	for (unsigned byte = 1; byte < 256; byte++) {
		char name[] = {'x', (char)byte, 'y', 0};

		if (byte == '/')
			continue;
		CHECK_INT(vfs_listed(&listing, name, &entry), 1);
		CHECK_INT(entry->ino, numbers[byte]);
		CHECK_INT(vfs_find(fs, VFS_ROOT, name).ino, numbers[byte]);
	}
}

void promise_what_is_no_name_is_refused(struct vfs *fs, unsigned can)
{
	static const char *const names[] = {"", ".", "..", "/", "a/b", "a/"};
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	vfs_handle handle;

	(void)can;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		CHECK_ERRNO(vfs_lookup(fs, VFS_ROOT, names[i], &a), EINVAL);
		CHECK_ERRNO(vfs_mkdir(fs, &me, VFS_ROOT, names[i], 0755, &a), EINVAL);
		CHECK_ERRNO(vfs_create(fs, &me, VFS_ROOT, names[i], 0644, VFS_WRITE, &a, &handle), EINVAL);
		CHECK_ERRNO(vfs_link(fs, file, VFS_ROOT, names[i], &a), EINVAL);
		CHECK_ERRNO(vfs_unlink(fs, VFS_ROOT, names[i]), EINVAL);
		CHECK_ERRNO(vfs_rmdir(fs, VFS_ROOT, names[i]), EINVAL);
		CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, names[i], VFS_ROOT, "g", 0), EINVAL);
		CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "f", VFS_ROOT, names[i], 0), EINVAL);
	}
}

void promise_an_exclusive_create_refuses_a_name_that_is_there(struct vfs *fs, unsigned can)
{
	static const char *const names[] = {"file", "directory", "link"};
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	vfs_handle handle;

	(void)can;
	vfs_make_text(fs, VFS_ROOT, "file", "kept");
	vfs_make_directory(fs, VFS_ROOT, "directory");
	CHECK_CALL(vfs_symlink(fs, &me, VFS_ROOT, "link", "nowhere", &a));
	for (size_t i = 0; i < 3; i++) {
		CHECK_ERRNO(vfs_create(fs, &me, VFS_ROOT, names[i], 0644,
				    VFS_WRITE | VFS_EXCLUSIVE | VFS_TRUNCATE, &a, &handle),
			EEXIST);
		CHECK(handle == VFS_NO_HANDLE);
	}
	vfs_check_text(fs, vfs_find(fs, VFS_ROOT, "file").ino, "kept");
	CHECK_ERRNO(vfs_look(fs, VFS_ROOT, "nowhere"), ENOENT);
}

void promise_a_create_opens_the_file_that_is_there(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "text");
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	vfs_handle handle;
	char bytes[4];

	(void)can;
	CHECK_CALL(vfs_create(fs, &me, VFS_ROOT, "f", 0600, VFS_READ, &a, &handle));
	CHECK_INT(a.ino, file);
	CHECK_INT(a.mode, S_IFREG | 0644);
	CHECK_INT(vfs_read(fs, file, handle, bytes, 4, 0), 4);
	vfs_release(fs, file, handle);
	CHECK_CALL(vfs_create(fs, &me, VFS_ROOT, "f", 0600, VFS_WRITE | VFS_TRUNCATE, &a, &handle));
	CHECK_INT(a.size, 0);
	vfs_release(fs, file, handle);
	vfs_check_text(fs, file, "");
	vfs_make_directory(fs, VFS_ROOT, "d");
	CHECK_ERRNO(vfs_create(fs, &me, VFS_ROOT, "d", 0600, VFS_WRITE, &a, &handle), EISDIR);
}

void promise_nothing_is_made_over_a_name_that_is_there(struct vfs *fs, unsigned can)
{
	uint64_t other = vfs_make_file(fs, VFS_ROOT, "other");
	static const char *const names[] = {"f", "d"};
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;

	(void)can;
	vfs_make_file(fs, VFS_ROOT, "f");
	vfs_make_directory(fs, VFS_ROOT, "d");
	for (size_t i = 0; i < 2; i++) {
		CHECK_ERRNO(vfs_mknod(fs, &me, VFS_ROOT, names[i], S_IFREG | 0644, 0, 0, &a), EEXIST);
		CHECK_ERRNO(vfs_mknod(fs, &me, VFS_ROOT, names[i], S_IFIFO | 0644, 0, 0, &a), EEXIST);
		CHECK_ERRNO(vfs_mkdir(fs, &me, VFS_ROOT, names[i], 0755, &a), EEXIST);
		CHECK_ERRNO(vfs_symlink(fs, &me, VFS_ROOT, names[i], "x", &a), EEXIST);
		CHECK_ERRNO(vfs_link(fs, other, VFS_ROOT, names[i], &a), EEXIST);
	}
	CHECK_INT(vfs_attributes_of(fs, other).links, 1);
}

void promise_a_file_holds_no_names(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f"), other = vfs_make_file(fs, VFS_ROOT, "g");
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	vfs_handle handle;

	(void)can;
	CHECK_ERRNO(vfs_lookup(fs, file, "x", &a), ENOTDIR);
	CHECK_ERRNO(vfs_mknod(fs, &me, file, "x", S_IFREG | 0644, 0, 0, &a), ENOTDIR);
	CHECK_ERRNO(vfs_create(fs, &me, file, "x", 0644, VFS_WRITE, &a, &handle), ENOTDIR);
	CHECK_ERRNO(vfs_mkdir(fs, &me, file, "x", 0755, &a), ENOTDIR);
	CHECK_ERRNO(vfs_symlink(fs, &me, file, "x", "y", &a), ENOTDIR);
	CHECK_ERRNO(vfs_link(fs, other, file, "x", &a), ENOTDIR);
	CHECK_ERRNO(vfs_unlink(fs, file, "x"), ENOTDIR);
	CHECK_ERRNO(vfs_rmdir(fs, file, "x"), ENOTDIR);
	CHECK_ERRNO(vfs_rename(fs, file, "x", VFS_ROOT, "y", 0), ENOTDIR);
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "g", file, "y", 0), ENOTDIR);
	CHECK_CALL(vfs_look(fs, VFS_ROOT, "g"));
}

void promise_hard_links_are_names_of_one_object(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "a", "one"), d = vfs_make_directory(fs, VFS_ROOT, "d");
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a, link;

	(void)can;
	CHECK_CALL(vfs_link(fs, file, d, "b", &a));
	CHECK_INT(a.ino, file);
	CHECK_INT(a.links, 2);
	CHECK_INT(vfs_find(fs, d, "b").ino, file);
	vfs_put(fs, vfs_find(fs, d, "b").ino, 0, "two");
	vfs_check_text(fs, file, "two");
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, "a"));
	CHECK_INT(vfs_attributes_of(fs, file).links, 1);
	vfs_check_text(fs, vfs_find(fs, d, "b").ino, "two");
	CHECK_CALL(vfs_symlink(fs, &me, VFS_ROOT, "s", "target", &link));
	CHECK_CALL(vfs_link(fs, link.ino, d, "t", &a));
	CHECK_INT(a.ino, link.ino);
	CHECK_INT(a.mode & S_IFMT, S_IFLNK);
}

void promise_directories_get_no_further_names(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");
	struct vfs_attributes a;

	(void)can;
	CHECK_ERRNO(vfs_link(fs, d, VFS_ROOT, "e", &a), EPERM);
	CHECK_ERRNO(vfs_link(fs, VFS_ROOT, d, "e", &a), EPERM);
	CHECK_ERRNO(vfs_look(fs, VFS_ROOT, "e"), ENOENT);
}

void promise_unlink_leaves_directories_and_rmdir_leaves_the_rest(struct vfs *fs, unsigned can)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;

	(void)can;
	vfs_make_file(fs, VFS_ROOT, "f");
	vfs_make_directory(fs, VFS_ROOT, "d");
	CHECK_CALL(vfs_symlink(fs, &me, VFS_ROOT, "s", "d", &a));
	CHECK_ERRNO(vfs_unlink(fs, VFS_ROOT, "d"), EISDIR);
	CHECK_ERRNO(vfs_rmdir(fs, VFS_ROOT, "f"), ENOTDIR);
	CHECK_ERRNO(vfs_rmdir(fs, VFS_ROOT, "s"), ENOTDIR);
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, "s"));
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, "f"));
	CHECK_CALL(vfs_rmdir(fs, VFS_ROOT, "d"));
	CHECK_ERRNO(vfs_look(fs, VFS_ROOT, "f"), ENOENT);
	CHECK_ERRNO(vfs_look(fs, VFS_ROOT, "d"), ENOENT);
	CHECK_ERRNO(vfs_look(fs, VFS_ROOT, "s"), ENOENT);
}

void promise_a_directory_with_names_in_it_stays(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");

	(void)can;
	vfs_make_file(fs, d, "f");
	CHECK_ERRNO(vfs_rmdir(fs, VFS_ROOT, "d"), ENOTEMPTY);
	CHECK_CALL(vfs_look(fs, d, "f"));
	CHECK_CALL(vfs_unlink(fs, d, "f"));
	CHECK_CALL(vfs_rmdir(fs, VFS_ROOT, "d"));
}

void promise_directories_count_their_subdirectories(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");

	if (!(can & VFS_CAN_COUNT)) {
		CHECK(vfs_attributes_of(fs, d).links >= 1);
		return;
	}
	CHECK_INT(vfs_attributes_of(fs, d).links, 2);
	vfs_make_directory(fs, d, "a");
	vfs_make_directory(fs, d, "b");
	vfs_make_file(fs, d, "c");
	CHECK_INT(vfs_attributes_of(fs, d).links, 4);
	CHECK_INT(vfs_find(fs, VFS_ROOT, "d").links, 4);
	CHECK_CALL(vfs_rmdir(fs, d, "a"));
	CHECK_INT(vfs_attributes_of(fs, d).links, 3);
}

void promise_a_removed_directory_takes_no_names(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d"), f = vfs_make_file(fs, VFS_ROOT, "f");
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	vfs_handle handle;

	(void)can;
	CHECK_CALL(vfs_rmdir(fs, VFS_ROOT, "d"));
	CHECK_INT(vfs_attributes_of(fs, d).links, 0);
	CHECK_ERRNO(vfs_look(fs, d, "x"), ENOENT);
	CHECK_ERRNO(vfs_create(fs, &me, d, "x", 0644, VFS_WRITE, &a, &handle), ENOENT);
	CHECK_ERRNO(vfs_mkdir(fs, &me, d, "x", 0755, &a), ENOENT);
	CHECK_ERRNO(vfs_symlink(fs, &me, d, "x", "y", &a), ENOENT);
	CHECK_ERRNO(vfs_link(fs, f, d, "x", &a), ENOENT);
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "f", d, "x", 0), ENOENT);
	CHECK_CALL(vfs_look(fs, VFS_ROOT, "f"));
}

void promise_an_unlinked_file_lives_while_it_is_open(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "still ");
	vfs_handle handle = vfs_opened(fs, file, VFS_READ | VFS_WRITE);
	struct vfs_attributes a;
	char bytes[16] = {0};

	(void)can;
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, "f"));
	CHECK_CALL(vfs_getattr(fs, file, handle, &a));
	CHECK_INT(a.links, 0);
	CHECK_INT(vfs_write(fs, file, handle, "here", 4, 6), 4);
	CHECK_INT(vfs_read(fs, file, handle, bytes, sizeof bytes, 0), 10);
	CHECK_TEXT(bytes, "still here");
	a.size = 5;
	CHECK_CALL(vfs_setattr(fs, &(struct vfs_caller){0}, file, handle, &a, VFS_SET_SIZE, &a));
	CHECK_INT(a.size, 5);
	CHECK_ERRNO(vfs_look(fs, VFS_ROOT, "f"), ENOENT);
	CHECK(vfs_make_file(fs, VFS_ROOT, "f") != file);
	vfs_release(fs, file, handle);
}

void promise_an_unlinked_file_lives_while_it_is_looked_up(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "text");
	struct vfs_attributes a;

	(void)can;
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, "f"));
	CHECK_INT(vfs_attributes_of(fs, file).links, 0);
	vfs_forget(fs, file, 1);
	CHECK_ERRNO(vfs_getattr(fs, file, VFS_NO_HANDLE, &a), ESTALE);
}

void promise_symbolic_links_hold_up_to_4095_bytes(struct vfs *fs, unsigned can)
{
	char target[VFS_PATH_MAX + 2], there[VFS_PATH_MAX + 1];
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;

	(void)can;
	memset(target, '/', sizeof target - 1);
	target[sizeof target - 1] = 0;
	CHECK_ERRNO(vfs_symlink(fs, &me, VFS_ROOT, "s", target, &a), ENAMETOOLONG);
	CHECK_ERRNO(vfs_symlink(fs, &me, VFS_ROOT, "s", "", &a), ENOENT);
	target[VFS_PATH_MAX] = 0;
	CHECK_CALL(vfs_symlink(fs, &me, VFS_ROOT, "s", target, &a));
	CHECK_INT(a.mode & S_IFMT, S_IFLNK);
	CHECK_INT(a.size, VFS_PATH_MAX);
	CHECK_CALL(vfs_readlink(fs, a.ino, there));
	CHECK_TEXT(there, target);
	CHECK_CALL(vfs_symlink(fs, &me, VFS_ROOT, "t", "../\xff x\n", &a));
	CHECK_CALL(vfs_readlink(fs, a.ino, there));
	CHECK_TEXT(there, "../\xff x\n");
	CHECK_ERRNO(vfs_readlink(fs, vfs_make_file(fs, VFS_ROOT, "f"), there), EINVAL);
	CHECK_ERRNO(vfs_readlink(fs, VFS_ROOT, there), EINVAL);
}

void promise_symbolic_links_are_not_followed(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d"), f = vfs_make_text(fs, d, "f", "text");
	struct vfs_caller me = vfs_me();
	struct vfs_attributes link, other, a = {.size = 0, .mode = 0600};

	(void)can;
	CHECK_CALL(vfs_symlink(fs, &me, VFS_ROOT, "s", "d", &link));
	CHECK_CALL(vfs_symlink(fs, &me, VFS_ROOT, "t", "d/f", &other));
	CHECK_INT(vfs_find(fs, VFS_ROOT, "s").ino, link.ino);
	CHECK_ERRNO(vfs_look(fs, link.ino, "f"), ENOTDIR);
	CHECK(vfs_setattr(fs, &me, other.ino, VFS_NO_HANDLE, &a, VFS_SET_SIZE, &a) < 0);
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, "s"));
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, "t"));
	CHECK_INT(vfs_find(fs, d, "f").ino, f);
	vfs_check_text(fs, f, "text");
}

static void check_node(struct vfs *fs, const char *name, uint32_t mode, uint32_t major, uint32_t minor)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes made, found;

	CHECK_CALL(vfs_mknod(fs, &me, VFS_ROOT, name, mode, major, minor, &made));
	found = vfs_find(fs, VFS_ROOT, name);
	CHECK_INT(found.mode, mode);
	CHECK_INT(found.ino, made.ino);
	if (S_ISCHR(mode) || S_ISBLK(mode)) {
		CHECK_INT(found.major, major);
		CHECK_INT(found.minor, minor);
	}
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, name));
}

void promise_fifos_sockets_and_devices_are_nodes(struct vfs *fs, unsigned can)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;

	check_node(fs, "fifo", S_IFIFO | 0640, 0, 0);
	check_node(fs, "socket", S_IFSOCK | 0700, 0, 0);
	CHECK_ERRNO(vfs_mknod(fs, &me, VFS_ROOT, "d", S_IFDIR | 0755, 0, 0, &a), EINVAL);
	CHECK_ERRNO(vfs_mknod(fs, &me, VFS_ROOT, "l", S_IFLNK | 0755, 0, 0, &a), EINVAL);
	CHECK_ERRNO(vfs_mknod(fs, &me, VFS_ROOT, "n", 0755, 0, 0, &a), EINVAL);
	if (!(can & VFS_CAN_DEVICES))
		return;
	check_node(fs, "c", S_IFCHR | 0600, 1, 3);
	check_node(fs, "b", S_IFBLK | 0600, 4095, 1048575);
}
