/* SPDX-License-Identifier: Apache-2.0 */
/* The file that handles find their objects by: over restarts, cuts, damage, and when most of it is old. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfs/native/index_file.h"

#define HEADER 16
#define RECORD 45

static int files[2];
static struct native_index_file *f;
static struct native_index index_of_f;

static void again(void)
{
	struct error err;

	native_index_file_free(f);
	f = NULL;
	CHECK_OK(native_index_file_open(files, 1u << 21, &f, &err));
	index_of_f = native_index_file_calls(f);
}

static void set_up(void)
{
	for (int i = 0; i < 2; i++) {
		if (files[i] > 0)
			close(files[i]);
		files[i] = memfd_create("index", MFD_CLOEXEC);
		CHECK(files[i] >= 0);
	}
	again();
}

static void tear_down(void)
{
	native_index_file_free(f);
	f = NULL;
}

static struct native_identity object(uint64_t n)
{
	return (struct native_identity){.device = (uint32_t)(n % 3), .ino = n, .born = n * 1000};
}

static void put(uint64_t n, uint64_t parent, const char *name)
{
	struct native_identity a = object(n), b = object(parent);

	index_of_f.store(index_of_f.context, &a, &b, name);
}

static void drop(uint64_t n)
{
	struct native_identity a = object(n);

	index_of_f.forget(index_of_f.context, &a);
}

/* "" where it is not known. */
static const char *name_of(uint64_t n, uint64_t parent)
{
	static char name[VFS_NAME_MAX + 1];
	struct native_identity a = object(n), b = object(parent), told;

	if (index_of_f.load(index_of_f.context, &a, &told, name) < 0)
		return "";
	CHECK(told.ino == b.ino && told.device == b.device && told.born == b.born);
	return name;
}

static off_t size_of(int file)
{
	struct stat s;

	CHECK(fstat(file, &s) == 0);
	return s.st_size;
}

TEST(what_was_stored_last_is_found_in_the_next_process)
{
	char longest[VFS_NAME_MAX + 1];

	memset(longest, 'n', VFS_NAME_MAX);
	longest[VFS_NAME_MAX] = '\0';
	set_up();
	put(5, 1, "five");
	put(6, 5, longest);
	put(5, 2, "renamed");
	CHECK_TEXT(name_of(5, 2), "renamed");
	for (int i = 0; i < 2; i++) {
		again();
		CHECK_TEXT(name_of(5, 2), "renamed");
		CHECK_TEXT(name_of(6, 5), longest);
		CHECK_TEXT(name_of(7, 5), "");
	}
	tear_down();
}

TEST(what_is_gone_is_forgotten_for_good)
{
	set_up();
	for (uint64_t n = 1; n <= 3000; n++)
		put(n, 1, "a");
	for (uint64_t n = 1; n <= 3000; n += 2)
		drop(n);
	drop(4000);
	for (int i = 0; i < 2; i++) {
		for (uint64_t n = 1; n <= 3000; n++)
			CHECK_TEXT(name_of(n, 1), n % 2 ? "" : "a");
		again();
	}
	tear_down();
}

TEST(the_same_again_is_not_written_again)
{
	off_t size;

	set_up();
	put(5, 1, "five");
	size = size_of(files[0]);
	CHECK_INT(size, HEADER + RECORD + 4);
	again();
	put(5, 1, "five");
	CHECK_INT(size_of(files[0]), size);
	tear_down();
}

TEST(a_record_that_is_cut_anywhere_takes_only_itself_away)
{
	off_t whole;

	set_up();
	put(5, 1, "five");
	put(6, 1, "six");
	whole = size_of(files[0]);
	for (off_t cut = whole - 1; cut >= whole - RECORD - 3; cut--) {
		CHECK(ftruncate(files[0], cut) == 0);
		again();
		CHECK_TEXT(name_of(5, 1), "five");
		CHECK_TEXT(name_of(6, 1), "");
		put(6, 1, "six");
		again();
		CHECK_TEXT(name_of(6, 1), "six");
		CHECK_INT(size_of(files[0]), whole);
	}
	tear_down();
}

TEST(any_damaged_byte_makes_less_known_and_nothing_wrong)
{
	off_t whole;

	set_up();
	put(5, 1, "five");
	put(6, 1, "six");
	whole = size_of(files[0]);
	for (off_t at = 0; at < whole; at++) {
		uint8_t was, other;

		set_up();
		put(5, 1, "five");
		put(6, 1, "six");
		CHECK(pread(files[0], &was, 1, at) == 1);
		other = (uint8_t)(was ^ 0x55);
		CHECK(pwrite(files[0], &other, 1, at) == 1);
		again();
		if (at >= 8 && at < HEADER) /* a generation like any other */
			continue;
		CHECK_TEXT(name_of(5, 1), at < HEADER + RECORD + 4 ? "" : "five");
		CHECK_TEXT(name_of(6, 1), "");
		put(6, 1, "again");
		again();
		CHECK_TEXT(name_of(6, 1), "again");
	}
	tear_down();
}

static void churn(void)
{
	char name[32];

	for (uint64_t n = 1; n <= 100; n++)
		put(n, 1, "stays");
	for (int round = 0; round < 40000; round++) {
		snprintf(name, sizeof name, "name %d", round);
		put(1000 + (uint64_t)round % 7, 1, name);
	}
}

TEST(it_stays_small_however_often_things_are_renamed)
{
	set_up();
	churn();
	CHECK(size_of(files[0]) + size_of(files[1]) < 2 << 20);
	for (int i = 0; i < 2; i++) {
		for (uint64_t n = 1; n <= 100; n++)
			CHECK_TEXT(name_of(n, 1), "stays");
		CHECK_TEXT(name_of(1000 + 39999 % 7, 1), "name 39999");
		again();
	}
	tear_down();
}

TEST(a_change_of_files_that_was_cut_off_leaves_the_one_that_was_in_use)
{
	int other;

	set_up();
	churn();
	put(5, 1, "newest");
	other = size_of(files[0]) > size_of(files[1]) ? 1 : 0;
	/* Records, and no header yet. */
	CHECK(pwrite(files[other], "rubbish", 7, HEADER) == 7);
	again();
	CHECK_TEXT(name_of(5, 1), "newest");
	/* And the header of an older one. */
	CHECK(pwrite(files[other], "MCMINDX1\1\0\0\0\0\0\0\0", HEADER, 0) == HEADER);
	again();
	CHECK_TEXT(name_of(5, 1), "newest");
	tear_down();
}

TEST(files_that_cannot_be_written_to_are_an_error_and_stay_as_they_were)
{
	struct error err;
	int sealed[2];
	char path[40];

	set_up();
	put(5, 1, "five");
	tear_down();
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", files[i]);
		CHECK((sealed[i] = open(path, O_RDONLY | O_CLOEXEC)) >= 0);
	}
	CHECK_ERROR(native_index_file_open(sealed, 1u << 21, &f, &err), ERROR_SYSTEM);
	again();
	CHECK_TEXT(name_of(5, 1), "five");
	tear_down();
}
