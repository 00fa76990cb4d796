/* SPDX-License-Identifier: Apache-2.0 */
/* Users as docker resolves them, in files that may be odd or missing. */
#include "test.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "codec/passwd.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
			     "# user:x:9:9::/:/bin/sh\n"
			     "\n"
			     "short:x:1\n"
			     "user:x:1000:1001:A User:/home/user:/bin/zsh\n"
			     "user:x:2000:2000:again:/second:/bin/sh\n"
			     "bare:x:7:8\n"
			     "bad:x:abc:1::/:\n"
			     "large:x:4294967295:1::/:\n"
			     "1234:x:55:56::/number:/bin/n\n"
			     "last:x:3:4::/home/last:/bin/last"; /* without a newline */
static const char group[] = "root:x:0:\n"
			    "audio:x:29:user,bare\n"
			    "video:x:44:bare,user,other\n"
			    "again:x:29:user\n"
			    "users:x:1001:user\n"
			    "notuser:x:45:useruser,use\n"
			    "bad:x::user\n"
			    "77:x:78:\n";

/* "UID:GID[,GROUP...] HOME SHELL" in text, or the error's name. */
static const char *resolve(const char *spec, char *text, size_t size)
{
	struct passwd_user u;
	struct error err;
	int r = passwd_resolve(spec, passwd, sizeof passwd - 1, group, sizeof group - 1, &u, &err);
	size_t n;

	if (r < 0) {
		snprintf(text, size, "%s", error_name(r));
		return text;
	}
	n = (size_t)snprintf(text, size, "%u", u.uid);
	for (size_t i = 0; i < u.group_count; i++)
		n += (size_t)snprintf(text + n, size - n, "%c%u", i ? ',' : ':', u.groups[i]);
	CHECK(u.groups[0] == u.gid);
	snprintf(text + n, size - n, " %s %s", u.home, u.shell);
	passwd_user_free(&u);
	return text;
}

static void must_be(const char *spec, const char *expected)
{
	char text[500];

	CHECK_TEXT(resolve(spec, text, sizeof text), expected);
}

TEST(users_are_found_by_name_and_by_number)
{
	must_be("", "0:0 /root /bin/bash");
	must_be("root", "0:0 /root /bin/bash");
	must_be("user", "1000:1001,29,44 /home/user /bin/zsh");
	must_be("1000", "1000:1001,29,44 /home/user /bin/zsh");
	must_be("last", "3:4 /home/last /bin/last");
}

TEST(a_number_needs_no_account_a_name_does)
{
	must_be("4321", "4321:0 / /bin/sh");
	must_be("nobody", "NOT_FOUND");
	must_be("short", "NOT_FOUND");
	must_be("bad", "NOT_FOUND");
	must_be("large", "NOT_FOUND");
	must_be("# user", "NOT_FOUND");
}

TEST(a_name_of_digits_is_a_name_where_there_is_one)
{
	must_be("1234", "55:56 /number /bin/n");
	must_be("0:77", "0:78 /root /bin/bash");
}

TEST(a_group_that_is_given_stands_alone)
{
	must_be("user:audio", "1000:29 /home/user /bin/zsh");
	must_be("user:12345", "1000:12345 /home/user /bin/zsh");
	must_be("9:10", "9:10 / /bin/sh");
	must_be("user:", "1000:1001,29,44 /home/user /bin/zsh");
	must_be(":29", "0:29 /root /bin/bash");
	must_be("user:nogroup", "NOT_FOUND");
	must_be("user:bad", "NOT_FOUND");
}

TEST(what_an_account_leaves_out_has_defaults)
{
	must_be("bare", "7:8,29,44 / /bin/sh");
}

TEST(numbers_out_of_range_are_refused)
{
	must_be("2147483647", "2147483647:0 / /bin/sh");
	must_be("2147483648", "LIMIT");
	must_be("99999999999999999999999", "LIMIT");
	must_be("0:2147483648", "LIMIT");
	must_be("-1", "NOT_FOUND");
}

TEST(an_image_without_the_files_has_root_and_numbers)
{
	struct passwd_user u;
	struct error err;

	CHECK_OK(passwd_resolve("", NULL, 0, NULL, 0, &u, &err));
	CHECK(u.uid == 0 && u.gid == 0 && u.group_count == 1);
	CHECK_TEXT(u.home, "/root");
	passwd_user_free(&u);
	CHECK_OK(passwd_resolve("5:6", NULL, 0, NULL, 0, &u, &err));
	CHECK(u.uid == 5 && u.gid == 6);
	passwd_user_free(&u);
	CHECK_ERROR(passwd_resolve("user", NULL, 0, NULL, 0, &u, &err), ERROR_NOT_FOUND);
	CHECK(strstr(err.text, "user"));
}

TEST(more_groups_than_there_is_room_for_are_left_out)
{
	_cleanup_buffer_ struct buffer groups = {0};
	struct passwd_user u;
	struct error err;

	for (int i = 0; i < 1000; i++)
		buffer_format(&groups, "g%d:x:%d:user\n", i, 5000 + i);
	CHECK_OK(passwd_resolve("user", passwd, sizeof passwd - 1, groups.data, groups.size, &u, &err));
	CHECK_INT(u.group_count, PASSWD_GROUPS_MAX);
	CHECK_INT(u.groups[PASSWD_GROUPS_MAX - 1], 5000 + PASSWD_GROUPS_MAX - 2);
	passwd_user_free(&u);
}

TEST(lines_with_nul_bytes_are_no_lines)
{
	static const char odd[] = "us\0er:x:1:2::/:\nuser:x:3:4::/\0home:/bin/sh\nuser:x:5:6::/:/bin/ok\n";
	struct passwd_user u;
	struct error err;

	CHECK_OK(passwd_resolve("user", odd, sizeof odd - 1, NULL, 0, &u, &err));
	CHECK_INT(u.uid, 5);
	passwd_user_free(&u);
}
