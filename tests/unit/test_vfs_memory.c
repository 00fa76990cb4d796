/* SPDX-License-Identifier: Apache-2.0 */
/* The file system in memory: what all file systems promise, and its own limits. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/fs.h"
#include "vfs/memory/entries.h"
#include "vfs/memory/memory.h"
#include "vfs/memory/node.h"
#include "vfs/memory/pages.h"
#include "vfs_exercise.h"
#include "vfs_make.h"
#include "vfs_promises.h"

#define CAN \
	(VFS_CAN_OWNERS | VFS_CAN_DEVICES | VFS_CAN_XATTRS | VFS_CAN_TRUSTED | VFS_CAN_LARGE_XATTRS | \
		VFS_CAN_HOLES | VFS_CAN_BTIME | VFS_CAN_PERSIST | VFS_CAN_EXCHANGE | VFS_CAN_COUNT | \
		VFS_CAN_HUGE)

static struct vfs *make(const struct memory_options *options)
{
	struct vfs *fs = NULL;
	struct error err;

	CHECK_OK(memory_new(options, &fs, &err));
	return fs;
}

static void run(vfs_promise *promise)
{
	_cleanup_vfs_ struct vfs *fs = make(NULL);

	promise(fs, CAN);
}

#define X(name) \
	TEST(name) \
	{ \
		run(promise_##name); \
	}
VFS_PROMISES(X)
#undef X

TEST(a_crowd_leaves_nothing_behind)
{
	_cleanup_vfs_ struct vfs *fs = make(NULL);
	uint64_t used = memory_of(fs)->budget.used;

	promise_a_crowd_leaves_what_can_be_removed(fs, CAN);
	CHECK_INT(memory_of(fs)->budget.used, used);
	CHECK_INT(memory_of(fs)->inodes, 1);
}

TEST(a_directory_holds_two_hundred_thousand_names)
{
	_cleanup_vfs_ struct vfs *fs = make(NULL);
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	char name[32];

	for (int i = 0; i < 200000; i++) {
		snprintf(name, sizeof name, "name-%d", i);
		CHECK_CALL(vfs_mknod(fs, &me, VFS_ROOT, name, S_IFREG | 0644, 0, 0, &a));
		vfs_forget(fs, a.ino, 1);
	}
	for (int i = 0; i < 200000; i++) {
		snprintf(name, sizeof name, "name-%d", i);
		CHECK_INT(vfs_find(fs, VFS_ROOT, name).ino, i + 2);
		CHECK_CALL(vfs_unlink(fs, VFS_ROOT, name));
	}
}

/* ---- a real directory ------------------------------------------------------------------------------- */

TEST(any_sequence_of_calls_leaves_the_tree_that_a_real_directory_has)
{
	char path[] = "/tmp/vfs-memory-XXXXXX";
	struct error err;

	CHECK(mkdtemp(path) != NULL);
	for (uint32_t seed = 1; seed <= 4; seed++) {
		struct memory_options options = {.uid = geteuid(), .gid = getegid()};
		_cleanup_vfs_ struct vfs *fs = make(&options);
		_cleanup_fd_ int top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
		char name[16];

		snprintf(name, sizeof name, "%u", seed);
		CHECK_INT(mkdirat(top, name, 0755), 0);
		fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		vfs_exercise_tree(fs, fd, seed, 5000);
	}
	CHECK_OK(fs_remove_tree(AT_FDCWD, path, &err));
}

/* ---- limits ----------------------------------------------------------------------------------------- */

static uint64_t free_blocks(struct vfs *fs)
{
	struct vfs_statistics s;

	CHECK_CALL(vfs_statfs(fs, &s));
	return s.free;
}

TEST(a_write_takes_what_there_is_room_for_and_the_next_is_refused)
{
	struct memory_options options = {.bytes = 1 << 20};
	_cleanup_vfs_ struct vfs *fs = make(&options);
	_cleanup_free_ uint8_t *bytes = calloc(1, VFS_IO_MAX);
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	int64_t n = vfs_write(fs, file, VFS_NO_HANDLE, bytes, VFS_IO_MAX, 0);
	struct vfs_attributes a = {.size = 0};
	struct vfs_caller me = vfs_me();

	CHECK(n > VFS_IO_MAX / 2 && n < VFS_IO_MAX && n % MEMORY_PAGE == 0);
	CHECK_INT(vfs_attributes_of(fs, file).size, n);
	CHECK_INT(free_blocks(fs), 0);
	CHECK_ERRNO(vfs_write(fs, file, VFS_NO_HANDLE, bytes, 1, (uint64_t)n), ENOSPC);
	CHECK_INT(vfs_write(fs, file, VFS_NO_HANDLE, "x", 1, 5), 1);
	CHECK_CALL(vfs_setattr(fs, &me, file, VFS_NO_HANDLE, &a, VFS_SET_SIZE, &a));
	CHECK_INT(vfs_write(fs, file, VFS_NO_HANDLE, bytes, VFS_IO_MAX, 0), n);
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, "f"));
	CHECK_INT(free_blocks(fs), 0);
	vfs_forget(fs, file, 1);
	CHECK(free_blocks(fs) > (1 << 20) / MEMORY_PAGE - 3);
}

TEST(no_more_is_allocated_than_there_is)
{
	struct memory_options options = {.bytes = 1 << 20};
	_cleanup_vfs_ struct vfs *fs = make(&options);
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f"), before = free_blocks(fs);
	vfs_handle handle;

	CHECK_ERRNO(vfs_allocate(fs, file, VFS_NO_HANDLE, 0, 0, INT64_MAX), ENOSPC);
	CHECK_ERRNO(vfs_allocate(fs, file, VFS_NO_HANDLE, VFS_ZERO_RANGE, 0, 2 << 20), ENOSPC);
	CHECK_INT(free_blocks(fs), before);
	CHECK_INT(vfs_attributes_of(fs, file).size, 0);
	CHECK_CALL(vfs_allocate(fs, file, VFS_NO_HANDLE, VFS_PUNCH_HOLE | VFS_KEEP_SIZE, 0, INT64_MAX));
	CHECK_CALL(vfs_allocate(fs, file, VFS_NO_HANDLE, 0, INT64_MAX - 4096, 4096));
	CHECK_INT(vfs_attributes_of(fs, file).size, INT64_MAX);
	handle = vfs_opened(fs, file, VFS_WRITE | VFS_APPEND);
	CHECK_ERRNO(vfs_write(fs, file, handle, "x", 1, 0), EFBIG);
	vfs_release(fs, file, handle);
}

TEST(a_walk_without_a_handle_that_renames_what_comes_sees_each_once)
{
	_cleanup_vfs_ struct vfs *fs = make(NULL);
	_cleanup_listing_ struct vfs_listing listing = {0};
	char name[32];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "%d", i);
		vfs_make_file(fs, VFS_ROOT, name);
	}
	while (vfs_list(fs, VFS_ROOT, VFS_NO_HANDLE,
		listing.count ? listing.entries[listing.count - 1].cookie : 0, false, 1, &listing)) {
		CHECK(listing.count <= 102);
		snprintf(name, sizeof name, "renamed-%zu", listing.count);
		if (listing.count > 2)
			CHECK_CALL(vfs_rename(
				fs, VFS_ROOT, listing.entries[listing.count - 1].name, VFS_ROOT, name, 0));
	}
	CHECK_INT(listing.count, 102);
}

/* Names, attributes, targets and scattered bytes count, too: each kind alone comes to an end. */
static unsigned until_full(struct vfs *fs, uint64_t d, int kind)
{
	static char target[VFS_PATH_MAX + 1];
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	unsigned n = 0;
	char name[32];
	int64_t r = 0;

	memset(target, 't', VFS_PATH_MAX);
	for (; r >= 0; n++) {
		CHECK(n < 100000);
		snprintf(name, sizeof name, "user.%u", n);
		if (kind == 0)
			r = vfs_mkdir(fs, &me, d, name, 0755, &a);
		else if (kind == 1)
			r = vfs_symlink(fs, &me, d, name, target, &a);
		else if (kind == 2)
			r = vfs_link(fs, vfs_find(fs, VFS_ROOT, "f").ino, d, name, &a);
		else if (kind == 3)
			r = vfs_write(fs, vfs_find(fs, VFS_ROOT, "f").ino, VFS_NO_HANDLE, "x", 1,
				(uint64_t)n << 40);
		else
			r = vfs_setxattr(fs, d, name, target, 1000, 0);
		if (kind < 3 && r == 0)
			vfs_forget(fs, a.ino, 1);
	}
	CHECK_INT(r, -ENOSPC);
	return n;
}

TEST(all_that_takes_memory_counts)
{
	for (int kind = 0; kind < 5; kind++) {
		struct memory_options options = {.bytes = 1 << 20};
		_cleanup_vfs_ struct vfs *fs = make(&options);
		uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");

		vfs_make_file(fs, VFS_ROOT, "f");
		CHECK(until_full(fs, d, kind) > 50);
		/* What takes nothing goes on, also removing. */
		CHECK_CALL(vfs_look(fs, VFS_ROOT, "d"));
		CHECK_CALL(vfs_unlink(fs, VFS_ROOT, "f"));
	}
}

#define LONG_NAME \
	"a name of some two hundred bytes, which take room for as long as it is there, twice at that, and " \
	"of " \
	"which nothing may be left when the name is a short one again, as it was before all of this was " \
	"done"

TEST(room_that_was_given_back_is_all_there)
{
	struct memory_options options = {.bytes = 8 << 20};
	_cleanup_vfs_ struct vfs *fs = make(&options);
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d"), file = vfs_make_file(fs, d, "f");
	uint64_t before = free_blocks(fs), used = memory_of(fs)->budget.used;
	struct vfs_attributes a;
	char name[16];

	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 1000; i++) {
			snprintf(name, sizeof name, "%d", i);
			CHECK_CALL(vfs_link(fs, file, d, name, &a));
			vfs_forget(fs, file, 1);
		}
		for (int i = 0; i < 100; i++)
			vfs_put(fs, file, (uint64_t)i << 20, "text");
		CHECK_CALL(vfs_rename(fs, d, "f", d, LONG_NAME, 0));
		CHECK_CALL(vfs_rename(fs, d, LONG_NAME, d, "f", 0));
		CHECK(free_blocks(fs) < before - 100);
		CHECK_CALL(
			vfs_allocate(fs, file, VFS_NO_HANDLE, VFS_PUNCH_HOLE | VFS_KEEP_SIZE, 0, 1ull << 40));
		for (int i = 0; i < 1000; i++) {
			snprintf(name, sizeof name, "%d", i);
			CHECK_CALL(vfs_unlink(fs, d, name));
		}
		CHECK_INT(memory_of(fs)->budget.used, used);
	}
}

TEST(there_are_as_many_objects_as_the_limit_says)
{
	struct memory_options options = {.inodes = 10};
	_cleanup_vfs_ struct vfs *fs = make(&options);
	struct vfs_caller me = vfs_me();
	struct vfs_statistics s;
	struct vfs_attributes a;
	uint64_t last = 0;
	char name[16];

	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof name, "%d", i);
		last = vfs_make_file(fs, VFS_ROOT, name);
	}
	CHECK_CALL(vfs_statfs(fs, &s));
	CHECK_INT(s.files, 10);
	CHECK_INT(s.files_free, 0);
	CHECK_ERRNO(vfs_mkdir(fs, &me, VFS_ROOT, "x", 0755, &a), ENOSPC);
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, "8"));
	CHECK_ERRNO(vfs_mkdir(fs, &me, VFS_ROOT, "x", 0755, &a), ENOSPC);
	vfs_forget(fs, last, 1);
	CHECK_CALL(vfs_mkdir(fs, &me, VFS_ROOT, "x", 0755, &a));
}

TEST(there_are_as_many_handles_as_the_limit_says)
{
	struct memory_options options = {.handles = 40};
	_cleanup_vfs_ struct vfs *fs = make(&options);
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	vfs_handle handles[40], more;

	for (int i = 0; i < 40; i++)
		handles[i] = vfs_opened(fs, file, VFS_READ);
	CHECK_ERRNO(vfs_open(fs, file, VFS_READ, &more), ENFILE);
	CHECK_ERRNO(vfs_opendir(fs, VFS_ROOT, &more), ENFILE);
	CHECK_ERRNO(vfs_create(fs, &me, VFS_ROOT, "g", 0644, VFS_WRITE, &a, &more), ENFILE);
	CHECK_ERRNO(vfs_look(fs, VFS_ROOT, "g"), ENOENT);
	vfs_release(fs, file, handles[7]);
	CHECK_CALL(vfs_opendir(fs, VFS_ROOT, &more));
	CHECK(more != handles[7]);
	vfs_releasedir(fs, VFS_ROOT, more);
	for (int i = 0; i < 40; i++)
		vfs_release(fs, file, handles[i]);
}

TEST(a_closed_handle_is_not_the_next_one)
{
	_cleanup_vfs_ struct vfs *fs = make(NULL);
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	vfs_handle closed[100], open;

	for (int i = 0; i < 100; i++) {
		closed[i] = vfs_opened(fs, file, VFS_WRITE);
		vfs_release(fs, file, closed[i]);
	}
	open = vfs_opened(fs, file, VFS_WRITE);
	for (int i = 0; i < 100; i++) {
		CHECK_ERRNO(vfs_write(fs, file, closed[i], "x", 1, 0), EBADF);
		vfs_release(fs, file, closed[i]);
	}
	CHECK_INT(vfs_write(fs, file, open, "x", 1, 0), 1);
	vfs_release(fs, file, open);
}

TEST(xattrs_of_an_object_are_bounded)
{
	_cleanup_vfs_ struct vfs *fs = make(NULL);
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	_cleanup_free_ char *value = calloc(1, VFS_XATTR_VALUE_MAX), *names = malloc(65536);
	char name[VFS_XATTR_NAME_MAX + 1];
	int r = 0, n;

	for (n = 0; r == 0 && n < 1000; n++) {
		snprintf(name, sizeof name, "user.%0250d", n);
		r = vfs_setxattr(fs, file, name, "", 0, 0);
	}
	CHECK_INT(r, -ENOSPC);
	CHECK_INT(n, 257);
	CHECK_INT(vfs_listxattr(fs, file, names, 65536), 65536);
	file = vfs_make_file(fs, VFS_ROOT, "g");
	for (n = 0, r = 0; r == 0 && n < 1000; n++) {
		snprintf(name, sizeof name, "user.%d", n);
		r = vfs_setxattr(fs, file, name, value, VFS_XATTR_VALUE_MAX, 0);
	}
	CHECK_INT(r, -ENOSPC);
	CHECK_INT(n, 16);
	CHECK_CALL(vfs_setxattr(fs, file, "user.0", value, 0, VFS_XATTR_REPLACE));
	CHECK_CALL(vfs_setxattr(fs, file, "user.x", value, VFS_XATTR_VALUE_MAX, 0));
}

/* ---- the clock -------------------------------------------------------------------------------------- */

static void tell_time(void *context, struct vfs_time *time)
{
	*time = *(const struct vfs_time *)context;
}

TEST(times_come_from_the_clock_that_was_given)
{
	struct vfs_time now = {100, 5};
	struct memory_options options = {.now = tell_time, .context = &now};
	_cleanup_vfs_ struct vfs *fs = make(&options);
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	struct vfs_attributes a = vfs_attributes_of(fs, file);

	CHECK_INT(vfs_compare_times(a.btime, now), 0);
	CHECK_INT(vfs_compare_times(a.ctime, now), 0);
	CHECK_INT(vfs_compare_times(a.atime, now), 0);
	now = (struct vfs_time){200, 6};
	vfs_put(fs, file, 0, "text");
	a = vfs_attributes_of(fs, file);
	CHECK_INT(a.mtime.seconds, 200);
	CHECK_INT(a.ctime.nanoseconds, 6);
	CHECK_INT(a.btime.seconds, 100);
}

TEST(atime_moves_once_behind_a_change_and_once_a_day)
{
	struct vfs_time now = {100, 0};
	struct memory_options options = {.now = tell_time, .context = &now};
	_cleanup_vfs_ struct vfs *fs = make(&options);
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "text");

	now.seconds = 200;
	vfs_check_text(fs, file, "text");
	CHECK_INT(vfs_attributes_of(fs, file).atime.seconds, 200);
	now.seconds = 300;
	vfs_check_text(fs, file, "text");
	CHECK_INT(vfs_attributes_of(fs, file).atime.seconds, 200);
	now.seconds = 200 + 86400;
	vfs_check_text(fs, file, "text");
	CHECK_INT(vfs_attributes_of(fs, file).atime.seconds, 200 + 86400);
	now.seconds += 5;
	vfs_put(fs, file, 0, "T");
	now.seconds += 5;
	fs->read_only = true;
	vfs_check_text(fs, file, "Text");
	CHECK_INT(vfs_attributes_of(fs, file).atime.seconds, 200 + 86400);
	fs->read_only = false;
	vfs_check_text(fs, file, "Text");
	CHECK_INT(vfs_attributes_of(fs, file).atime.seconds, 210 + 86400);
}

/* ---- parts ------------------------------------------------------------------------------------------ */

#define MODEL_PAGES 20000u

/* Pages around `base`: near the begin, and where the last ones of a file are. */
static void check_pages(uint64_t base, uint32_t seed)
{
	struct memory_budget budget = {.limit = 1ull << 30};
	_cleanup_free_ bool *there = calloc(MODEL_PAGES + 1, 1);
	struct memory_pages p = {0};
	uint64_t count = 0;
	int error;

	for (int step = 0; step < 3000; step++) {
		uint32_t at = (seed = seed * 1664525u + 1013904223u) >> 8, n = seed % 7 ? 1 : at % 5000;
		uint32_t from = at % MODEL_PAGES, to = from + n < MODEL_PAGES ? from + n : MODEL_PAGES, next;

		if (seed & 0x80) {
			CHECK(memory_pages_make(&p, base + from, &budget, &error) != NULL);
			count += !there[from];
			there[from] = true;
		} else {
			memory_pages_release(&p, base + from, base + to, &budget);
			for (uint32_t i = from; i < to; count -= there[i], there[i++] = false)
				;
		}
		CHECK_INT(p.count, count);
		CHECK_INT(memory_pages_find(&p, base + from) != NULL, there[from]);
		for (next = from; next < MODEL_PAGES && !there[next]; next++)
			;
		CHECK_INT(memory_pages_next(&p, base + from), next < MODEL_PAGES ? base + next : UINT64_MAX);
		for (next = from; there[next]; next++)
			;
		CHECK_INT(memory_pages_next_hole(&p, base + from), base + next);
	}
	memory_pages_release(&p, 0, UINT64_MAX, &budget);
	CHECK(p.root == NULL && p.count == 0);
	CHECK_INT(budget.used, 0);
}

TEST(pages_are_where_they_were_put)
{
	check_pages(0, 1);
	check_pages(3, 2);
	check_pages((1ull << 51) - MODEL_PAGES - 1, 3);
	check_pages((1ull << 30) - 50, 4);
}

TEST(a_directory_that_was_large_is_small_again)
{
	struct memory_budget budget = {.limit = 1ull << 30};
	struct memory_entries e = {0};
	char name[16];

	for (int i = 0; i < 50000; i++) {
		snprintf(name, sizeof name, "%d", i);
		CHECK_CALL(memory_entries_add(&e, name, NULL, &budget));
	}
	for (int i = 0; i < 50000; i++) {
		snprintf(name, sizeof name, "%d", i);
		if (i != 777)
			memory_entries_remove(&e, memory_entries_find(&e, name), &budget);
	}
	CHECK(e.names.capacity <= 64 && e.room <= 64);
	CHECK_TEXT(memory_entries_find(&e, "777")->name, "777");
	CHECK_TEXT(memory_entries_after(&e, 5)->name, "777");
	/* Cookies go on, though everything is gone. */
	memory_entries_remove(&e, memory_entries_find(&e, "777"), &budget);
	CHECK(e.names.capacity == 0 && e.room == 0);
	CHECK_INT(memory_entries_last_cookie(&e), 50002);
	CHECK_CALL(memory_entries_add(&e, "new", NULL, &budget));
	CHECK_INT(memory_entries_find(&e, "new")->cookie, 50003);
	memory_entries_free(&e, &budget);
	CHECK_INT(budget.used, 0);
}
