/* SPDX-License-Identifier: Apache-2.0 */
/* What file systems promise of listings. */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "vfs_make.h"
#include "vfs_promises.h"

#define MANY  10000
#define FEWER 4000 /* under sanitizers, and as root once more */

void promise_a_directory_lists_what_is_in_it(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d"), e = vfs_make_directory(fs, d, "e");
	_cleanup_listing_ struct vfs_listing listing = {0}, empty = {0}, root = {0};
	const struct vfs_listed *entry;

	(void)can;
	vfs_make_file(fs, d, "f");
	CHECK_INT(vfs_list(fs, d, VFS_NO_HANDLE, 0, false, 0, &listing), 4);
	CHECK_TEXT(listing.entries[0].name, ".");
	CHECK_TEXT(listing.entries[1].name, "..");
	CHECK_INT(listing.entries[0].ino, d);
	CHECK_INT(listing.entries[1].ino, VFS_ROOT);
	CHECK_INT(vfs_listed(&listing, "e", &entry), 1);
	CHECK_INT(entry->ino, e);
	CHECK_INT(vfs_listed(&listing, "f", NULL), 1);
	CHECK_INT(vfs_list(fs, e, VFS_NO_HANDLE, 0, false, 0, &empty), 2);
	CHECK_INT(vfs_list(fs, VFS_ROOT, VFS_NO_HANDLE, 0, false, 0, &root), 3);
	CHECK_INT(root.entries[0].ino, VFS_ROOT);
}

void promise_entries_have_the_type_and_number_of_their_object(struct vfs *fs, unsigned can)
{
	_cleanup_listing_ struct vfs_listing listing = {0};
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;

	(void)can;
	vfs_make_file(fs, VFS_ROOT, "f");
	vfs_make_directory(fs, VFS_ROOT, "d");
	CHECK_CALL(vfs_symlink(fs, &me, VFS_ROOT, "s", "x", &a));
	CHECK_CALL(vfs_mknod(fs, &me, VFS_ROOT, "p", S_IFIFO | 0644, 0, 0, &a));
	CHECK_CALL(vfs_mknod(fs, &me, VFS_ROOT, "k", S_IFSOCK | 0644, 0, 0, &a));
	CHECK_INT(vfs_list(fs, VFS_ROOT, VFS_NO_HANDLE, 0, false, 0, &listing), 7);
	for (size_t i = 0; i < listing.count; i++) {
		const struct vfs_listed *e = &listing.entries[i];

		CHECK(!e->attributes);
		if (i < 2) {
			CHECK_INT(e->type, S_IFDIR);
			continue;
		}
		a = vfs_find(fs, VFS_ROOT, e->name);
		CHECK_INT(e->type, a.mode & S_IFMT);
		CHECK_INT(e->ino, a.ino);
	}
}

void promise_a_listing_goes_on_behind_any_entry(struct vfs *fs, unsigned can)
{
	_cleanup_listing_ struct vfs_listing whole = {0}, steps = {0};
	vfs_handle handle;
	char name[16];

	(void)can;
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "%d", i);
		vfs_make_file(fs, VFS_ROOT, name);
	}
	CHECK_CALL(vfs_opendir(fs, VFS_ROOT, &handle));
	CHECK(handle != VFS_NO_HANDLE);
	CHECK_INT(vfs_list(fs, VFS_ROOT, handle, 0, false, 0, &whole), 102);
	while (vfs_list(fs, VFS_ROOT, handle, steps.count ? steps.entries[steps.count - 1].cookie : 0, false,
		1 + steps.count % 7, &steps))
		;
	CHECK_INT(steps.count, whole.count);
	for (size_t i = 0; i < whole.count; i++) {
		_cleanup_listing_ struct vfs_listing rest = {0};

		CHECK_TEXT(steps.entries[i].name, whole.entries[i].name);
		CHECK_INT(steps.entries[i].cookie, whole.entries[i].cookie);
		CHECK_INT(vfs_list(fs, VFS_ROOT, handle, whole.entries[i].cookie, false, 0, &rest),
			whole.count - 1 - i);
		if (rest.count)
			CHECK_TEXT(rest.entries[0].name, whole.entries[i + 1].name);
	}
	vfs_releasedir(fs, VFS_ROOT, handle);
}

void promise_cookies_outlive_their_handle(struct vfs *fs, unsigned can)
{
	_cleanup_listing_ struct vfs_listing listing = {0};
	vfs_handle handle;
	char name[16];

	(void)can;
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "%d", i);
		vfs_make_file(fs, VFS_ROOT, name);
	}
	for (int i = 0; i < 52; i++) {
		CHECK_CALL(vfs_opendir(fs, VFS_ROOT, &handle));
		CHECK_INT(vfs_list(fs, VFS_ROOT, i % 2 ? handle : VFS_NO_HANDLE,
				  i ? listing.entries[i - 1].cookie : 0, false, 1, &listing),
			1);
		vfs_releasedir(fs, VFS_ROOT, handle);
	}
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "%d", i);
		CHECK_INT(vfs_listed(&listing, name, NULL), 1);
	}
}

void promise_a_second_listing_shows_what_changed(struct vfs *fs, unsigned can)
{
	_cleanup_listing_ struct vfs_listing before = {0}, after = {0}, other = {0};
	vfs_handle handle;

	(void)can;
	vfs_make_file(fs, VFS_ROOT, "old");
	CHECK_CALL(vfs_opendir(fs, VFS_ROOT, &handle));
	CHECK_INT(vfs_list(fs, VFS_ROOT, handle, 0, false, 0, &before), 3);
	vfs_make_file(fs, VFS_ROOT, "new");
	vfs_make_file(fs, VFS_ROOT, "newer");
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, "old"));
	CHECK_INT(vfs_list(fs, VFS_ROOT, handle, 0, false, 0, &after), 4);
	CHECK_INT(vfs_listed(&after, "old", NULL), 0);
	CHECK_INT(vfs_listed(&after, "new", NULL), 1);
	CHECK_INT(vfs_listed(&after, "newer", NULL), 1);
	vfs_releasedir(fs, VFS_ROOT, handle);
	CHECK_CALL(vfs_opendir(fs, VFS_ROOT, &handle));
	CHECK_INT(vfs_list(fs, VFS_ROOT, handle, 0, false, 0, &other), 4);
	vfs_releasedir(fs, VFS_ROOT, handle);
}

/* Between two steps of the walk, others are made, removed and renamed. */
static void disturb(struct vfs *fs, uint64_t d, unsigned step)
{
	char name[32], other[32];
	uint64_t ino;

	for (unsigned i = 0; i < 4; i++) {
		snprintf(name, sizeof name, "made-%u-%u", step, i);
		ino = vfs_make_file(fs, d, name);
		vfs_forget(fs, ino, 1);
		if (i % 2)
			CHECK_CALL(vfs_unlink(fs, d, name));
	}
	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "goes-%u", step * 20 + i);
		snprintf(other, sizeof other, "went-%u", step * 20 + i);
		if (i % 2 && vfs_look(fs, d, name) == 0)
			CHECK_CALL(vfs_unlink(fs, d, name));
		else if (vfs_look(fs, d, name) == 0)
			CHECK_CALL(vfs_rename(fs, d, name, d, other, 0));
	}
}

void promise_an_entry_that_stays_comes_once_whatever_else_happens(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");
	const unsigned many = getenv("MC_FEWER") ? FEWER : MANY;
	_cleanup_free_ uint8_t *seen = calloc(1, many);
	_cleanup_listing_ struct vfs_listing listing = {0};
	vfs_handle handle;
	unsigned number;
	char name[32];

	(void)can;
	for (unsigned i = 0; i < many; i++) {
		snprintf(name, sizeof name, i % 4 == 3 ? "goes-%u" : "stays-%u", i % 4 == 3 ? i / 4 : i);
		vfs_forget(fs, vfs_make_file(fs, d, name), 1);
	}
	CHECK_CALL(vfs_opendir(fs, d, &handle));
	for (unsigned step = 0; vfs_list(fs, d, handle,
		     listing.count ? listing.entries[listing.count - 1].cookie : 0, false, 100, &listing);
		step++) {
		disturb(fs, d, step);
		CHECK(step < many);
	}
	vfs_releasedir(fs, d, handle);
	for (size_t i = 0; i < listing.count; i++)
		if (sscanf(listing.entries[i].name, "stays-%u", &number) == 1) {
			CHECK(number < many);
			CHECK_INT(seen[number]++, 0);
		}
	for (unsigned i = 0; i < many; i++)
		CHECK_INT(seen[i], i % 4 != 3);
	CHECK_INT(vfs_listed(&listing, ".", NULL), 1);
	CHECK_INT(vfs_listed(&listing, "..", NULL), 1);
}

void promise_an_entry_that_is_renamed_over_comes_once(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");
	_cleanup_listing_ struct vfs_listing listing = {0};
	vfs_handle handle;
	char name[16];

	(void)can;
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "%d", i);
		vfs_make_file(fs, d, name);
	}
	/* Whatever the order: after half of them, the others are replaced by those that came. */
	CHECK_CALL(vfs_opendir(fs, d, &handle));
	CHECK_INT(vfs_list(fs, d, handle, 0, false, 22, &listing), 22);
	for (int i = 0, from = 2; i < 40; i++) {
		snprintf(name, sizeof name, "%d", i);
		if (!vfs_listed(&listing, name, NULL))
			CHECK_CALL(vfs_rename(fs, d, listing.entries[from++].name, d, name, 0));
	}
	vfs_list(fs, d, handle, listing.entries[21].cookie, false, 0, &listing);
	vfs_releasedir(fs, d, handle);
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "%d", i);
		CHECK_INT(vfs_listed(&listing, name, NULL), 1);
	}
}

void promise_a_listing_ends_though_every_entry_is_renamed(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d"), e = vfs_make_directory(fs, VFS_ROOT, "e");
	_cleanup_listing_ struct vfs_listing listing = {0};
	vfs_handle handle;
	char name[16];

	(void)can;
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "%d", i);
		vfs_make_file(fs, d, name);
	}
	CHECK_CALL(vfs_opendir(fs, d, &handle));
	while (vfs_list(fs, d, handle, listing.count ? listing.entries[listing.count - 1].cookie : 0, false,
		1, &listing)) {
		const char *came = listing.entries[listing.count - 1].name;

		CHECK(listing.count < 10000);
		if (came[0] == '.')
			continue;
		snprintf(name, sizeof name, "%zu", 1000 + listing.count);
		CHECK_CALL(vfs_rename(fs, d, came, d, name, 0));
		CHECK_CALL(vfs_rename(fs, d, name, e, name, 0));
		CHECK_CALL(vfs_rename(fs, e, name, d, name, 0));
	}
	vfs_releasedir(fs, d, handle);
}

/* Whether it still lists what it had when it was opened is left open, as POSIX does. */
static int refuse(void *context, const struct vfs_entry *e)
{
	(void)context;
	(void)e;
	return 1;
}

void promise_a_directory_that_is_removed_while_it_is_listed_is_no_error(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");
	_cleanup_listing_ struct vfs_listing listing = {0};
	vfs_handle handle;
	int r;

	(void)can;
	vfs_make_file(fs, d, "one");
	vfs_make_file(fs, d, "two");
	CHECK_CALL(vfs_opendir(fs, d, &handle));
	CHECK_INT(vfs_list(fs, d, handle, 0, false, 0, &listing), 4);
	CHECK_CALL(vfs_unlink(fs, d, "one"));
	CHECK_CALL(vfs_unlink(fs, d, "two"));
	CHECK_CALL(vfs_rmdir(fs, VFS_ROOT, "d"));
	for (size_t i = 0; i < listing.count; i++) {
		if (listing.entries[i].name[0] == '.')
			continue;
		r = vfs_readdir(fs, d, handle, listing.entries[i].cookie, false, refuse, NULL);
		CHECK(r == 0 || r == -ENOENT || r == -ESTALE);
	}
	vfs_releasedir(fs, d, handle);
}

void promise_entries_with_attributes_are_looked_up(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");
	_cleanup_listing_ struct vfs_listing listing = {0};
	struct vfs_attributes a;
	char name[16];

	(void)can;
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof name, "%d", i);
		vfs_forget(fs, vfs_make_text(fs, d, name, name), 1);
	}
	CHECK_INT(vfs_list(fs, d, VFS_NO_HANDLE, 0, true, 0, &listing), 12);
	for (size_t i = 0; i < listing.count; i++) {
		const struct vfs_listed *e = &listing.entries[i];

		CHECK_INT(e->attributes, i >= 2);
		if (i < 2)
			continue;
		CHECK_INT(e->values.ino, e->ino);
		CHECK_INT(e->values.mode, S_IFREG | 0644);
		CHECK_INT(e->values.size, 1);
		CHECK_CALL(vfs_unlink(fs, d, e->name));
		/* Looked up: it is still there. */
		CHECK_CALL(vfs_getattr(fs, e->ino, VFS_NO_HANDLE, &a));
		CHECK_INT(a.links, 0);
		vfs_forget(fs, e->ino, 1);
		CHECK_ERRNO(vfs_getattr(fs, e->ino, VFS_NO_HANDLE, &a), ESTALE);
	}
}

struct refusing {
	uint64_t refused;
	unsigned taken, most;
};

static int take_some(void *context, const struct vfs_entry *e)
{
	struct refusing *r = context;

	if (r->taken == r->most) {
		r->refused = e->ino;
		return 1;
	}
	r->taken++;
	return 0;
}

void promise_an_entry_that_is_not_taken_is_not_looked_up(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");
	_cleanup_listing_ struct vfs_listing listing = {0};
	struct refusing refusing = {.most = 5};
	struct vfs_attributes a;
	char name[16];

	(void)can;
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof name, "%d", i);
		vfs_forget(fs, vfs_make_file(fs, d, name), 1);
	}
	CHECK_CALL(vfs_readdir(fs, d, VFS_NO_HANDLE, 0, true, take_some, &refusing));
	CHECK_INT(refusing.taken, 5);
	vfs_list(fs, d, VFS_NO_HANDLE, 0, false, 0, &listing);
	CHECK_INT(refusing.refused, listing.entries[5].ino);
	for (size_t i = 2; i < listing.count; i++)
		CHECK_CALL(vfs_unlink(fs, d, listing.entries[i].name));
	/* "." and "..", and three that were looked up; the sixth was not. */
	for (size_t i = 2; i < 5; i++)
		CHECK_CALL(vfs_getattr(fs, listing.entries[i].ino, VFS_NO_HANDLE, &a));
	CHECK_ERRNO(vfs_getattr(fs, refusing.refused, VFS_NO_HANDLE, &a), ESTALE);
}

void promise_a_file_is_not_listed(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	struct refusing refusing = {0};
	vfs_handle handle;

	(void)can;
	CHECK_ERRNO(vfs_opendir(fs, file, &handle), ENOTDIR);
	CHECK(handle == VFS_NO_HANDLE);
	CHECK_ERRNO(vfs_readdir(fs, file, VFS_NO_HANDLE, 0, false, take_some, &refusing), ENOTDIR);
}
