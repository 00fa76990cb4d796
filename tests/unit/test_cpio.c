/* SPDX-License-Identifier: Apache-2.0 */
/* The archive from which the kernel unpacks its first root file system, byte by byte. */
#include "test.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "codec/cpio.h"

TEST(an_entry_is_as_the_kernel_documents_it)
{
	static const char expected[] = "070701"
				       "00000000" /* inode */
				       "000081ED" /* mode */
				       "00000000" /* uid */
				       "00000000" /* gid */
				       "00000001" /* links */
				       "00000000" /* mtime */
				       "00000005" /* size */
				       "00000000" /* major */
				       "00000000" /* minor */
				       "00000000" /* device major */
				       "00000000" /* device minor */
				       "00000005" /* bytes of the name with its NUL */
				       "00000000" /* checksum */
				       "init\0\0"
				       "hello\0\0";
	_cleanup_buffer_ struct buffer out = {0};
	struct error err;

	CHECK_OK(cpio_write(&out, "init", S_IFREG | 0755, "hello", 5, &err));
	CHECK_INT(out.size, sizeof expected);
	CHECK(!memcmp(out.data, expected, sizeof expected));
}

TEST(everything_begins_at_four_bytes_and_ends_with_the_trailer)
{
	char name[20] = "";

	for (size_t n = 1; n < sizeof name; n++) {
		_cleanup_buffer_ struct buffer out = {0};
		struct error err;
		size_t first;

		name[n - 1] = 'n';
		CHECK_OK(cpio_write(&out, name, S_IFREG, name, n, &err));
		first = out.size;
		CHECK_INT(first % 4, 0);
		CHECK_OK(cpio_write_end(&out, &err));
		CHECK_INT(out.size % 4, 0);
		CHECK(!memcmp(out.data + first, "070701", 6) &&
			!memcmp(out.data + first + 110, "TRAILER!!!", 11));
		CHECK(!memcmp(out.data + 110, name, n + 1));
		CHECK(!memcmp(out.data + ((110 + n + 1 + 3) & ~(size_t)3), name, n));
	}
}

TEST(devices_have_their_numbers)
{
	_cleanup_buffer_ struct buffer out = {0};
	struct error err;

	CHECK_OK(cpio_write_device(&out, "dev/console", S_IFCHR | 0600, 5, 0x1a, &err));
	CHECK(!memcmp(out.data + 6 + 9 * 8, "000000050000001A", 16));
}

TEST(names_that_the_kernel_would_not_take_are_refused)
{
	_cleanup_buffer_ struct buffer out = {0};
	static char name[5000];
	struct error err;

	memset(name, 'n', sizeof name - 1);
	CHECK_ERROR(cpio_write(&out, "", S_IFREG, "", 0, &err), ERROR_INVALID);
	CHECK_ERROR(cpio_write(&out, "/init", S_IFREG, "", 0, &err), ERROR_INVALID);
	CHECK_ERROR(cpio_write(&out, name, S_IFREG, "", 0, &err), ERROR_INVALID);
	CHECK_INT(out.size, 0);
}
