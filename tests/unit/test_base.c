/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/map.h"
#include "base/text.h"

TEST(a_clean_path_is_what_its_dots_say)
{
	static const char *const all[][2] = {{"/", "/"}, {"", "/"}, {"//a//b/", "/a/b"},
		{"/a/./b/../c", "/a/c"}, {"/../..", "/"}, {"/a/...", "/a/..."}, {"a/../../b", "/b"},
		{"/.", "/"}};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		char *clean = text_clean_path(all[i][0], NULL);

		CHECK_TEXT(clean, all[i][1]);
		free(clean);
	}
}

TEST(an_error_keeps_its_code_and_cuts_a_long_text)
{
	struct error err;
	char name[2000];

	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = 0;
	CHECK_INT(error_set(&err, ERROR_NOT_FOUND, "open %s", name), -ERROR_NOT_FOUND);
	CHECK_INT(err.code, ERROR_NOT_FOUND);
	CHECK_INT(strlen(err.text), ERROR_TEXT_MAX - 1);
	CHECK(text_ends(err.text, "..."));
	CHECK_INT(error_set(NULL, ERROR_LIMIT, "no object"), -ERROR_LIMIT);
}

TEST(control_bytes_of_a_name_never_reach_the_terminal)
{
	struct error err;

	error_set(&err, ERROR_INVALID, "layer '%s'", "a\033[2Jb\n");
	CHECK_TEXT(err.text, "layer 'a?[2Jb?'");
}

TEST(a_prefix_says_what_was_being_done)
{
	struct error err;

	error_set(&err, ERROR_DENIED, "no access");
	CHECK_INT(error_prefix(&err, "open %s", "/x"), -ERROR_DENIED);
	CHECK_TEXT(err.text, "open /x: no access");
}

TEST(a_buffer_and_a_cursor_agree_on_every_type)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct cursor c;
	_cleanup_free_ char *text = NULL;

	buffer_u8(&b, 0xab);
	buffer_u16(&b, 0xabcd);
	buffer_u32(&b, 0xdeadbeef);
	buffer_u64(&b, 0x0123456789abcdef);
	buffer_string(&b, "hello");
	CHECK(!b.failed);
	c = cursor_of(b.data, b.size);
	CHECK_INT(cursor_u8(&c), 0xab);
	CHECK_INT(cursor_u16(&c), 0xabcd);
	CHECK_INT(cursor_u32(&c), 0xdeadbeef);
	CHECK(cursor_u64(&c) == 0x0123456789abcdef);
	text = cursor_string(&c);
	CHECK_TEXT(text, "hello");
	CHECK(cursor_done(&c));
	CHECK_INT(cursor_u8(&c), 0);
	CHECK(c.failed);
}

TEST(a_cut_string_and_one_with_a_nul_are_refused)
{
	static const uint8_t cut[] = {5, 0, 0, 0, 'a'}, nul[] = {2, 0, 0, 0, 'a', 0};
	struct cursor c = cursor_of(cut, sizeof cut), d = cursor_of(nul, sizeof nul);

	CHECK(!cursor_string(&c) && c.failed);
	CHECK(!cursor_string(&d) && d.failed);
}

TEST(a_buffer_never_grows_past_its_limit)
{
	_cleanup_buffer_ struct buffer b = {.limit = 100};

	for (int i = 0; i < 100; i++)
		CHECK(buffer_u8(&b, 1));
	CHECK(!buffer_u8(&b, 1));
	CHECK_INT(b.size, 100);
}

TEST(buffers_are_equal_by_their_bytes_and_nothing_is_equal_to_nothing)
{
	_cleanup_buffer_ struct buffer a = {0}, b = {0};

	CHECK(buffer_equal(&a, &b));
	buffer_append_text(&a, "one");
	CHECK(!buffer_equal(&a, &b) && !buffer_equal(&b, &a));
	buffer_append_text(&b, "owe");
	CHECK(!buffer_equal(&a, &b));
	buffer_clear(&b);
	buffer_append_text(&b, "one");
	CHECK(buffer_equal(&a, &b));
	buffer_clear(&a);
	buffer_clear(&b);
	CHECK(buffer_equal(&a, &b));
}

TEST(a_map_finds_what_was_set_and_forgets_what_was_removed)
{
	struct map m = {0};
	struct error err;
	static int values[1000];
	char key[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof key, "k%d", i);
		CHECK_OK(map_set(&m, key, strlen(key), &values[i], NULL, &err));
	}
	for (int i = 0; i < 1000; i += 3) {
		snprintf(key, sizeof key, "k%d", i);
		CHECK(map_remove(&m, key, strlen(key)) == &values[i]);
	}
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof key, "k%d", i);
		CHECK(map_get(&m, key, strlen(key)) == (i % 3 ? &values[i] : NULL));
	}
	CHECK_INT(m.size, 666);
	map_free(&m);
}

TEST(sizes_are_read_as_people_write_them)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"512", 512ULL << 20}, {"64K", 64 << 10}, {"1G", 1 << 30}, {"1GiB", 1 << 30},
		{"1.5g", 1536 << 20}, {"10b", 10}, {"2T", 2ULL << 40}};
	static const char *const bad[] = {
		"", "G", "1X", "-1", "1GG", "99999999999999999999", "99999999T", " 1"};
	struct error err;
	uint64_t v;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		CHECK_OK(text_parse_size(good[i].text, 1 << 20, "size", &v, &err));
		CHECK_INT(v, good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(text_parse_size(bad[i], 1, "size", &v, &err) < 0);
}

TEST(durations_are_read_as_people_write_them)
{
	struct error err;
	uint64_t v;

	CHECK_OK(text_parse_duration("1h30m", "time", &v, &err));
	CHECK_INT(v, 5400 * NANOSECONDS_PER_SECOND);
	CHECK_OK(text_parse_duration("250ms", "time", &v, &err));
	CHECK_INT(v, 250000000);
	CHECK_OK(text_parse_duration("3", "time", &v, &err));
	CHECK_INT(v, 3 * NANOSECONDS_PER_SECOND);
	CHECK(text_parse_duration("5x", "time", &v, &err) < 0);
	CHECK(text_parse_duration("", "time", &v, &err) < 0);
	CHECK(text_parse_duration("1h3", "time", &v, &err) < 0);
}

TEST(a_typing_slip_finds_the_word_that_was_meant)
{
	static const char *const words[] = {"inspect", "restart", "resume", "stop", NULL};

	CHECK_TEXT(text_nearest("inpsect", words), "inspect");
	CHECK_TEXT(text_nearest("stpo", words), "stop");
	CHECK(!text_nearest("frobnicate", words));
}

TEST(a_time_is_written_as_rfc_3339)
{
	char out[31];

	CHECK_TEXT(clock_rfc3339(1700000000123456789, out), "2023-11-14T22:13:20.123456789Z");
}
