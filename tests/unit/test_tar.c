/* SPDX-License-Identifier: Apache-2.0 */
/* Archives as all the tars of the world write them, damaged ones, and our own writer's. */
#include "test.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "codec/tar.h"
#include "tar_make.h"

static void must_read(const struct buffer *archive, const char *expected)
{
	_cleanup_free_ char *text = tar_make_text(archive->data, archive->size, archive->size);

	CHECK(!archive->failed);
	CHECK_TEXT(text, expected);
}

static void put_end(struct buffer *out)
{
	CHECK(tar_write_end(out));
}

static void put_entry(struct buffer *out, const struct tar_entry *e, const char *data)
{
	struct error err;

	CHECK_OK(tar_write_entry(out, e, &err));
	if (data)
		tar_make_data(out, data, strlen(data));
}

static void set_link(uint8_t *block)
{
	memcpy(block + 157, "target", 7);
}

/* ---- what is written reads back --------------------------------------------------------------------- */

TEST(entries_of_every_type_come_back_as_they_were_written)
{
	_cleanup_buffer_ struct buffer a = {0};
	struct tar_entry e = {
		.type = TAR_DIRECTORY, .path = "d", .mode = 01777, .uid = 1, .gid = 2, .mtime = 3};

	put_entry(&a, &e, NULL);
	e = (struct tar_entry){.type = TAR_FILE, .path = "d/f", .mode = 04755, .size = 5};
	put_entry(&a, &e, "hello");
	e = (struct tar_entry){.type = TAR_HARD_LINK, .path = "h", .link = "d/f", .size = 5};
	put_entry(&a, &e, NULL);
	e = (struct tar_entry){.type = TAR_SYMBOLIC_LINK, .path = "s", .link = "../x y", .mode = 0777};
	put_entry(&a, &e, NULL);
	e = (struct tar_entry){
		.type = TAR_CHARACTER_DEVICE, .path = "c", .device_major = 1, .device_minor = 3};
	put_entry(&a, &e, NULL);
	e = (struct tar_entry){.type = TAR_BLOCK_DEVICE, .path = "b", .device_minor = 1 << 21};
	put_entry(&a, &e, NULL);
	e = (struct tar_entry){.type = TAR_FIFO, .path = "p", .mode = 0600};
	put_entry(&a, &e, NULL);
	put_end(&a);
	must_read(&a, "dir d 1777 1:2 3.000000000 0\n"
		      "file d/f 4755 0:0 0.000000000 5 0:hello\n"
		      "link h > d/f 0000 0:0 0.000000000 0\n"
		      "symlink s > ../x\\x20y 0777 0:0 0.000000000 0\n"
		      "char c 1:3 0000 0:0 0.000000000 0\n"
		      "block b 0:2097152 0000 0:0 0.000000000 0\n"
		      "fifo p 0600 0:0 0.000000000 0\n"
		      "end\n");
}

TEST(a_plain_tree_needs_no_extended_header)
{
	_cleanup_buffer_ struct buffer a = {0};
	char path[257];
	struct tar_entry e = {.type = TAR_FILE, .path = path, .uid = 07777777, .mtime = 077777777777};

	memset(path, 'x', sizeof path);
	path[155] = '/';
	path[256] = 0;
	put_entry(&a, &e, NULL);
	CHECK_INT(a.size, 512);
}

TEST(times_before_1970_and_parts_of_a_second_come_back)
{
	static const struct {
		int64_t seconds;
		uint32_t nanoseconds;
	} times[] = {{0, 0}, {0, 1}, {-1, 0}, {-1, 999999999}, {-1, 500000000}, {-2, 1}, {1, 120000000},
		{077777777777, 0}, {0100000000000, 7}, {INT64_MAX, 999999999}, {-INT64_MAX, 0},
		{-INT64_MAX, 999999999}};

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		_cleanup_buffer_ struct buffer a = {0};
		struct tar_entry e = {.type = TAR_FIFO,
			.path = "f",
			.mtime = times[i].seconds,
			.mtime_nanoseconds = times[i].nanoseconds};
		char expected[100];

		put_entry(&a, &e, NULL);
		snprintf(expected, sizeof expected, "fifo f 0000 0:0 %lld.%09u 0\n", (long long)e.mtime,
			e.mtime_nanoseconds);
		must_read(&a, expected);
	}
}

TEST(attributes_with_any_byte_in_name_and_value_come_back)
{
	struct tar_xattr xattrs[] = {{"user.a=b%c%3D", (uint8_t *)"\0=\n\xff", 4}, {"user.empty", NULL, 0},
		{"security.capability", (uint8_t *)"\1\0\0\2", 4}};
	_cleanup_buffer_ struct buffer a = {0};
	struct tar_entry e = {.type = TAR_DIRECTORY, .path = "d", .xattrs = xattrs, .xattr_count = 3};

	put_entry(&a, &e, NULL);
	must_read(&a, "dir d 0000 0:0 0.000000000 0 xattr user.a=b%c%3D=\\x00=\\x0a\\xff xattr user.empty= "
		      "xattr security.capability=\\x01\\x00\\x00\\x02\n");
}

TEST(odd_bytes_in_names_come_back)
{
	static char *const names[] = {"\xff\xfe", "new\nline", " ", "-rf", "a\\b", "\x1b[31m", "e\xcc\x81",
		"./a//b/../c", "/", "..", "#", "=", "a=b\n"};

	for (size_t i = 0; i < ARRAY_SIZE(names) * 2; i++) {
		_cleanup_buffer_ struct buffer a = {0}, text = {0};
		char path[400];
		struct tar_entry e = {.type = TAR_SYMBOLIC_LINK, .path = path, .link = path};
		struct tar_reader *reader;
		const uint8_t *in;
		enum tar_event event;
		struct error err;

		/* Once short, once so long that it needs a record. */
		snprintf(path, sizeof path, "%0*d%s", i % 2 ? 300 : 1, 0, names[i / 2]);
		if (path[strlen(path) - 1] == '/')
			continue;
		put_entry(&a, &e, NULL);
		reader = tar_reader_new(NULL, &err);
		in = a.data;
		CHECK_OK(tar_reader_step(reader, &in, &a.size, &event, &err));
		CHECK_INT(event, TAR_ENTRY);
		CHECK_TEXT(tar_reader_entry(reader)->path, path);
		CHECK_TEXT(tar_reader_entry(reader)->link, path);
		tar_reader_free(reader);
	}
}

TEST(files_of_more_than_8_gib_are_read_without_memory_for_them)
{
	const uint64_t size = (UINT64_C(20) << 30) + 3;
	struct tar_entry e = {.type = TAR_FILE, .path = "large", .size = size};
	_cleanup_buffer_ struct buffer a = {0}, next = {0};
	static uint8_t zeroes[1 << 20];
	struct tar_reader *reader;
	enum tar_event event = TAR_MORE;
	uint64_t got = 0, left = size + tar_padding(size);
	struct error err;
	const uint8_t *in;
	size_t n;

	put_entry(&a, &e, NULL);
	put_entry(&next, &(struct tar_entry){.type = TAR_FILE, .path = "next"}, NULL);
	reader = tar_reader_new(NULL, &err);
	in = a.data;
	n = a.size;
	CHECK_OK(tar_reader_step(reader, &in, &n, &event, &err));
	CHECK(event == TAR_ENTRY && tar_reader_entry(reader)->size == size);
	while (left > 0) {
		in = zeroes;
		n = left < sizeof zeroes ? (size_t)left : sizeof zeroes;
		left -= n;
		do {
			CHECK_OK(tar_reader_step(reader, &in, &n, &event, &err));
			if (event == TAR_DATA) {
				CHECK(tar_reader_data(reader)->offset == got);
				got += tar_reader_data(reader)->size;
			}
		} while (event != TAR_MORE);
	}
	CHECK(got == size);
	in = next.data;
	CHECK_OK(tar_reader_step(reader, &in, &next.size, &event, &err));
	CHECK_TEXT(tar_reader_entry(reader)->path, "next");
	tar_reader_free(reader);
}

TEST(the_writer_refuses_what_no_archive_can_hold)
{
	struct tar_xattr nameless = {.name = ""};
	const struct tar_entry bad[] = {{.type = TAR_FILE}, {.type = TAR_FILE, .path = ""},
		{.type = TAR_HARD_LINK, .path = "a"}, {.type = TAR_SYMBOLIC_LINK, .path = "a", .link = ""},
		{.type = TAR_FILE, .path = "a", .size = UINT64_MAX},
		{.type = TAR_FILE, .path = "a", .mtime_nanoseconds = 1000000000},
		{.type = TAR_FILE, .path = "a", .xattrs = &nameless, .xattr_count = 1}};
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_buffer_ struct buffer a = {0};

		CHECK_ERROR(tar_write_entry(&a, &bad[i], &err), ERROR_INVALID);
		CHECK_INT(a.size, 0);
	}
}

/* ---- what other tars write -------------------------------------------------------------------------- */

static void gnu_numbers(uint8_t *block)
{
	static const uint8_t uid[8] = {0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t size[12] = {0x80, 0, 0, 0, 0, 0, 0, 2, 0x80, 0, 0, 1}; /* 10 GiB + 1 */

	memcpy(block + 108, uid, sizeof uid);
	memcpy(block + 124, size, sizeof size);
	memset(block + 136, 0xff, 11); /* two's complement of -2 */
	block[147] = 0xfe;
}

TEST(base_256_numbers_are_read_negative_times_too)
{
	_cleanup_buffer_ struct buffer a = {0};
	_cleanup_free_ char *text = NULL;

	tar_make_header(&a, "f", 0, '0', gnu_numbers);
	text = tar_make_text(a.data, a.size, a.size);
	CHECK_TEXT(text, "file f 0644 4294967295:0 -2.000000000 10737418241error INVALID\n");
}

TEST(gnu_long_names_are_read)
{
	_cleanup_buffer_ struct buffer a = {0};
	char name[301], expected[700], small[4] = "abc";

	memset(name, 'n', 300);
	name[300] = 0;
	tar_make_header(&a, "././@LongLink", 301, 'L', NULL);
	tar_make_data(&a, name, 301);
	tar_make_header(&a, "././@LongLink", 3, 'K', NULL); /* without its NUL */
	tar_make_data(&a, small, 3);
	tar_make_header(&a, "cut", 0, '2', set_link);
	tar_make_header(&a, "other", 0, '2', set_link);
	snprintf(expected, sizeof expected,
		"symlink %s > abc 0644 0:0 1.000000000 0\nsymlink other > target 0644 0:0 1.000000000 0\n",
		name);
	must_read(&a, expected);
}

TEST(pax_records_win_over_the_header_and_hold_for_one_entry)
{
	_cleanup_buffer_ struct buffer a = {0}, records = {0};

	tar_make_text_record(&records, "path", "wrong");
	tar_make_text_record(&records, "path", "dir/name");
	tar_make_text_record(&records, "uid", "4294967295");
	tar_make_text_record(&records, "mtime", "-0.25");
	tar_make_text_record(&records, "comment", "nobody reads this");
	tar_make_text_record(&records, "SCHILY.xattr.user.a", "b");
	tar_make_pax(&a, 'x', &records);
	tar_make_ustar(&a, "f", 0, '0', NULL);
	tar_make_ustar(&a, "g", 0, '0', NULL);
	must_read(&a, "file dir/name 0644 4294967295:0 -1.750000000 0 xattr user.a=b\n"
		      "file g 0644 0:0 1.000000000 0\n");
}

TEST(a_global_header_holds_until_it_is_taken_back)
{
	_cleanup_buffer_ struct buffer a = {0}, records = {0};

	tar_make_text_record(&records, "gid", "7");
	tar_make_text_record(&records, "mtime", "5.5");
	tar_make_pax(&a, 'g', &records);
	tar_make_ustar(&a, "f", 0, '0', NULL);
	tar_make_text_record(&records, "mtime", "");
	tar_make_pax(&a, 'x', &records);
	tar_make_ustar(&a, "g", 0, '0', NULL);
	tar_make_text_record(&records, "gid", "");
	tar_make_pax(&a, 'g', &records);
	tar_make_ustar(&a, "h", 0, '0', NULL);
	must_read(&a, "file f 0644 0:7 5.500000000 0\n"
		      "file g 0644 0:7 1.000000000 0\n"
		      "file h 0644 0:0 5.500000000 0\n");
}

TEST(times_with_fractions_are_read_and_round_down)
{
	static const struct {
		const char *text, *expected;
	} times[] = {{"1.5", "1.500000000"}, {"1.0000000019", "1.000000001"}, {"-1.5", "-2.500000000"},
		{"-0.0000000001", "-1.999999999"}, {"-1.0000000001", "-2.999999999"}, {"7", "7.000000000"},
		{"0.", "0.000000000"}, {"-0.0", "0.000000000"}};
	static const char *const bad[] = {"-", "x", "1.x", "1e5", ".5", "99999999999999999999", " 1", "--1"};
	char expected[100];

	for (size_t i = 0; i < ARRAY_SIZE(times) + ARRAY_SIZE(bad); i++) {
		_cleanup_buffer_ struct buffer a = {0}, records = {0};
		bool good = i < ARRAY_SIZE(times);

		tar_make_text_record(&records, "mtime", good ? times[i].text : bad[i - ARRAY_SIZE(times)]);
		tar_make_pax(&a, 'x', &records);
		tar_make_ustar(&a, "f", 0, '0', NULL);
		snprintf(expected, sizeof expected, "file f 0644 0:0 %s 0\n", good ? times[i].expected : "");
		must_read(&a, good ? expected : "error INVALID\n");
	}
}

static void old_map(uint8_t *block)
{
	memcpy(block + 386,
		"00000000000\0"
		"00000000005\0"
		"00000010000\0"
		"00000000005\0",
		48);
	memcpy(block + 483, "00000020000", 12);
}

/* The same two parts, but with four empty ones behind them, and the last of all at the end. */
static void long_map(uint8_t *block)
{
	old_map(block);
	memcpy(block + 434,
		"00000010005\0"
		"00000000000\0"
		"00000010005\0"
		"00000000000\0",
		48);
	block[482] = 1;
}

static void put_old_sparse(struct buffer *a, bool more)
{
	uint8_t block[512] = "00000020000\0"
			     "00000000000\0";

	tar_make_header(a, "s", 10, 'S', more ? long_map : old_map);
	if (more)
		buffer_append(a, block, sizeof block);
	tar_make_data(a, "helloworld", 10);
}

static void put_pax_sparse(struct buffer *a, unsigned minor)
{
	_cleanup_buffer_ struct buffer records = {0};

	tar_make_text_record(&records, "GNU.sparse.size", "8192");
	tar_make_text_record(&records, "GNU.sparse.numblocks", minor ? "2" : "3");
	if (minor) {
		tar_make_text_record(&records, "GNU.sparse.name", "s");
		tar_make_text_record(&records, "GNU.sparse.map", "0,5,4096,5");
	} else {
		static const char *const parts[][2] = {{"0", "5"}, {"4096", "5"}, {"8192", "0"}};

		for (size_t i = 0; i < 3; i++) {
			tar_make_text_record(&records, "GNU.sparse.offset", parts[i][0]);
			tar_make_text_record(&records, "GNU.sparse.numbytes", parts[i][1]);
		}
	}
	tar_make_pax(a, 'x', &records);
	tar_make_ustar(a, minor ? "GNUSparseFile.1/s" : "s", 10, '0', NULL);
	tar_make_data(a, "helloworld", 10);
}

static void put_lines_sparse(struct buffer *a, const char *map)
{
	_cleanup_buffer_ struct buffer records = {0};

	tar_make_text_record(&records, "GNU.sparse.major", "1");
	tar_make_text_record(&records, "GNU.sparse.minor", "0");
	tar_make_text_record(&records, "GNU.sparse.name", "s");
	tar_make_text_record(&records, "GNU.sparse.realsize", "8192");
	tar_make_pax(a, 'x', &records);
	tar_make_ustar(a, "GNUSparseFile.1/s", 512 + 10, '0', NULL);
	tar_make_data(a, map, strlen(map));
	tar_make_data(a, "helloworld", 10);
}

TEST(sparse_files_of_every_kind_give_their_parts)
{
	for (int kind = 0; kind < 5; kind++) {
		_cleanup_buffer_ struct buffer a = {0};

		if (kind < 2)
			put_old_sparse(&a, kind == 1);
		else if (kind < 4)
			put_pax_sparse(&a, (unsigned)kind - 2);
		else
			put_lines_sparse(&a, "3\n0\n5\n4096\n5\n8192\n0\n");
		tar_make_ustar(&a, "next", 0, '0', NULL);
		must_read(&a, "file s 0644 0:0 1.000000000 8192 0:hello 4096:world\n"
			      "file next 0644 0:0 1.000000000 0\n");
	}
}

TEST(sparse_files_come_back_as_they_were_written)
{
	static const char name[] =
		"d/a-name-that-is-so-long-that-it-does-not-fit-into-the-header-of-an-entry,-"
		"whose-hundred-bytes-it-has-\xff";
	const struct tar_part parts[] = {{0, 5}, {4096, 5}, {8192, 0}}, last[] = {{8187, 5}};
	const struct tar_part bad[][2] = {
		{{0, 5}, {4, 1}}, {{5, 1}, {0, 1}}, {{0, 1}, {8192, 1}}, {{0, 1}, {UINT64_MAX, 2}}};
	_cleanup_buffer_ struct buffer a = {0};
	struct tar_entry e = {.type = TAR_FILE, .path = "d/s", .mode = 0644, .size = 8192, .mtime = 1};
	struct error err;

	CHECK_OK(tar_write_sparse(&a, &e, parts, ARRAY_SIZE(parts), &err));
	tar_make_data(&a, "helloworld", 10);
	e.path = (char *)name;
	CHECK_OK(tar_write_sparse(&a, &e, last, ARRAY_SIZE(last), &err));
	tar_make_data(&a, "world", 5);
	e.path = "all";
	CHECK_OK(tar_write_sparse(&a, &e, &(struct tar_part){8192, 0}, 1, &err));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_ERROR(tar_write_sparse(&a, &e, bad[i], 2, &err), ERROR_INVALID);
	put_end(&a);
	must_read(&a, "file d/s 0644 0:0 1.000000000 8192 0:hello 4096:world\n"
		      "file d/a-name-that-is-so-long-that-it-does-not-fit-into-the-header-of-an-entry,-"
		      "whose-hundred-bytes-it-has-\\xff 0644 0:0 1.000000000 8192 8187:world\n"
		      "file all 0644 0:0 1.000000000 8192\n"
		      "end\n");
}

TEST(maps_of_sparse_files_that_cannot_be_are_errors)
{
	static const char *const maps[] = {"3\n0\n5\n4096\n5\n", "2\n0\n5\n4\n5\n", "2\n4096\n5\n0\n5\n",
		"2\n0\n5\n8190\n5\n", "1\n0\n5\n", "1\n0\n11\n", "x\n", "\n",
		"2\n0\n5\n4096\n99999999999999999999\n", "2\n0\n5\n9223372036854775807\n5\n", "-1\n",
		"2000000\n0\n"};

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		_cleanup_buffer_ struct buffer a = {0};

		put_lines_sparse(&a, maps[i]);
		must_read(&a, i + 1 == ARRAY_SIZE(maps) ? "error LIMIT\n" : "error INVALID\n");
	}
}

TEST(a_hard_link_may_carry_data_or_only_claim_to)
{
	_cleanup_buffer_ struct buffer a = {0}, b = {0}, records = {0};

	/* Old tars give a size and store nothing. */
	tar_make_ustar(&a, "h", 5, '1', set_link);
	tar_make_ustar(&a, "f", 0, '0', NULL);
	tar_make_ustar(&a, "h", 5, '1', set_link);
	put_end(&a);
	must_read(&a, "link h > target 0644 0:0 1.000000000 0\nfile f 0644 0:0 1.000000000 0\n"
		      "link h > target 0644 0:0 1.000000000 0\nend\n");
	/* pax -o linkdata stores the bytes. */
	tar_make_ustar(&b, "h", 5, '1', set_link);
	tar_make_data(&b, "hello", 5);
	tar_make_text_record(&records, "size", "5");
	tar_make_pax(&b, 'x', &records);
	tar_make_ustar(&b, "i", 0, '1', set_link);
	tar_make_data(&b, "world", 5);
	must_read(&b, "link h > target 0644 0:0 1.000000000 5 0:hello\n"
		      "link i > target 0644 0:0 1.000000000 5 0:world\n");
}

static void v7(uint8_t *block)
{
	memset(block + 257, 0, 8);
}

TEST(v7_directories_lists_and_labels_are_understood)
{
	_cleanup_buffer_ struct buffer a = {0};

	tar_make_header(&a, "d/", 0, 0, v7);
	tar_make_header(&a, "LABEL", 0, 'V', NULL);
	tar_make_header(&a, "list", 4, 'D', NULL);
	tar_make_data(&a, "Yf\0\0", 4);
	tar_make_header(&a, "c", 0, '7', NULL);
	must_read(&a, "dir d 0644 0:0 1.000000000 0\ndir list 0644 0:0 1.000000000 0\n"
		      "file c 0644 0:0 1.000000000 0\n");
}

/* ---- damage ----------------------------------------------------------------------------------------- */

/* One entry of each kind that takes more than one block. */
static void put_many(struct buffer *a)
{
	_cleanup_buffer_ struct buffer records = {0};
	char name[120];

	memset(name, 'n', sizeof name);
	tar_make_header(a, "././@LongLink", sizeof name, 'L', NULL);
	tar_make_data(a, name, sizeof name);
	tar_make_header(a, "f", 700, '0', NULL);
	for (int i = 0; i < 700; i++)
		buffer_u8(a, 'd');
	tar_make_data(a, NULL, 0);
	while (a->size % 512)
		buffer_u8(a, 0);
	tar_make_text_record(&records, "mtime", "1.5");
	tar_make_pax(a, 'g', &records);
	put_old_sparse(a, true);
	put_pax_sparse(a, 0);
	put_lines_sparse(a, "2\n0\n5\n4096\n5\n");
	tar_make_ustar(a, "h", 5, '1', set_link);
	tar_make_data(a, "hello", 5);
	put_end(a);
}

TEST(an_archive_in_pieces_of_any_size_means_the_same)
{
	_cleanup_buffer_ struct buffer a = {0};
	_cleanup_free_ char *whole = NULL;

	put_many(&a);
	whole = tar_make_text(a.data, a.size, a.size);
	CHECK(strstr(whole, "end\n"));
	for (size_t piece = 1; piece <= 1100; piece++) {
		_cleanup_free_ char *text = tar_make_text(a.data, a.size, piece);

		CHECK_TEXT(text, whole);
	}
}

TEST(an_archive_cut_at_any_byte_is_an_error_but_between_entries)
{
	_cleanup_buffer_ struct buffer a = {0};
	_cleanup_free_ char *whole = NULL;
	size_t accepted = 0;

	put_many(&a);
	whole = tar_make_text(a.data, a.size, a.size);
	for (size_t n = 0; n < a.size; n++) {
		void *cut = malloc(n ? n : 1); /* so that reading beyond it shows */
		_cleanup_free_ char *text = NULL;

		memcpy(cut, a.data, n);
		text = tar_make_text(cut, n, n ? n : 1);
		free(cut);
		if (strstr(text, "error INVALID\n"))
			continue;
		CHECK(!strstr(text, "error"));
		CHECK(n % 512 == 0 && !strncmp(text, whole, strlen(text)));
		accepted++;
	}
	/* Empty, behind each of five entries, behind the global header, and behind the first zero block. */
	CHECK_INT(accepted, 8);
}

TEST(a_header_with_any_byte_changed_is_an_error)
{
	_cleanup_buffer_ struct buffer a = {0};

	tar_make_ustar(&a, "f", 0, '0', NULL);
	tar_make_ustar(&a, "g", 0, '0', NULL);
	for (size_t at = 0; at < 1024; at++) {
		_cleanup_free_ char *text = NULL;

		if (at % 512 == 155) /* a blank behind the checksum that nobody looks at */
			continue;
		a.data[at] ^= 1;
		text = tar_make_text(a.data, a.size, a.size);
		a.data[at] ^= 1;
		CHECK(strstr(text, "error INVALID\n"));
		CHECK(at < 512 || !strncmp(text, "file f", 6));
	}
}

TEST(old_checksums_over_signed_bytes_are_accepted)
{
	_cleanup_buffer_ struct buffer a = {0};
	int sum = 0;

	tar_make_ustar(&a, "\xff\xfe", 0, '0', NULL);
	memset(a.data + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += (int8_t)a.data[i];
	snprintf((char *)a.data + 148, 7, "%06o", (unsigned)sum & 0777777);
	must_read(&a, "file \\xff\\xfe 0644 0:0 1.000000000 0\n");
}

TEST(what_follows_the_end_is_not_looked_at)
{
	_cleanup_buffer_ struct buffer a = {0}, b = {0};

	tar_make_ustar(&a, "f", 0, '0', NULL);
	put_end(&a);
	buffer_append_text(&a, "garbage");
	must_read(&a, "file f 0644 0:0 1.000000000 0\nend\n");
	tar_make_ustar(&b, "f", 0, '0', NULL);
	for (int i = 0; i < 512; i++)
		buffer_u8(&b, 0);
	tar_make_ustar(&b, "g", 0, '0', NULL);
	must_read(&b, "file f 0644 0:0 1.000000000 0\nerror INVALID\n");
}

static void negative_size(uint8_t *block)
{
	memset(block + 124, 0xff, 12);
}

static void large_uid(uint8_t *block)
{
	memcpy(block + 108, "\x80\0\0\1\0\0\0\0", 8);
}

static void no_number(uint8_t *block)
{
	memcpy(block + 100, "0o00644", 8);
}

TEST(entries_that_make_no_sense_are_errors)
{
	static const struct {
		char type;
		const char *name;
		tar_make_edit edit;
	} bad[] = {{'M', "f", NULL}, {'Z', "f", NULL}, {'1', "f", NULL}, {'2', "f", NULL}, {'0', "", NULL},
		{'0', "f", negative_size}, {'0', "f", large_uid}, {'0', "f", no_number}, {'S', "d/", NULL},
		{'3', "f", v7}, {'S', "f", v7}, {'L', "f", NULL}, {'x', "f", negative_size}};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_buffer_ struct buffer a = {0};

		tar_make_header(&a, bad[i].name, 0, bad[i].type, bad[i].edit);
		must_read(&a, "error INVALID\n");
	}
}

TEST(records_that_make_no_sense_are_errors)
{
	static const struct {
		char type;
		const char *bytes;
		size_t size;
	} bad[] = {{'x', "5 a=b\n", 6}, {'x', "7 a=b\n", 6}, {'x', "6 a-b\n", 6}, {'x', "6 a=b\0", 6},
		{'x', "4 =\n", 4}, {'x', " a=b\n", 5}, {'x', "0 a=b\n", 6},
		{'x', "99999999999999999999 a=b\n", 25}, {'x', "10 path=\0\n", 10}, {'x', "9 p\0th=a\n", 9},
		{'x', "9 uid=-1\n", 9}, {'x', "18 uid=4294967296\n", 18},
		{'x', "25 GNU.sparse.offset=5\n", 23}, {'x', "24 SCHILY.xattr.user.a=b\n", 25},
		{'x', "18 SCHILY.xattr.=\n", 18}, {'g', "26 SCHILY.xattr.user.a=bc\n", 26},
		{'g', "21 GNU.sparse.name=a\n", 21}};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_buffer_ struct buffer a = {0}, records = {0};

		buffer_append(&records, bad[i].bytes, bad[i].size);
		tar_make_pax(&a, bad[i].type, &records);
		tar_make_ustar(&a, "f", 0, '0', NULL);
		must_read(&a, "error INVALID\n");
	}
}

TEST(what_is_over_a_limit_is_an_error_before_it_takes_memory)
{
	_cleanup_buffer_ struct buffer a = {0}, b = {0}, c = {0}, records = {0};
	char name[5000];

	tar_make_ustar(&a, "pax", 1 << 30, 'x', NULL);
	must_read(&a, "error LIMIT\n");
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = 0;
	tar_make_text_record(&records, "path", name);
	tar_make_pax(&b, 'x', &records);
	tar_make_ustar(&b, "f", 0, '0', NULL);
	must_read(&b, "error LIMIT\n");
	for (int i = 0; i < 1025; i++) {
		snprintf(name, sizeof name, "SCHILY.xattr.user.%d", i);
		tar_make_text_record(&records, name, "");
	}
	tar_make_pax(&c, 'x', &records);
	must_read(&c, "error LIMIT\n");
}

TEST(after_an_error_the_reader_only_repeats_it)
{
	struct error err;
	struct tar_reader *reader = tar_reader_new(NULL, &err);
	static uint8_t block[512] = "nonsense";

	for (int i = 0; i < 3; i++) {
		const uint8_t *in = block;
		size_t n = sizeof block;
		enum tar_event event;

		CHECK_ERROR(tar_reader_step(reader, &in, &n, &event, &err), ERROR_INVALID);
		CHECK_ERROR(tar_reader_finish(reader, &err), ERROR_INVALID);
	}
	tar_reader_free(reader);
}
