/* SPDX-License-Identifier: Apache-2.0 */
/* Empty disks, judged by e2fsprogs. */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "disk/ext4.h"
#include "run.h"

#define SUPERBLOCK 1024
#define MAGIC_AT   56
#define UUID_AT    104

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
