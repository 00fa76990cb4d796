/* SPDX-License-Identifier: Apache-2.0 */
/* Empty disks, and those made of EROFS images: judged by e2fsprogs, and read back by libext2fs. */
#include "test.h"

#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "disk/erofs.h"
#include "disk/erofs_reader.h"
#include "disk/ext4.h"
#include "run.h"

#define SUPERBLOCK 1024
#define MAGIC_AT   56
#define UUID_AT    104
#define COST_AT    0x248 /* s_overhead_clusters */

static int make_disk(uint64_t size, bool journal)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	struct error err;

	CHECK_OK(ext4_create(fd, &(struct ext4_options){.size = size, .journal = journal}, &err));
	return fd;
}

TEST(disks_of_any_size_pass_the_check_of_e2fsprogs)
{
	static const uint64_t sizes[] = {16 << 20, (16 << 20) + 4096, 100 << 20, UINT64_C(128) << 20,
		UINT64_C(1) << 30, (UINT64_C(8) << 30) + 40960, UINT64_C(64) << 30, UINT64_C(1) << 40};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		_cleanup_fd_ int fd = make_disk(sizes[i / 2], i % 2);
		char path[64];
		struct stat s;

		snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), fd);
		CHECK(fstat(fd, &s) == 0);
		CHECK_INT(s.st_size, sizes[i / 2]);
		if (sizes[i / 2] <= UINT64_C(64) << 30)
			CHECK_INT(run_quietly((char *[]){"e2fsck", "-f", "-n", path, NULL}), 0);
	}
}

TEST(an_empty_disk_takes_next_to_no_space)
{
	_cleanup_fd_ int fd = make_disk(UINT64_C(64) << 30, true);
	struct stat s;

	CHECK(fstat(fd, &s) == 0);
	CHECK(s.st_blocks * 512 < 4 << 20);
}

/* The numbers are those that Linux 6.1 counts as it mounts such disks. */
TEST(the_kernel_finds_what_the_file_system_itself_takes_counted)
{
	static const struct {
		uint64_t size;
		uint32_t cost;
	} rows[] = {{16 << 20, 1092}, {UINT64_C(10) << 30, 57506}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_fd_ int fd = make_disk(rows[i].size, true);
		uint32_t cost;

		CHECK_INT(pread(fd, &cost, sizeof cost, SUPERBLOCK + COST_AT), sizeof cost);
		CHECK_INT(cost, rows[i].cost);
	}
}

TEST(no_two_disks_are_called_the_same)
{
	_cleanup_fd_ int one = make_disk(16 << 20, false), other = make_disk(16 << 20, false);
	uint8_t a[1024], b[1024];

	CHECK(pread(one, a, sizeof a, SUPERBLOCK) == 1024 && pread(other, b, sizeof b, SUPERBLOCK) == 1024);
	CHECK(a[MAGIC_AT] == 0x53 && a[MAGIC_AT + 1] == 0xef);
	CHECK(memcmp(a + UUID_AT, b + UUID_AT, 16) != 0);
}

TEST(sizes_that_cannot_be_are_refused)
{
	static const uint64_t sizes[] = {
		0, 4096, (16 << 20) - 4096, (16 << 20) + 1, (UINT64_C(1) << 43) + 4096, UINT64_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_fd_ int fd = memfd_create("disk", MFD_CLOEXEC);
		struct error err;

		CHECK_ERROR(ext4_create(fd, &(struct ext4_options){.size = sizes[i]}, &err), ERROR_INVALID);
	}
}

TEST(a_file_that_cannot_be_written_is_an_error)
{
	_cleanup_fd_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct error err;

	CHECK(ext4_create(fd, &(struct ext4_options){.size = 16 << 20}, &err) < 0);
}

/* ---- of an EROFS image ------------------------------------------------------------------------------ */

#define NODES_MAX   40000
#define LARGE       ((3u << 20) + 1234) /* bytes of a file */
#define SPARSE      (UINT64_C(5) << 40)
#define SPARSE_AT   (UINT64_C(3) << 40)
#define CAPABILITY  "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define NUMBER_ROOM 12

/* The access control list of the system calls: version 2; user::rw-, user:100000:r--, group::r--, mask::r--,
 * other::---. */
static const uint8_t acl[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xa0, 0x86, 1, 0, 4, 0,
	4, 0, 255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255};

/* The same as the kernel's fs/ext4/acl.h has it. */
static const uint8_t acl_of_ext4[] = {
	1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 4, 0, 0xa0, 0x86, 1, 0, 4, 0, 4, 0, 16, 0, 4, 0, 32, 0, 0, 0};

/* An image in the making. Names of one directory are added in the order of their bytes. */
static struct {
	struct erofs_writer *w;
	struct erofs_inode root;
	struct erofs_inode inodes[NODES_MAX];
	struct erofs_entry entries[NODES_MAX], *last[NODES_MAX + 1];
	char names[NODES_MAX][NUMBER_ROOM];
	size_t count;
	int fd;
} image;

static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 11 + (offset >> 9) + 1);
}

static void image_begin(void)
{
	struct erofs_options options = {.name = "image", .uuid = "a fixed name 16"};
	struct error err;

	memset(&image, 0, sizeof image);
	image.fd = memfd_create("image", MFD_CLOEXEC);
	image.root = (struct erofs_inode){.mode = S_IFDIR | 0755, .mtime = 1};
	CHECK_OK(erofs_writer_new(image.fd, &options, &image.w, &err));
}

/* A further name of `inode`. `in`: a directory, NULL for the root. */
static void image_link(struct erofs_inode *in, const char *name, struct erofs_inode *inode)
{
	size_t where = in ? (size_t)(in - image.inodes) + 1 : 0;
	struct erofs_inode *directory = in ? in : &image.root;
	struct erofs_entry *e = &image.entries[image.count];

	CHECK(image.count < NODES_MAX);
	*e = (struct erofs_entry){.inode = inode, .name = name, .name_size = (uint16_t)strlen(name)};
	image.count++;
	if (image.last[where])
		image.last[where]->next = e;
	else
		directory->entries = e;
	image.last[where] = e;
}

static struct erofs_inode *image_add(struct erofs_inode *in, const char *name, struct erofs_inode inode)
{
	struct erofs_inode *to = &image.inodes[image.count];

	*to = inode;
	image_link(in, name, to);
	return to;
}

static void put_data(uint64_t offset, size_t n)
{
	uint8_t *bytes = malloc(n);
	struct error err;

	for (size_t i = 0; i < n; i++)
		bytes[i] = byte_at(offset + i);
	CHECK_OK(erofs_file_data(image.w, offset, bytes, n, &err));
	free(bytes);
}

/* A file of `size` bytes that has data in its first n and in n at `again`; 0: nowhere else. */
static struct erofs_inode make_data(uint64_t size, size_t n, uint64_t again)
{
	struct erofs_inode inode = {.mode = S_IFREG | 0644, .mtime = 1000};
	struct error err;

	CHECK_OK(erofs_file_begin(image.w, size, &err));
	if (n)
		put_data(0, n);
	if (again)
		put_data(again, n);
	CHECK_OK(erofs_file_end(image.w, &inode, &err));
	return inode;
}

static void set_xattrs(struct erofs_inode *inode, const struct erofs_xattr *list, size_t count)
{
	static uint8_t memory[4][300000];
	static size_t used;
	uint8_t *bytes = memory[used++ % 4];
	struct error err;
	size_t size;

	CHECK(erofs_xattrs_room(list, count) <= sizeof memory[0]);
	CHECK_OK(erofs_xattrs_encode(list, count, bytes, &size, &err));
	inode->xattrs = bytes;
	inode->xattrs_size = (uint32_t)size;
}

static int image_finish(void)
{
	struct error err;

	CHECK_OK(erofs_writer_finish(image.w, &image.root, &err));
	erofs_writer_free(image.w);
	return image.fd;
}

static int convert(int from)
{
	int fd = memfd_create("ext4", MFD_CLOEXEC);
	char path[64];
	struct error err;

	CHECK_OK(ext4_from_erofs(from, fd, &err));
	snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), fd);
	CHECK_INT(run_quietly((char *[]){"e2fsck", "-f", "-n", path, NULL}), 0);
	return fd;
}

static ext2_filsys open_disk(int fd)
{
	ext2_filsys fs;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), fd);
	CHECK_INT(ext2fs_open(path, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fs), 0);
	return fs;
}

static ext2_ino_t number_of(ext2_filsys fs, const char *path)
{
	ext2_ino_t number = 0;

	CHECK_INT(ext2fs_namei(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, &number), 0);
	return number;
}

static struct ext2_inode_large stat_of(ext2_filsys fs, const char *path)
{
	struct ext2_inode_large inode;

	CHECK_INT(ext2fs_read_inode_full(fs, number_of(fs, path), EXT2_INODE(&inode), sizeof inode), 0);
	return inode;
}

static void must_read(ext2_filsys fs, const char *path, uint64_t offset, size_t n, bool hole)
{
	uint8_t *bytes = malloc(n);
	ext2_file_t file;
	unsigned got = 0;

	CHECK_INT(ext2fs_file_open(fs, number_of(fs, path), 0, &file), 0);
	CHECK_INT(ext2fs_file_llseek(file, offset, EXT2_SEEK_SET, NULL), 0);
	CHECK_INT(ext2fs_file_read(file, bytes, (unsigned)n, &got), 0);
	CHECK_INT(got, n);
	for (size_t i = 0; i < n; i++)
		CHECK(bytes[i] == (hole ? 0 : byte_at(offset + i)));
	ext2fs_file_close(file);
	free(bytes);
}

static void must_have_xattr(ext2_filsys fs, const char *path, const char *name, const void *value, size_t n)
{
	unsigned raw = XATTR_HANDLE_FLAG_RAW; /* lists as the kernel finds them */
	struct ext2_xattr_handle *handle;
	void *found = NULL;
	size_t size = 0;

	CHECK_INT(ext2fs_xattrs_open(fs, number_of(fs, path), &handle), 0);
	CHECK_INT(ext2fs_xattrs_flags(handle, &raw, NULL), 0);
	CHECK_INT(ext2fs_xattrs_read(handle), 0);
	CHECK_INT(ext2fs_xattr_get(handle, name, &found, &size), 0);
	CHECK_INT(size, n);
	if (memcmp(found, value, n) != 0)
		test_fail(__FILE__, __LINE__, "%s of %s has changed", name, path);
	ext2fs_free_mem(&found);
	ext2fs_xattrs_close(&handle);
}

TEST(files_of_an_image_keep_their_bytes_and_their_holes)
{
	_cleanup_fd_ int from = -1, fd = -1;
	struct stat st;
	ext2_filsys fs;

	image_begin();
	image_add(NULL, "empty", make_data(0, 0, 0));
	image_add(NULL, "large", make_data(LARGE, LARGE, 0));
	image_add(NULL, "small", make_data(300, 300, 0));
	image_add(NULL, "sparse", make_data(SPARSE, 70000, SPARSE_AT));
	image_add(NULL, "whole", make_data(8192, 8192, 0));
	from = image_finish();
	fd = convert(from);
	fs = open_disk(fd);
	CHECK_INT(stat_of(fs, "empty").i_size, 0);
	must_read(fs, "large", 0, LARGE, false);
	CHECK_INT(stat_of(fs, "large").i_size, LARGE);
	must_read(fs, "small", 0, 300, false);
	must_read(fs, "whole", 0, 8192, false);
	CHECK_INT(stat_of(fs, "sparse").i_size_high, SPARSE >> 32);
	must_read(fs, "sparse", 0, 70000, false);
	must_read(fs, "sparse", SPARSE_AT, 70000, false);
	must_read(fs, "sparse", UINT64_C(1) << 40, 100000, true);
	ext2fs_close_free(&fs);
	CHECK(fstat(fd, &st) == 0);
	CHECK(st.st_blocks * 512 < 6 << 20);
}

TEST(a_file_of_many_runs_needs_a_tree_of_extents_and_gets_it)
{
	_cleanup_fd_ int from = -1, fd = -1;
	struct error err;
	ext2_filsys fs;
	struct erofs_inode inode = {.mode = S_IFREG | 0600};

	image_begin();
	CHECK_OK(erofs_file_begin(image.w, 2000 * UINT64_C(262144), &err));
	for (uint64_t i = 0; i < 2000; i++)
		put_data(i * 262144, 100);
	CHECK_OK(erofs_file_end(image.w, &inode, &err));
	image_add(NULL, "runs", inode);
	from = image_finish();
	fd = convert(from);
	fs = open_disk(fd);
	for (uint64_t i = 0; i < 2000; i += 37) {
		must_read(fs, "runs", i * 262144, 100, false);
		must_read(fs, "runs", i * 262144 + 131072, 4096, true);
	}
	ext2fs_close_free(&fs);
}

TEST(every_kind_of_file_comes_with_its_owner_and_mode)
{
	_cleanup_fd_ int from = -1, fd = -1;
	static uint8_t target[4000];
	struct erofs_inode *sub, *file;
	struct ext2_inode_large i;
	ext2_filsys fs;

	memset(target, 't', sizeof target);
	image_begin();
	image_add(NULL, "block",
		(struct erofs_inode){.mode = S_IFBLK | 0660, .device_major = 8, .device_minor = 1});
	image_add(NULL, "char",
		(struct erofs_inode){.mode = S_IFCHR | 0600, .device_major = 300, .device_minor = 70000});
	sub = image_add(
		NULL, "dir", (struct erofs_inode){.mode = S_IFDIR | 01777, .uid = 70000, .gid = 4000000000});
	image_add(NULL, "fast",
		(struct erofs_inode){
			.mode = S_IFLNK | 0777, .data = EROFS_DATA_INLINE, .size = 3, .bytes = target});
	image_add(NULL, "fifo", (struct erofs_inode){.mode = S_IFIFO | 0640});
	file = image_add(NULL, "file", make_data(5000, 5000, 0));
	file->mode = S_IFREG | 06755;
	file->uid = 4294967294;
	image_add(NULL, "slow",
		(struct erofs_inode){
			.mode = S_IFLNK | 0777, .data = EROFS_DATA_INLINE, .size = 4000, .bytes = target});
	image_add(NULL, "socket", (struct erofs_inode){.mode = S_IFSOCK | 0600});
	image_link(sub, "again", file);
	image_add(sub, "deeper", (struct erofs_inode){.mode = S_IFDIR | 0700});
	from = image_finish();
	fd = convert(from);
	fs = open_disk(fd);
	i = stat_of(fs, "block");
	CHECK(i.i_mode == (S_IFBLK | 0660) && i.i_block[0] == 0x801);
	i = stat_of(fs, "char");
	CHECK(i.i_mode == (S_IFCHR | 0600) && i.i_block[0] == 0 &&
		i.i_block[1] == ((70000 & 0xff) | 300u << 8 | (70000 & ~0xffu) << 12));
	i = stat_of(fs, "dir");
	CHECK(i.i_mode == (S_IFDIR | 01777) && i.i_links_count == 3);
	CHECK(i.i_uid == (70000 & 0xffff) && i.osd2.linux2.l_i_uid_high == 1);
	CHECK(i.i_gid == (4000000000 & 0xffff) && i.osd2.linux2.l_i_gid_high == 4000000000 >> 16);
	i = stat_of(fs, "fifo");
	CHECK_INT(i.i_mode, S_IFIFO | 0640);
	CHECK_INT(stat_of(fs, "socket").i_mode, S_IFSOCK | 0600);
	CHECK_INT(stat_of(fs, "dir/deeper").i_mode, S_IFDIR | 0700);
	i = stat_of(fs, "file");
	CHECK(i.i_mode == (S_IFREG | 06755) && i.i_uid == 0xfffe && i.osd2.linux2.l_i_uid_high == 0xffff);
	CHECK_INT(i.i_links_count, 2);
	CHECK_INT(number_of(fs, "file"), number_of(fs, "dir/again"));
	ext2fs_close_free(&fs);
}

TEST(symbolic_links_of_both_kinds_keep_their_targets)
{
	_cleanup_fd_ int from = -1, fd = -1;
	static const size_t sizes[] = {1, 59, 60, 61, 1024, 1025, 4095};
	static char names[][2] = {"a", "b", "c", "d", "e", "f", "g"};
	static uint8_t target[4096];
	char block[EROFS_BLOCK];
	ext2_filsys fs;

	for (size_t k = 0; k < sizeof target; k++)
		target[k] = (uint8_t)('a' + k % 26);
	image_begin();
	for (size_t k = 0; k < ARRAY_SIZE(sizes); k++)
		image_add(NULL, names[k],
			(struct erofs_inode){.mode = S_IFLNK | 0777,
				.data = EROFS_DATA_INLINE,
				.size = sizes[k],
				.bytes = target});
	from = image_finish();
	fd = convert(from);
	fs = open_disk(fd);
	for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
		ext2_ino_t number;
		struct ext2_inode inode;
		blk64_t where;

		CHECK_INT(ext2fs_lookup(fs, EXT2_ROOT_INO, names[k], 1, NULL, &number), 0);
		CHECK_INT(ext2fs_read_inode(fs, number, &inode), 0);
		CHECK_INT(inode.i_size, sizes[k]);
		CHECK_INT(ext2fs_is_fast_symlink(&inode), sizes[k] < 60);
		if (sizes[k] < 60) {
			CHECK(!memcmp(inode.i_block, target, sizes[k]));
			continue;
		}
		CHECK_INT(ext2fs_bmap2(fs, number, &inode, NULL, 0, 0, NULL, &where), 0);
		CHECK_INT(io_channel_read_blk64(fs->io, where, 1, block), 0);
		CHECK(!memcmp(block, target, sizes[k]) && block[sizes[k]] == 0);
	}
	ext2fs_close_free(&fs);
}

TEST(times_come_with_nanoseconds_and_from_before_1970_and_after_2038)
{
	static const struct {
		int64_t given, expected;
		uint32_t nanoseconds;
	} times[] = {{0, 0, 0}, {-1, -1, 999999999}, {-2147483648, -2147483648, 1},
		{2147483648, 2147483648, 5}, {4294967296, 4294967296, 7},
		{15032385535, 15032385535, 123456789}, {15032385536, 15032385535, 0},
		{-2147483649, -2147483648, 0}, {INT64_MIN, -2147483648, 0}};
	_cleanup_fd_ int from = -1, fd = -1;
	ext2_filsys fs;

	image_begin();
	for (size_t k = 0; k < ARRAY_SIZE(times); k++) {
		snprintf(image.names[k], NUMBER_ROOM, "%zu", k);
		image_add(NULL, image.names[k],
			(struct erofs_inode){.mode = S_IFIFO | 0600,
				.mtime = times[k].given,
				.mtime_nanoseconds = times[k].nanoseconds});
	}
	from = image_finish();
	fd = convert(from);
	fs = open_disk(fd);
	for (size_t k = 0; k < ARRAY_SIZE(times); k++) {
		struct ext2_inode_large i = stat_of(fs, image.names[k]);

		CHECK(i.i_extra_isize >= 24);
		/* As the kernel's fs/ext4/ext4.h decodes it. */
		CHECK_INT((int64_t)(int32_t)i.i_mtime + ((int64_t)(i.i_mtime_extra & 3) << 32),
			times[k].expected);
		CHECK_INT(i.i_mtime_extra >> 2, times[k].nanoseconds);
	}
	ext2fs_close_free(&fs);
}

TEST(extended_attributes_of_every_size_are_kept)
{
	static uint8_t value[60000];
	const struct erofs_xattr small[] = {{"security.capability", (const uint8_t *)CAPABILITY, 20}},
				 lists[] = {{"system.posix_acl_access", acl, sizeof acl},
					 {"system.posix_acl_default", acl, sizeof acl}},
				 large[] = {{"trusted.a", value, 3000}, {"user.b", value, 1000},
					 {"user.c", value, 0}, {"user.huge", value, sizeof value}};
	_cleanup_fd_ int from = -1, fd = -1;
	ext2_filsys fs;

	for (size_t k = 0; k < sizeof value; k++)
		value[k] = byte_at(k);
	image_begin();
	set_xattrs(image_add(NULL, "a", make_data(300, 300, 0)), small, 1);
	set_xattrs(image_add(NULL, "b", (struct erofs_inode){.mode = S_IFDIR | 0750}), lists, 2);
	set_xattrs(image_add(NULL, "c", make_data(9000, 9000, 0)), large, 4);
	image_add(NULL, "d", make_data(1, 1, 0));
	from = image_finish();
	fd = convert(from);
	fs = open_disk(fd);
	must_have_xattr(fs, "a", "security.capability", CAPABILITY, 20);
	must_have_xattr(fs, "b", "system.posix_acl_access", acl_of_ext4, sizeof acl_of_ext4);
	must_have_xattr(fs, "b", "system.posix_acl_default", acl_of_ext4, sizeof acl_of_ext4);
	must_have_xattr(fs, "c", "trusted.a", value, 3000);
	must_have_xattr(fs, "c", "user.b", value, 1000);
	must_have_xattr(fs, "c", "user.c", value, 0);
	must_have_xattr(fs, "c", "user.huge", value, sizeof value);
	must_read(fs, "a", 0, 300, false);
	must_read(fs, "c", 0, 9000, false);
	ext2fs_close_free(&fs);
}

TEST(what_ext4_cannot_hold_is_refused_and_named)
{
	static const struct erofs_xattr broken[] = {{"system.posix_acl_access", acl, sizeof acl - 1}};
	static char names[300][16];
	struct erofs_xattr many[300];
	_cleanup_fd_ int fd = memfd_create("ext4", MFD_CLOEXEC);
	struct error err;

	image_begin();
	set_xattrs(image_add(NULL, "a", make_data(300, 300, 0)), broken, 1);
	CHECK_ERROR(ext4_from_erofs(image_finish(), fd, &err), ERROR_CORRUPT);
	CHECK(strstr(err.text, "access control list"));
	close(image.fd);
	for (size_t k = 0; k < ARRAY_SIZE(many); k++) {
		snprintf(names[k], sizeof names[k], "user.%zu", k);
		many[k] = (struct erofs_xattr){names[k], acl, 20};
	}
	image_begin();
	set_xattrs(image_add(NULL, "a", make_data(300, 300, 0)), many, ARRAY_SIZE(many));
	CHECK_ERROR(ext4_from_erofs(image_finish(), fd, &err), ERROR_LIMIT);
	CHECK(strstr(err.text, "extended attributes"));
	close(image.fd);
	image_begin();
	image_add(NULL, "a", make_data(UINT64_C(1) << 45, 10, 0));
	CHECK_ERROR(ext4_from_erofs(image_finish(), fd, &err), ERROR_LIMIT);
	CHECK(strstr(err.text, "16 TiB"));
	close(image.fd);
}

TEST(a_directory_of_thirty_thousand_names_is_whole)
{
	_cleanup_fd_ int from = -1, fd = -1;
	ext2_filsys fs;

	image_begin();
	for (size_t k = 0; k < 30000; k++) {
		snprintf(image.names[k], NUMBER_ROOM, "n%05zu", k);
		image_add(NULL, image.names[k],
			k % 100 ? (struct erofs_inode){.mode = S_IFREG | 0600}
				: (struct erofs_inode){.mode = S_IFDIR | 0700});
	}
	from = image_finish();
	fd = convert(from);
	fs = open_disk(fd);
	for (size_t k = 0; k < 30000; k += 997)
		CHECK_INT(stat_of(fs, image.names[k]).i_mode, k % 100 ? S_IFREG | 0600 : S_IFDIR | 0700);
	CHECK_INT(stat_of(fs, "/").i_links_count, 302);
	ext2fs_close_free(&fs);
}

TEST(the_same_image_gives_the_same_bytes)
{
	const struct erofs_xattr xattrs[] = {{"user.b", acl, sizeof acl}};
	int fds[2];
	struct stat a, b;
	struct error err;

	image_begin();
	image_add(NULL, "file", make_data(LARGE, LARGE, 0));
	set_xattrs(image_add(NULL, "with", make_data(10, 10, 0)), xattrs, 1);
	image_finish();
	fds[0] = convert(image.fd);
	sleep(1); /* another second of the clock */
	fds[1] = convert(image.fd);
	CHECK(fstat(fds[0], &a) == 0 && fstat(fds[1], &b) == 0);
	CHECK_INT(a.st_size, b.st_size);
	for (off_t at = 0; at < a.st_size; at += 65536) {
		static uint8_t one[65536], other[65536];

		CHECK_INT(pread(fds[0], one, sizeof one, at), pread(fds[1], other, sizeof other, at));
		CHECK(!memcmp(one, other, sizeof one));
		if (at == 0)
			CHECK(!memcmp(one + SUPERBLOCK + UUID_AT, "a fixed name 16", 16));
	}
	close(fds[0]);
	close(fds[1]);
	fds[0] = open("/dev/full", O_RDWR | O_CLOEXEC);
	CHECK(ext4_from_erofs(image.fd, fds[0], &err) < 0);
	close(fds[0]);
	close(image.fd);
}

TEST(a_directory_that_is_in_itself_is_an_error)
{
	_cleanup_fd_ int from = -1, fd = memfd_create("ext4", MFD_CLOEXEC);
	static uint8_t bytes[65536];
	uint8_t entry[8] = {0}, root[8] = {0};
	struct erofs_reader reader;
	struct erofs_stat s;
	struct error err;
	size_t changed = 0;
	ssize_t n;

	image_begin();
	image_add(NULL, "dir", (struct erofs_inode){.mode = S_IFDIR | 0700});
	from = image_finish();
	CHECK_OK(erofs_reader_open(from, &reader, &err));
	CHECK_OK(erofs_reader_find(&reader, "dir", &s, &err));
	CHECK(s.nid < 256 && reader.root < 256 && s.nid != reader.root);
	entry[0] = (uint8_t)s.nid;
	root[0] = (uint8_t)reader.root;
	n = pread(from, bytes, sizeof bytes, 0);
	for (size_t at = 4096; at + sizeof entry < (size_t)n; at++)
		if (!memcmp(bytes + at, entry, sizeof entry) && bytes[at + 10] == EXT2_FT_DIR)
			changed += pwrite(from, root, sizeof root, (off_t)at) == sizeof root;
	CHECK(changed > 0);
	CHECK_ERROR(ext4_from_erofs(from, fd, &err), ERROR_CORRUPT);
	CHECK(strstr(err.text, "more files"));
}

TEST(a_damaged_image_is_an_error)
{
	_cleanup_fd_ int from = -1, fd = memfd_create("ext4", MFD_CLOEXEC);
	static uint8_t bytes[8 << 20], copy[8 << 20];
	struct error err;
	ssize_t n;

	image_begin();
	image_add(NULL, "dir", (struct erofs_inode){.mode = S_IFDIR | 0700});
	image_add(NULL, "file", make_data(100000, 100000, 0));
	image_add(NULL, "sparse", make_data(1 << 30, 70000, 1 << 29));
	image_add(&image.inodes[0], "below", make_data(10, 10, 0));
	from = image_finish();
	n = pread(from, bytes, sizeof bytes, 0);
	CHECK(n > 0 && (size_t)n < sizeof bytes);
	/* Any byte behind the superblock may be wrong: it is read, or refused, and never more. */
	for (size_t k = 0; k < 300; k++) {
		size_t at = 4096 + (k * 7919 + k * k * 31) % ((size_t)n - 4096);

		if (k % 2)
			at = (size_t)n - 1 - (k * 13) % 4096;
		memcpy(copy, bytes, (size_t)n);
		copy[at] ^= (uint8_t)(1u << k % 8);
		CHECK(pwrite(from, copy, (size_t)n, 0) == n);
		CHECK(ftruncate(fd, 0) == 0);
		ext4_from_erofs(from, fd, &err);
	}
	CHECK(ftruncate(from, 8192) == 0);
	CHECK_ERROR(ext4_from_erofs(from, fd, &err), ERROR_CORRUPT);
}
