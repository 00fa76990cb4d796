/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file system in memory when memory runs out: each allocation of a long sequence of calls fails once, in
 * its turn. The call that met it says so and has changed nothing: made again it succeeds, and in the end
 * everything is as without a fault, also what is free.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fault.h"
#include "test.h"
#include "vfs/memory/node.h"

static const struct vfs_caller nobody = {.uid = 1, .gid = 1};

static int64_t check_result(int64_t r, const char *call)
{
	if (r < 0)
		test_fail(__FILE__, __LINE__, "%s: %s", call, strerror((int)-r));
	return r;
}

/* Once more where memory was out, which it is once. */
#define TRY(call) \
	({ \
		int64_t try_ = (call); \
		if (try_ == -ENOMEM && fault_happened()) \
			try_ = (call); \
		check_result(try_, #call); \
	})

static struct vfs *make(void)
{
	struct memory_options options = {.bytes = 8 << 20};
	struct error err = {.code = ERROR_NONE};
	struct vfs *fs = NULL;

	if (memory_new(&options, &fs, &err) < 0) {
		CHECK(fault_happened() && fs == NULL);
		CHECK_INT(err.code, ERROR_NO_MEMORY);
		CHECK_OK(memory_new(&options, &fs, &err));
	}
	return fs;
}

static uint64_t directory(struct vfs *fs, uint64_t parent, const char *name)
{
	struct vfs_attributes a;

	TRY(vfs_mkdir(fs, &nobody, parent, name, 0755, &a));
	return a.ino;
}

/* A write may end where memory was out; what it took is there. */
static void put(struct vfs *fs, uint64_t ino, const uint8_t *bytes, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size)
		done += (size_t)TRY(
			vfs_write(fs, ino, VFS_NO_HANDLE, bytes + done, size - done, offset + done));
}

static void fill_file(struct vfs *fs, uint64_t ino)
{
	static uint8_t bytes[100000], there[sizeof bytes];
	struct vfs_attributes a = {.size = 200000};

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	put(fs, ino, bytes, sizeof bytes, 1000);
	put(fs, ino, bytes, 10, 1ull << 40);
	put(fs, ino, bytes, 10, INT64_MAX - 10);
	TRY(vfs_allocate(fs, ino, VFS_NO_HANDLE, VFS_ZERO_RANGE | VFS_KEEP_SIZE, 1ull << 30, 20000));
	CHECK_INT(TRY(vfs_read(fs, ino, VFS_NO_HANDLE, there, sizeof there, 1000)), sizeof there);
	CHECK(!memcmp(bytes, there, sizeof there));
	TRY(vfs_allocate(fs, ino, VFS_NO_HANDLE, VFS_PUNCH_HOLE | VFS_KEEP_SIZE, 5000, 50000));
	TRY(vfs_setattr(fs, &nobody, ino, VFS_NO_HANDLE, &a, VFS_SET_SIZE, &a));
}

static void name_many(struct vfs *fs, uint64_t d, uint64_t e)
{
	struct vfs_attributes a;
	vfs_handle handles[40];
	char name[16];

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "%d", i);
		TRY(vfs_create(fs, &nobody, d, name, 0644, VFS_WRITE | VFS_EXCLUSIVE, &a, &handles[i]));
		vfs_release(fs, a.ino, i % 2 ? handles[i] : VFS_NO_HANDLE);
		vfs_forget(fs, a.ino, 1);
	}
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "%d", i);
		if (i % 3 == 0)
			TRY(vfs_rename(fs, d, name, e, name, 0));
		else if (i % 3 == 1)
			TRY(vfs_rename(fs, d, name, d, "renamed", 0));
		else
			TRY(vfs_unlink(fs, d, name));
	}
	for (int i = 3; i < 40; i += 3) {
		snprintf(name, sizeof name, "%d", i);
		TRY(vfs_unlink(fs, e, name));
	}
}

static int count_entry(void *context, const struct vfs_entry *entry)
{
	unsigned *n = context;

	(void)entry;
	++*n;
	return 0;
}

struct outcome {
	uint64_t used, inodes;
	unsigned entries;
};

static struct outcome call_all(void)
{
	struct outcome out = {.entries = 0};
	struct vfs *fs = make();
	uint64_t d = directory(fs, VFS_ROOT, "d"), e = directory(fs, VFS_ROOT, "e");
	struct vfs_attributes a, other;
	vfs_handle handle;

	TRY(vfs_mknod(fs, &nobody, d, "file", S_IFREG | 0644, 0, 0, &a));
	fill_file(fs, a.ino);
	TRY(vfs_link(fs, a.ino, e, "link", &other));
	TRY(vfs_symlink(fs, &nobody, e, "symlink", "some/target", &other));
	TRY(vfs_setxattr(fs, a.ino, "user.a", "value", 5, 0));
	TRY(vfs_setxattr(fs, a.ino, "user.a", "other value", 11, VFS_XATTR_REPLACE));
	TRY(vfs_setxattr(fs, e, "user.b", "", 0, VFS_XATTR_CREATE));
	TRY(vfs_removexattr(fs, e, "user.b"));
	TRY(vfs_rename(fs, e, "link", d, "file", VFS_EXCHANGE));
	TRY(vfs_rename(fs, VFS_ROOT, "d", e, "d", VFS_NO_REPLACE));
	TRY(vfs_open(fs, a.ino, VFS_READ, &handle));
	name_many(fs, d, e);
	TRY(vfs_opendir(fs, e, &handle));
	TRY(vfs_readdir(fs, e, handle, 0, true, count_entry, &out.entries));
	out.used = memory_of(fs)->budget.used;
	out.inodes = memory_of(fs)->inodes;
	vfs_destroy(fs);
	return out;
}

TEST(every_allocation_may_fail_and_is_tried_again)
{
	struct outcome right = call_all(), got;
	bool happened = true;
	unsigned n;

	for (n = 1; happened; n++) {
		long blocks = fault_blocks();

		fault_disarm();
		fault_arm(FAULT_MEMORY, n);
		got = call_all();
		happened = fault_happened();
		fault_disarm();
		if (fault_blocks() != blocks)
			test_fail(__FILE__, __LINE__, "allocation %u leaks %ld blocks", n,
				fault_blocks() - blocks);
		if (got.entries != right.entries || got.used != right.used || got.inodes != right.inodes)
			test_fail(__FILE__, __LINE__, "allocation %u left something else behind", n);
	}
	printf("# %u turns\n", n - 2);
	CHECK(n > 200);
}
