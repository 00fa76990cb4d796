/* SPDX-License-Identifier: Apache-2.0 */
/* What file systems promise of the numbers and handles that they give out, and of those that they have not.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "vfs_make.h"
#include "vfs_promises.h"

static int take_none(void *context, const struct vfs_entry *e)
{
	(void)context;
	(void)e;
	return 1;
}

static void check_stale_names(struct vfs *fs, uint64_t ino)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	vfs_handle handle;

	CHECK_ERRNO(vfs_lookup(fs, ino, "x", &a), ESTALE);
	CHECK_ERRNO(vfs_mknod(fs, &me, ino, "x", S_IFREG | 0644, 0, 0, &a), ESTALE);
	CHECK_ERRNO(vfs_mkdir(fs, &me, ino, "x", 0755, &a), ESTALE);
	CHECK_ERRNO(vfs_symlink(fs, &me, ino, "x", "y", &a), ESTALE);
	CHECK_ERRNO(vfs_link(fs, ino, VFS_ROOT, "x", &a), ESTALE);
	CHECK_ERRNO(vfs_link(fs, vfs_find(fs, VFS_ROOT, "f").ino, ino, "x", &a), ESTALE);
	CHECK_ERRNO(vfs_unlink(fs, ino, "x"), ESTALE);
	CHECK_ERRNO(vfs_rmdir(fs, ino, "x"), ESTALE);
	CHECK_ERRNO(vfs_rename(fs, ino, "x", VFS_ROOT, "y", 0), ESTALE);
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "f", ino, "y", 0), ESTALE);
	CHECK_ERRNO(vfs_create(fs, &me, ino, "x", 0644, VFS_WRITE, &a, &handle), ESTALE);
	CHECK_ERRNO(vfs_opendir(fs, ino, &handle), ESTALE);
	CHECK_ERRNO(vfs_readdir(fs, ino, VFS_NO_HANDLE, 0, true, take_none, NULL), ESTALE);
}

static void check_stale(struct vfs *fs, uint64_t ino, unsigned can)
{
	uint8_t bytes[VFS_PERSISTENT_MAX];
	struct vfs_attributes a = {.mode = 0644};
	char target[VFS_PATH_MAX + 1];
	struct vfs_caller me = vfs_me();
	vfs_handle handle;
	size_t size;

	check_stale_names(fs, ino);
	CHECK_ERRNO(vfs_getattr(fs, ino, VFS_NO_HANDLE, &a), ESTALE);
	CHECK_ERRNO(vfs_setattr(fs, &me, ino, VFS_NO_HANDLE, &a, VFS_SET_MODE, &a), ESTALE);
	CHECK_ERRNO(vfs_readlink(fs, ino, target), ESTALE);
	CHECK_ERRNO(vfs_open(fs, ino, VFS_READ, &handle), ESTALE);
	CHECK(handle == VFS_NO_HANDLE);
	CHECK_ERRNO(vfs_read(fs, ino, VFS_NO_HANDLE, target, 10, 0), ESTALE);
	CHECK_ERRNO(vfs_write(fs, ino, VFS_NO_HANDLE, target, 10, 0), ESTALE);
	CHECK_ERRNO(vfs_fsync(fs, ino, VFS_NO_HANDLE, false), ESTALE);
	CHECK_ERRNO(vfs_fsyncdir(fs, ino), ESTALE);
	CHECK(vfs_allocate(fs, ino, VFS_NO_HANDLE, 0, 0, 10) < 0);
	CHECK(vfs_seek(fs, ino, VFS_NO_HANDLE, 0, VFS_SEEK_DATA) < 0);
	if (can & VFS_CAN_XATTRS) {
		CHECK_ERRNO(vfs_getxattr(fs, ino, "user.a", target, 10), ESTALE);
		CHECK_ERRNO(vfs_setxattr(fs, ino, "user.a", "x", 1, 0), ESTALE);
		CHECK_ERRNO(vfs_listxattr(fs, ino, target, 10), ESTALE);
		CHECK_ERRNO(vfs_removexattr(fs, ino, "user.a"), ESTALE);
	}
	if (can & VFS_CAN_PERSIST)
		CHECK_ERRNO(vfs_persist(fs, ino, bytes, &size), ESTALE);
	vfs_forget(fs, ino, 1);
	vfs_forget(fs, ino, UINT64_MAX);
}

void promise_numbers_never_given_out_are_stale(struct vfs *fs, unsigned can)
{
	static const uint64_t numbers[] = {0, 1ull << 31, 1ull << 32, 987654321, INT64_MAX, UINT64_MAX};
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f"), gone = vfs_make_file(fs, VFS_ROOT, "gone");

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (numbers[i] != file && numbers[i] != gone)
			check_stale(fs, numbers[i], can);
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, "gone"));
	vfs_forget(fs, gone, 1);
	check_stale(fs, gone, can);
	CHECK_INT(vfs_find(fs, VFS_ROOT, "f").ino, file);
	CHECK_ERRNO(vfs_look(fs, VFS_ROOT, "x"), ENOENT);
	CHECK_ERRNO(vfs_look(fs, VFS_ROOT, "y"), ENOENT);
}

static void check_refused(struct vfs *fs, uint64_t ino, uint64_t directory, vfs_handle handle)
{
	struct vfs_attributes a = {.size = 1};
	struct vfs_caller me = vfs_me();
	char bytes[8];

	CHECK_ERRNO(vfs_read(fs, ino, handle, bytes, sizeof bytes, 0), EBADF);
	CHECK_ERRNO(vfs_write(fs, ino, handle, "x", 1, 0), EBADF);
	CHECK_ERRNO(vfs_fsync(fs, ino, handle, false), EBADF);
	CHECK_ERRNO(vfs_allocate(fs, ino, handle, 0, 0, 10), EBADF);
	CHECK_ERRNO(vfs_seek(fs, ino, handle, 0, VFS_SEEK_HOLE), EBADF);
	CHECK_ERRNO(vfs_setattr(fs, &me, ino, handle, &a, VFS_SET_SIZE, &a), EBADF);
	CHECK_ERRNO(vfs_readdir(fs, directory, handle, 0, false, take_none, NULL), EBADF);
	vfs_release(fs, ino, handle);
	vfs_releasedir(fs, directory, handle);
}

void promise_handles_never_given_out_are_refused(struct vfs *fs, unsigned can)
{
	static const vfs_handle handles[] = {4711, 1ull << 32, INT64_MAX, UINT64_MAX - 1};
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "text"), other = vfs_make_file(fs, VFS_ROOT, "g");
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");
	vfs_handle closed = vfs_opened(fs, file, VFS_READ | VFS_WRITE), handle, listing;

	(void)can;
	vfs_release(fs, file, closed);
	check_refused(fs, file, d, closed);
	for (size_t i = 0; i < sizeof handles / sizeof *handles; i++)
		check_refused(fs, file, d, handles[i]);
	/* Another object's, and of the other kind. */
	handle = vfs_opened(fs, other, VFS_READ | VFS_WRITE);
	check_refused(fs, file, d, handle);
	CHECK_CALL(vfs_opendir(fs, d, &listing));
	check_refused(fs, file, VFS_ROOT, listing);
	CHECK_INT(vfs_write(fs, other, handle, "x", 1, 0), 1);
	CHECK_CALL(vfs_readdir(fs, d, listing, 0, false, take_none, NULL));
	vfs_release(fs, other, handle);
	vfs_releasedir(fs, d, listing);
	vfs_check_text(fs, file, "text");
}

void promise_an_object_has_one_number(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d"), file = vfs_make_file(fs, VFS_ROOT, "f");
	struct vfs_attributes a;

	(void)can;
	CHECK_CALL(vfs_link(fs, file, d, "g", &a));
	for (int i = 0; i < 10; i++) {
		CHECK_CALL(vfs_lookup(fs, VFS_ROOT, "f", &a));
		CHECK_INT(a.ino, file);
		CHECK_CALL(vfs_lookup(fs, d, "g", &a));
		CHECK_INT(a.ino, file);
	}
	CHECK_CALL(vfs_rename(fs, d, "g", VFS_ROOT, "h", 0));
	CHECK_INT(vfs_find(fs, VFS_ROOT, "h").ino, file);
	vfs_forget(fs, file, 10);
	CHECK_INT(vfs_find(fs, VFS_ROOT, "f").ino, file);
	CHECK_CALL(vfs_getattr(fs, file, VFS_NO_HANDLE, &a));
	CHECK_INT(a.ino, file);
}

void promise_a_forgotten_object_is_found_again(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");
	struct vfs_attributes a;

	(void)can;
	vfs_forget(fs, vfs_make_text(fs, d, "f", "text"), 1);
	vfs_forget(fs, d, 1);
	CHECK_CALL(vfs_lookup(fs, VFS_ROOT, "d", &a));
	CHECK_CALL(vfs_lookup(fs, a.ino, "f", &a));
	vfs_check_text(fs, a.ino, "text");
}

void promise_forgetting_too_often_harms_nothing(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "text");
	vfs_handle handle = vfs_opened(fs, file, VFS_READ | VFS_WRITE);
	struct vfs_attributes a;
	char bytes[8] = {0};

	(void)can;
	vfs_forget(fs, file, 1000);
	vfs_forget(fs, file, UINT64_MAX);
	vfs_forget(fs, VFS_ROOT, UINT64_MAX);
	vfs_forget(fs, file, 0);
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, "f"));
	/* What is open is there, though nobody remembers it. */
	CHECK_INT(vfs_read(fs, file, handle, bytes, sizeof bytes, 0), 4);
	CHECK_TEXT(bytes, "text");
	vfs_release(fs, file, handle);
	CHECK_ERRNO(vfs_getattr(fs, file, VFS_NO_HANDLE, &a), ESTALE);
	CHECK_ERRNO(vfs_look(fs, VFS_ROOT, "f"), ENOENT);
	CHECK(vfs_attributes_of(fs, VFS_ROOT).links >= 1);
}

void promise_a_number_and_generation_stand_for_one_object(struct vfs *fs, unsigned can)
{
	struct vfs_attributes old[50], new;
	char name[16];

	(void)can;
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "%d", i);
		old[i] = vfs_attributes_of(fs, vfs_make_file(fs, VFS_ROOT, name));
	}
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "%d", i);
		CHECK_CALL(vfs_unlink(fs, VFS_ROOT, name));
		vfs_forget(fs, old[i].ino, 1);
	}
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "%d", i);
		new = vfs_attributes_of(fs, vfs_make_file(fs, VFS_ROOT, name));
		for (int j = 0; j < 50; j++)
			CHECK(new.ino != old[j].ino || new.generation != old[j].generation);
	}
}

/* ---- handles that last ------------------------------------------------------------------------------ */

struct persistent {
	uint8_t bytes[VFS_PERSISTENT_MAX];
	size_t size;
};

static struct persistent persist(struct vfs *fs, uint64_t ino)
{
	struct persistent p = {.size = 0};

	CHECK_CALL(vfs_persist(fs, ino, p.bytes, &p.size));
	CHECK(p.size > 0 && p.size <= VFS_PERSISTENT_MAX);
	return p;
}

static uint64_t resolve(struct vfs *fs, const struct persistent *p)
{
	struct vfs_attributes a;

	CHECK_CALL(vfs_resolve(fs, p->bytes, p->size, &a));
	return a.ino;
}

void promise_persistent_handles_lead_back(struct vfs *fs, unsigned can)
{
	struct vfs_caller me = vfs_me();
	struct persistent p, again;
	struct vfs_attributes a;
	uint64_t numbers[4];

	if (!(can & VFS_CAN_PERSIST))
		return;
	numbers[0] = VFS_ROOT;
	numbers[1] = vfs_make_directory(fs, VFS_ROOT, "d");
	numbers[2] = vfs_make_file(fs, numbers[1], "f");
	CHECK_CALL(vfs_symlink(fs, &me, numbers[1], "s", "f", &a));
	numbers[3] = a.ino;
	for (int i = 0; i < 4; i++) {
		p = persist(fs, numbers[i]);
		again = persist(fs, numbers[i]);
		CHECK_INT(p.size, again.size);
		CHECK(!memcmp(p.bytes, again.bytes, p.size));
		CHECK_INT(resolve(fs, &p), numbers[i]);
	}
	/* Resolving counts as a lookup. */
	p = persist(fs, numbers[2]);
	CHECK_CALL(vfs_unlink(fs, numbers[1], "f"));
	vfs_forget(fs, numbers[2], 1);
	CHECK_CALL(vfs_getattr(fs, numbers[2], VFS_NO_HANDLE, &a));
	vfs_forget(fs, numbers[2], 1);
	CHECK_ERRNO(vfs_getattr(fs, numbers[2], VFS_NO_HANDLE, &a), ESTALE);
}

void promise_persistent_handles_outlive_forgetting_and_renaming(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d"), e = vfs_make_directory(fs, VFS_ROOT, "e");
	uint64_t file = vfs_make_text(fs, d, "f", "text"), found;
	struct persistent p, q;

	if (!(can & VFS_CAN_PERSIST))
		return;
	p = persist(fs, file);
	q = persist(fs, d);
	vfs_forget(fs, file, 1);
	vfs_forget(fs, d, 1);
	found = resolve(fs, &p);
	vfs_check_text(fs, found, "text");
	vfs_forget(fs, found, 1);
	CHECK_CALL(vfs_rename(fs, VFS_ROOT, "d", e, "moved", 0));
	found = resolve(fs, &q);
	CHECK_INT(vfs_find(fs, e, "moved").ino, found);
	CHECK_CALL(vfs_look(fs, found, "f"));
	CHECK_CALL(vfs_rename(fs, found, "f", VFS_ROOT, "g", 0));
	found = resolve(fs, &p);
	CHECK_INT(vfs_find(fs, VFS_ROOT, "g").ino, found);
	vfs_check_text(fs, found, "text");
}

void promise_persistent_handles_of_what_is_gone_are_stale(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f"), d = vfs_make_directory(fs, VFS_ROOT, "d");
	struct persistent p, q;
	struct vfs_attributes a;
	char name[16];

	if (!(can & VFS_CAN_PERSIST))
		return;
	p = persist(fs, file);
	q = persist(fs, d);
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, "f"));
	CHECK_CALL(vfs_rmdir(fs, VFS_ROOT, "d"));
	vfs_forget(fs, file, 1);
	vfs_forget(fs, d, 1);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "%d", i);
		vfs_make_file(fs, VFS_ROOT, name);
	}
	vfs_make_file(fs, VFS_ROOT, "f");
	CHECK_ERRNO(vfs_resolve(fs, p.bytes, p.size, &a), ESTALE);
	CHECK_ERRNO(vfs_resolve(fs, q.bytes, q.size, &a), ESTALE);
}

void promise_persistent_handles_may_be_garbage(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	uint8_t bytes[VFS_PERSISTENT_MAX + 1];
	struct vfs_attributes a;
	struct persistent p;
	uint32_t seed = 1;

	if (!(can & VFS_CAN_PERSIST))
		return;
	p = persist(fs, file);
	for (size_t size = 0; size <= VFS_PERSISTENT_MAX + 1; size++) {
		for (int fill = 0; fill < 3; fill++) {
			for (size_t i = 0; i < sizeof bytes; i++) {
				seed = seed * 1103515245u + 12345;
				bytes[i] = fill == 2 ? (uint8_t)(seed >> 16) : (uint8_t)-fill;
			}
			CHECK_ERRNO(vfs_resolve(fs, bytes, size, &a), ESTALE);
		}
		if (size < p.size)
			CHECK_ERRNO(vfs_resolve(fs, p.bytes, size, &a), ESTALE);
	}
	/* Each bit that is wrong leads to nothing, or at most to an object that is there. */
	for (size_t bit = 0; bit < p.size * 8; bit++) {
		struct persistent wrong = p;

		wrong.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (vfs_resolve(fs, wrong.bytes, wrong.size, &a) == 0)
			CHECK(a.ino == VFS_ROOT || a.ino == file);
	}
}
