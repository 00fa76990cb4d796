/* SPDX-License-Identifier: Apache-2.0 */
/* What file systems promise of the data of files. */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "fsx_vfs.h"
#include "vfs_make.h"
#include "vfs_promises.h"

#define BLOCK 4096u

/* Bytes that tell where they belong. */
static void fill(uint8_t *bytes, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(1 + (i * 31 + seed * 7) % 255);
}

static void check_zeros(struct vfs *fs, uint64_t ino, uint64_t offset, size_t size)
{
	_cleanup_free_ uint8_t *zeros = calloc(1, size);

	vfs_check_bytes(fs, ino, offset, zeros, size);
}

static void set_size(struct vfs *fs, uint64_t ino, uint64_t size)
{
	struct vfs_attributes a = {.size = size};
	struct vfs_caller me = vfs_me();

	CHECK_CALL(vfs_setattr(fs, &me, ino, VFS_NO_HANDLE, &a, VFS_SET_SIZE, &a));
	CHECK_INT(a.size, size);
}

void promise_what_is_written_is_read(struct vfs *fs, unsigned can)
{
	_cleanup_free_ uint8_t *bytes = malloc(300000), *there = malloc(300000);
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	vfs_handle handle = vfs_opened(fs, file, VFS_READ | VFS_WRITE);
	static const size_t pieces[] = {1, 2, 511, 512, 4095, 4096, 4097, 65537, 100000};
	size_t at = 0;

	(void)can;
	fill(bytes, 300000, 1);
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; at += pieces[i++])
		CHECK_INT(vfs_write(fs, file, handle, bytes + at, pieces[i], at), pieces[i]);
	CHECK_INT(vfs_attributes_of(fs, file).size, at);
	CHECK_INT(vfs_read(fs, file, handle, there, at, 0), at);
	CHECK(!memcmp(there, bytes, at));
	for (size_t from = 0; from < at; from += 7777) {
		size_t n = at - from < 5000 ? at - from : 5000;

		CHECK_INT(vfs_read(fs, file, handle, there, n, from), n);
		CHECK(!memcmp(there, bytes + from, n));
	}
	vfs_release(fs, file, handle);
}

void promise_reads_end_at_the_end_of_the_file(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "0123456789");
	char bytes[64];

	(void)can;
	memset(bytes, '#', sizeof bytes);
	CHECK_INT(vfs_read(fs, file, VFS_NO_HANDLE, bytes, sizeof bytes, 6), 4);
	CHECK(!memcmp(bytes, "6789####", 8));
	CHECK_INT(vfs_read(fs, file, VFS_NO_HANDLE, bytes, sizeof bytes, 10), 0);
	CHECK_INT(vfs_read(fs, file, VFS_NO_HANDLE, bytes, sizeof bytes, 1ull << 40), 0);
	CHECK_INT(vfs_read(fs, file, VFS_NO_HANDLE, bytes, 0, 0), 0);
	CHECK_INT(vfs_write(fs, file, VFS_NO_HANDLE, bytes, 0, 100), 0);
	CHECK_INT(vfs_attributes_of(fs, file).size, 10);
}

void promise_files_are_read_and_written_without_handles(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	vfs_handle handle = vfs_opened(fs, file, VFS_READ);
	char bytes[8] = {0};

	(void)can;
	CHECK_INT(vfs_write(fs, file, VFS_NO_HANDLE, "text", 4, 0), 4);
	CHECK_INT(vfs_read(fs, file, handle, bytes, sizeof bytes, 0), 4);
	CHECK_TEXT(bytes, "text");
	CHECK_INT(vfs_read(fs, file, VFS_NO_HANDLE, bytes, 2, 1), 2);
	CHECK_TEXT(bytes, "exxt");
	vfs_release(fs, file, handle);
}

void promise_handles_do_what_they_were_opened_for(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "text");
	vfs_handle reader = vfs_opened(fs, file, VFS_READ), writer = vfs_opened(fs, file, VFS_WRITE);
	char bytes[8];

	(void)can;
	CHECK(reader != writer);
	CHECK_ERRNO(vfs_write(fs, file, reader, "x", 1, 0), EBADF);
	CHECK_ERRNO(vfs_allocate(fs, file, reader, 0, 0, 100), EBADF);
	CHECK_ERRNO(vfs_read(fs, file, writer, bytes, 1, 0), EBADF);
	CHECK_INT(vfs_write(fs, file, writer, "T", 1, 0), 1);
	CHECK_INT(vfs_read(fs, file, reader, bytes, 4, 0), 4);
	CHECK(!memcmp(bytes, "Text", 4));
	vfs_release(fs, file, writer);
	CHECK_INT(vfs_read(fs, file, reader, bytes, 4, 0), 4);
	vfs_release(fs, file, reader);
}

void promise_opening_truncates_when_asked(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "text");
	vfs_handle handle = vfs_opened(fs, file, VFS_WRITE);

	(void)can;
	CHECK_INT(vfs_attributes_of(fs, file).size, 4);
	vfs_release(fs, file, handle);
	handle = vfs_opened(fs, file, VFS_WRITE | VFS_TRUNCATE);
	CHECK_INT(vfs_attributes_of(fs, file).size, 0);
	CHECK_INT(vfs_write(fs, file, handle, "x", 1, 2), 1);
	vfs_release(fs, file, handle);
	vfs_check_bytes(fs, file, 0, "\0\0x", 3);
}

void promise_directories_and_links_are_not_opened_as_files(struct vfs *fs, unsigned can)
{
	uint64_t d = vfs_make_directory(fs, VFS_ROOT, "d");
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a, link;
	vfs_handle handle;
	char byte;

	(void)can;
	CHECK_ERRNO(vfs_open(fs, d, VFS_READ, &handle), EISDIR);
	CHECK(handle == VFS_NO_HANDLE);
	CHECK_ERRNO(vfs_open(fs, d, VFS_WRITE, &handle), EISDIR);
	CHECK_ERRNO(vfs_read(fs, d, VFS_NO_HANDLE, &byte, 1, 0), EISDIR);
	CHECK_ERRNO(vfs_write(fs, d, VFS_NO_HANDLE, "x", 1, 0), EISDIR);
	a.size = 0;
	CHECK_ERRNO(vfs_setattr(fs, &me, d, VFS_NO_HANDLE, &a, VFS_SET_SIZE, &a), EISDIR);
	CHECK_CALL(vfs_symlink(fs, &me, VFS_ROOT, "s", "d", &link));
	CHECK_ERRNO(vfs_open(fs, link.ino, VFS_READ, &handle), ELOOP);
	CHECK(vfs_read(fs, link.ino, VFS_NO_HANDLE, &byte, 1, 0) < 0);
	CHECK(vfs_write(fs, link.ino, VFS_NO_HANDLE, "x", 1, 0) < 0);
}

void promise_holes_read_as_zeros(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");

	(void)can;
	vfs_put(fs, file, 100000, "end");
	CHECK_INT(vfs_attributes_of(fs, file).size, 100003);
	check_zeros(fs, file, 0, 100000);
	vfs_put(fs, file, 50000, "middle");
	check_zeros(fs, file, 0, 50000);
	check_zeros(fs, file, 50006, 100000 - 50006);
	vfs_check_bytes(fs, file, 50000, "middle", 6);
	vfs_check_bytes(fs, file, 100000, "end", 3);
	set_size(fs, file, 200000);
	check_zeros(fs, file, 100003, 200000 - 100003);
}

void promise_a_hole_takes_no_space_and_is_found(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f"), far = 3ull << 30;
	_cleanup_free_ uint8_t *bytes = malloc(65536);
	struct vfs_attributes a;

	CHECK_ERRNO(vfs_seek(fs, file, VFS_NO_HANDLE, 0, VFS_SEEK_DATA), ENXIO);
	CHECK_ERRNO(vfs_seek(fs, file, VFS_NO_HANDLE, 0, VFS_SEEK_HOLE), ENXIO);
	fill(bytes, 65536, 3);
	CHECK_INT(vfs_write(fs, file, VFS_NO_HANDLE, bytes, 65536, far), 65536);
	set_size(fs, file, far * 2);
	a = vfs_attributes_of(fs, file);
	CHECK_INT(a.size, far * 2);
	vfs_check_bytes(fs, file, far, bytes, 65536);
	CHECK_ERRNO(vfs_seek(fs, file, VFS_NO_HANDLE, far * 2, VFS_SEEK_HOLE), ENXIO);
	CHECK_ERRNO(vfs_seek(fs, file, VFS_NO_HANDLE, INT64_MAX + 1ull, VFS_SEEK_DATA), ENXIO);
	if (!(can & VFS_CAN_HOLES))
		return;
	CHECK(a.blocks >= 65536 / 512 && a.blocks <= 65536 / 512 + 64);
	CHECK_INT(vfs_seek(fs, file, VFS_NO_HANDLE, 0, VFS_SEEK_DATA), far);
	CHECK_INT(vfs_seek(fs, file, VFS_NO_HANDLE, far + 5, VFS_SEEK_DATA), far + 5);
	CHECK_INT(vfs_seek(fs, file, VFS_NO_HANDLE, far, VFS_SEEK_HOLE), far + 65536);
	CHECK_INT(vfs_seek(fs, file, VFS_NO_HANDLE, 7, VFS_SEEK_HOLE), 7);
	CHECK_ERRNO(vfs_seek(fs, file, VFS_NO_HANDLE, far + 65536, VFS_SEEK_DATA), ENXIO);
	set_size(fs, file, far + 10);
	CHECK_INT(vfs_seek(fs, file, VFS_NO_HANDLE, far, VFS_SEEK_HOLE), far + 10);
}

void promise_a_punched_hole_reads_as_zeros_and_frees_space(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f"), before;
	_cleanup_free_ uint8_t *bytes = malloc(10 * BLOCK);
	unsigned punch = VFS_PUNCH_HOLE | VFS_KEEP_SIZE;

	CHECK_ERRNO(vfs_allocate(fs, file, VFS_NO_HANDLE, VFS_PUNCH_HOLE, 0, 1), EINVAL);
	CHECK_ERRNO(vfs_allocate(fs, file, VFS_NO_HANDLE, punch, 0, 0), EINVAL);
	if (!(can & VFS_CAN_HOLES))
		return;
	fill(bytes, 10 * BLOCK, 5);
	CHECK_INT(vfs_write(fs, file, VFS_NO_HANDLE, bytes, 10 * BLOCK, 0), 10 * BLOCK);
	before = vfs_attributes_of(fs, file).blocks;
	CHECK_CALL(vfs_allocate(fs, file, VFS_NO_HANDLE, punch, BLOCK + 100, 4 * BLOCK));
	CHECK_INT(vfs_attributes_of(fs, file).size, 10 * BLOCK);
	vfs_check_bytes(fs, file, 0, bytes, BLOCK + 100);
	check_zeros(fs, file, BLOCK + 100, 4 * BLOCK);
	vfs_check_bytes(fs, file, 5 * BLOCK + 100, bytes + 5 * BLOCK + 100, 5 * BLOCK - 100);
	CHECK_INT(vfs_attributes_of(fs, file).blocks, before - 3 * BLOCK / 512);
	CHECK_INT(vfs_seek(fs, file, VFS_NO_HANDLE, 0, VFS_SEEK_HOLE), 2 * BLOCK);
	CHECK_INT(vfs_seek(fs, file, VFS_NO_HANDLE, 2 * BLOCK, VFS_SEEK_DATA), 5 * BLOCK);
	CHECK_CALL(vfs_allocate(fs, file, VFS_NO_HANDLE, punch, 0, 100 * BLOCK));
	CHECK_INT(vfs_attributes_of(fs, file).size, 10 * BLOCK);
	check_zeros(fs, file, 0, 10 * BLOCK);
	CHECK_ERRNO(vfs_seek(fs, file, VFS_NO_HANDLE, 0, VFS_SEEK_DATA), ENXIO);
}

void promise_a_zeroed_range_reads_as_zeros(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	uint8_t bytes[3 * BLOCK];

	if (!(can & VFS_CAN_HOLES))
		return;
	fill(bytes, sizeof bytes, 9);
	CHECK_INT(vfs_write(fs, file, VFS_NO_HANDLE, bytes, sizeof bytes, 0), sizeof bytes);
	CHECK_CALL(vfs_allocate(fs, file, VFS_NO_HANDLE, VFS_ZERO_RANGE | VFS_KEEP_SIZE, 10, BLOCK + 10));
	vfs_check_bytes(fs, file, 0, bytes, 10);
	check_zeros(fs, file, 10, BLOCK + 10);
	vfs_check_bytes(fs, file, BLOCK + 20, bytes + BLOCK + 20, 2 * BLOCK - 20);
	CHECK_CALL(vfs_allocate(
		fs, file, VFS_NO_HANDLE, VFS_ZERO_RANGE | VFS_KEEP_SIZE, 3 * BLOCK - 5, 2 * BLOCK));
	CHECK_INT(vfs_attributes_of(fs, file).size, 3 * BLOCK);
	CHECK_CALL(vfs_allocate(fs, file, VFS_NO_HANDLE, VFS_ZERO_RANGE, 3 * BLOCK - 5, 2 * BLOCK));
	CHECK_INT(vfs_attributes_of(fs, file).size, 5 * BLOCK - 5);
	check_zeros(fs, file, 3 * BLOCK - 5, 2 * BLOCK);
}

void promise_space_is_allocated_ahead(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "text");

	CHECK_ERRNO(vfs_allocate(fs, file, VFS_NO_HANDLE, 0, INT64_MAX, 1), EFBIG);
	CHECK_ERRNO(vfs_allocate(fs, file, VFS_NO_HANDLE, 0, 1, UINT64_MAX), EFBIG);
	if (!(can & VFS_CAN_HOLES))
		return;
	CHECK_CALL(vfs_allocate(fs, file, VFS_NO_HANDLE, VFS_KEEP_SIZE, 0, 10 * BLOCK));
	CHECK_INT(vfs_attributes_of(fs, file).size, 4);
	CHECK(vfs_attributes_of(fs, file).blocks >= 10 * BLOCK / 512);
	vfs_check_text(fs, file, "text");
	CHECK_CALL(vfs_allocate(fs, file, VFS_NO_HANDLE, 0, 0, 5 * BLOCK));
	CHECK_INT(vfs_attributes_of(fs, file).size, 5 * BLOCK);
	vfs_check_bytes(fs, file, 0, "text", 4);
	check_zeros(fs, file, 4, 5 * BLOCK - 4);
	CHECK_CALL(vfs_allocate(fs, file, VFS_NO_HANDLE, 0, 0, 1));
	CHECK_INT(vfs_attributes_of(fs, file).size, 5 * BLOCK);
}

void promise_a_file_cut_and_grown_again_has_zeros_there(struct vfs *fs, unsigned can)
{
	static const uint64_t cuts[] = {0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK - 1};
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");
	uint8_t bytes[3 * BLOCK];

	(void)can;
	fill(bytes, sizeof bytes, 2);
	for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
		CHECK_INT(vfs_write(fs, file, VFS_NO_HANDLE, bytes, sizeof bytes, 0), sizeof bytes);
		set_size(fs, file, cuts[i]);
		set_size(fs, file, sizeof bytes + 100);
		vfs_check_bytes(fs, file, 0, bytes, cuts[i]);
		check_zeros(fs, file, cuts[i], sizeof bytes + 100 - cuts[i]);
		set_size(fs, file, cuts[i]);
		vfs_put(fs, file, sizeof bytes, "end");
		check_zeros(fs, file, cuts[i], sizeof bytes - cuts[i]);
	}
}

void promise_appends_of_several_handles_follow_one_another(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "0");
	vfs_handle a = vfs_opened(fs, file, VFS_WRITE | VFS_APPEND);
	vfs_handle b = vfs_opened(fs, file, VFS_WRITE | VFS_APPEND);
	vfs_handle c = vfs_opened(fs, file, VFS_WRITE);

	(void)can;
	CHECK_INT(vfs_write(fs, file, a, "a", 1, 0), 1);
	CHECK_INT(vfs_write(fs, file, b, "bb", 2, 0), 2);
	CHECK_INT(vfs_write(fs, file, a, "aaa", 3, 100), 3);
	CHECK_INT(vfs_write(fs, file, c, "c", 1, 0), 1);
	CHECK_INT(vfs_write(fs, file, b, "b", 1, 0), 1);
	vfs_check_text(fs, file, "cabbaaab");
	vfs_release(fs, file, a);
	vfs_release(fs, file, b);
	vfs_release(fs, file, c);
}

void promise_a_transfer_carries_up_to_one_mebibyte(struct vfs *fs, unsigned can)
{
	_cleanup_free_ uint8_t *bytes = malloc(VFS_IO_MAX + 1);
	uint64_t file = vfs_make_file(fs, VFS_ROOT, "f");

	(void)can;
	fill(bytes, VFS_IO_MAX + 1, 4);
	CHECK_ERRNO(vfs_write(fs, file, VFS_NO_HANDLE, bytes, VFS_IO_MAX + 1, 0), EINVAL);
	CHECK_ERRNO(vfs_read(fs, file, VFS_NO_HANDLE, bytes, VFS_IO_MAX + 1, 0), EINVAL);
	CHECK_INT(vfs_write(fs, file, VFS_NO_HANDLE, bytes, VFS_IO_MAX, 3), VFS_IO_MAX);
	vfs_check_bytes(fs, file, 3, bytes, VFS_IO_MAX);
	check_zeros(fs, file, 0, 3);
}

void promise_the_last_offsets_are_served_or_refused(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "text");
	struct vfs_attributes a = {.size = INT64_MAX};
	struct vfs_caller me = vfs_me();
	char bytes[4];
	int64_t n;

	CHECK_ERRNO(vfs_write(fs, file, VFS_NO_HANDLE, "x", 1, INT64_MAX), EFBIG);
	CHECK_ERRNO(vfs_write(fs, file, VFS_NO_HANDLE, "x", 1, UINT64_MAX), EFBIG);
	CHECK_INT(vfs_read(fs, file, VFS_NO_HANDLE, bytes, 4, INT64_MAX), 0);
	CHECK_ERRNO(vfs_read(fs, file, VFS_NO_HANDLE, bytes, 4, INT64_MAX + 1ull), EINVAL);
	n = vfs_write(fs, file, VFS_NO_HANDLE, "x", 1, INT64_MAX - 1);
	if (!(can & VFS_CAN_HUGE) && n < 0) {
		CHECK_INT(n, -EFBIG);
		CHECK_ERRNO(vfs_setattr(fs, &me, file, VFS_NO_HANDLE, &a, VFS_SET_SIZE, &a), EFBIG);
		vfs_check_text(fs, file, "text");
		return;
	}
	CHECK_INT(n, 1);
	CHECK_INT(vfs_attributes_of(fs, file).size, INT64_MAX);
	CHECK_INT(vfs_read(fs, file, VFS_NO_HANDLE, bytes, 4, INT64_MAX - 2), 2);
	CHECK(!memcmp(bytes, "\0x", 2));
	CHECK_CALL(vfs_setattr(fs, &me, file, VFS_NO_HANDLE, &a, VFS_SET_SIZE, &a));
	a.size = INT64_MAX + 1ull;
	CHECK_ERRNO(vfs_setattr(fs, &me, file, VFS_NO_HANDLE, &a, VFS_SET_SIZE, &a), EFBIG);
	vfs_check_bytes(fs, file, 0, "text", 4);
}

void promise_what_is_synced_is_synced(struct vfs *fs, unsigned can)
{
	uint64_t file = vfs_make_text(fs, VFS_ROOT, "f", "text"), d = vfs_make_directory(fs, VFS_ROOT, "d");
	vfs_handle handle = vfs_opened(fs, file, VFS_WRITE);

	(void)can;
	CHECK_CALL(vfs_fsync(fs, file, handle, false));
	CHECK_CALL(vfs_fsync(fs, file, handle, true));
	CHECK_CALL(vfs_fsync(fs, file, VFS_NO_HANDLE, false));
	CHECK_CALL(vfs_fsyncdir(fs, d));
	CHECK_CALL(vfs_fsyncdir(fs, VFS_ROOT));
	vfs_release(fs, file, handle);
	vfs_check_text(fs, file, "text");
}

void promise_twenty_thousand_calls_leave_what_a_plain_buffer_has(struct vfs *fs, unsigned can)
{
	for (uint32_t seed = 1; seed <= 3; seed++)
		fsx_vfs(fs, "exercised", can & VFS_CAN_HOLES,
			&(struct fsx_options){.seed = seed, .operations = fsx_operations()});
}
