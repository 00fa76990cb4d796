/* SPDX-License-Identifier: Apache-2.0 */
/* A stranger's changes become one canonical layer, or are refused. */
#include "test.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "codec/sha256.h"
#include "codec/tar.h"
#include "oci/layer_path.h"
#include "oci/layer_writer.h"
#include "tar_make.h"

static void add_entry(struct buffer *tar, const struct tar_entry *e, const char *contents)
{
	struct error err;

	CHECK_OK(tar_write_entry(tar, e, &err));
	if (e->type == TAR_FILE)
		tar_make_data(tar, contents, (size_t)e->size);
}

static void add(struct buffer *tar, enum tar_type type, const char *path, const char *rest)
{
	const bool link = type == TAR_HARD_LINK || type == TAR_SYMBOLIC_LINK;

	add_entry(tar,
		&(struct tar_entry){.type = type,
			.path = (char *)path,
			.link = link ? (char *)rest : NULL,
			.mode = 0644,
			.uid = 7,
			.gid = 8,
			.mtime = 1000,
			.device_major = 1,
			.device_minor = 3,
			.size = type == TAR_FILE ? strlen(rest) : 0},
		rest);
}

static int collect(void *context, const void *data, size_t n, struct error *err)
{
	return buffer_append(context, data, n) ? 0 : error_no_memory(err, "collect");
}

static int write_layer(const struct buffer *tar, size_t piece, const struct image_limits *limits,
	struct buffer *packed, struct layer *layer, struct error *err)
{
	struct layer_writer *w;
	int r;

	CHECK(layer_writer_new(limits, collect, packed, &w, err) == 0);
	r = 0;
	for (size_t at = 0; r == 0 && at < tar->size; at += piece)
		r = layer_writer_feed(
			w, tar->data + at, tar->size - at < piece ? tar->size - at : piece, err);
	if (r == 0)
		r = layer_writer_finish(w, layer, err);
	layer_writer_free(w);
	return r;
}

static void unpack(const struct buffer *packed, struct buffer *plain)
{
	z_stream z = {.next_in = packed->data, .avail_in = (uInt)packed->size};
	const size_t most = 16 * 1024 * 1024;

	CHECK(inflateInit2(&z, 15 + 16) == Z_OK && buffer_reserve(plain, most));
	z.next_out = plain->data;
	z.avail_out = (uInt)most;
	CHECK(inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_in == 0);
	plain->size = z.total_out;
	inflateEnd(&z);
}

static void expect_layer(struct buffer *tar, const char *expected)
{
	_cleanup_buffer_ struct buffer packed = {0}, plain = {0};
	_cleanup_free_ char *text = NULL;
	struct layer layer;
	struct error err;

	tar_write_end(tar);
	CHECK_OK(write_layer(tar, 700, NULL, &packed, &layer, &err));
	unpack(&packed, &plain);
	text = tar_make_text(plain.data, plain.size, plain.size);
	CHECK_TEXT(text, expected);
}

/* An archive of these entries is refused. Takes the archive. */
static void expect_refused(struct buffer *tar)
{
	_cleanup_buffer_ struct buffer packed = {0};
	struct layer layer;
	struct error err;

	tar_write_end(tar);
	CHECK_ERROR(write_layer(tar, tar->size, NULL, &packed, &layer, &err), ERROR_INVALID);
	buffer_clear(tar);
}

TEST(a_layer_holds_all_kinds_of_entries)
{
	_cleanup_buffer_ struct buffer tar = {0};

	add(&tar, TAR_DIRECTORY, ".", NULL);
	add(&tar, TAR_DIRECTORY, "d", NULL);
	add(&tar, TAR_FILE, "d/.wh..wh..opq", "");
	add(&tar, TAR_FILE, "d/file", "text");
	add(&tar, TAR_FILE, "d/.wh.gone", "");
	add(&tar, TAR_HARD_LINK, "d/hard", "d/file");
	add(&tar, TAR_SYMBOLIC_LINK, "d/soft", "../../anywhere");
	add(&tar, TAR_CHARACTER_DEVICE, "null", NULL);
	add(&tar, TAR_FIFO, "pipe", NULL);
	add(&tar, TAR_BLOCK_DEVICE, "zero", NULL);
	expect_layer(&tar, "dir . 0644 7:8 1000.000000000 0\n"
			   "dir d 0644 7:8 1000.000000000 0\n"
			   "file d/.wh..wh..opq 0600 0:0 0.000000000 0\n"
			   "file d/file 0644 7:8 1000.000000000 4 0:text\n"
			   "file d/.wh.gone 0600 0:0 0.000000000 0\n"
			   "link d/hard > d/file 0644 7:8 1000.000000000 0\n"
			   "symlink d/soft > ../../anywhere 0644 7:8 1000.000000000 0\n"
			   "char null 1:3 0644 7:8 1000.000000000 0\n"
			   "fifo pipe 0644 7:8 1000.000000000 0\n"
			   "block zero 1:3 0644 7:8 1000.000000000 0\n"
			   "end\n");
}

TEST(what_is_told_of_a_layer_is_true)
{
	_cleanup_buffer_ struct buffer tar = {0}, packed = {0}, plain = {0};
	uint8_t hash[SHA256_SIZE];
	char digest[SHA256_DIGEST_SIZE];
	struct layer layer;
	struct error err;

	add(&tar, TAR_FILE, "a", "text");
	add_entry(&tar,
		&(struct tar_entry){.type = TAR_FILE, .path = (char *)"b", .mtime = 1700000000, .size = 0},
		"");
	tar_write_end(&tar);
	CHECK_OK(write_layer(&tar, 100, NULL, &packed, &layer, &err));
	unpack(&packed, &plain);
	CHECK_INT(layer.size, packed.size);
	CHECK_INT(layer.plain_size, plain.size);
	CHECK_INT(layer.entries, 2);
	CHECK_INT(layer.newest, 1700000000);
	CHECK_OK(sha256_of(packed.data, packed.size, hash, &err));
	CHECK_TEXT(layer.digest, sha256_digest(hash, digest));
	CHECK_OK(sha256_of(plain.data, plain.size, hash, &err));
	CHECK_TEXT(layer.diff_id, sha256_digest(hash, digest));
}

TEST(the_same_changes_are_the_same_bytes_however_they_come)
{
	static const size_t pieces[] = {1, 511, 512, 70000, SIZE_MAX / 2};
	_cleanup_buffer_ struct buffer tar = {0}, first = {0};
	_cleanup_free_ char *contents = malloc(300001);
	struct layer layer, again;
	struct error err;

	for (size_t i = 0; i < 300000; i++)
		contents[i] = (char)('a' + (i * i >> 7) % 23);
	contents[300000] = '\0';
	add(&tar, TAR_FILE, "a", contents);
	add(&tar, TAR_FILE, "b", "x");
	tar_write_end(&tar);
	CHECK_OK(write_layer(&tar, tar.size, NULL, &first, &layer, &err));
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		_cleanup_buffer_ struct buffer packed = {0};
		size_t piece = pieces[i] < tar.size ? pieces[i] : tar.size;

		CHECK_OK(write_layer(&tar, piece, NULL, &packed, &again, &err));
		CHECK(packed.size == first.size && !memcmp(packed.data, first.data, first.size));
		CHECK_TEXT(again.digest, layer.digest);
	}
}

TEST(no_bytes_at_all_are_an_empty_layer_whose_digests_are_known)
{
	_cleanup_buffer_ struct buffer none = {0}, packed = {0};
	struct layer layer;
	struct error err;

	CHECK_OK(write_layer(&none, 1, NULL, &packed, &layer, &err));
	/* SHA-256 of 1,024 zero bytes, the diff id of every empty layer. */
	CHECK_TEXT(layer.diff_id, "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
	CHECK_INT(layer.entries, 0);
	CHECK(layer.newest == INT64_MIN);
	/* gzip's header: no name, no time, no system. */
	CHECK(packed.size > 10 && !memcmp(packed.data, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10));
}

TEST(other_forms_of_tar_become_the_one_form)
{
	_cleanup_buffer_ struct buffer tar = {0}, gnu = {0}, a = {0}, b = {0};
	struct layer first, second;
	struct error err;

	/* GNU's header with a user's name, "./", a doubled slash; and ours. */
	tar_make_header(&gnu, ".//d/./file", 4, '0', NULL);
	tar_make_data(&gnu, "text", 4);
	add_entry(&tar,
		&(struct tar_entry){
			.type = TAR_FILE, .path = (char *)"d/file", .mode = 0644, .mtime = 1, .size = 4},
		"text");
	CHECK_OK(write_layer(&gnu, 10, NULL, &a, &first, &err));
	CHECK_OK(write_layer(&tar, 10, NULL, &b, &second, &err));
	CHECK_TEXT(first.digest, second.digest);
}

TEST(attributes_are_in_the_order_of_their_names)
{
	_cleanup_buffer_ struct buffer tar = {0};
	struct tar_xattr list[] = {{(char *)"user.b", (uint8_t *)"1", 1},
		{(char *)"security.a", (uint8_t *)"2", 1}, {(char *)"user.a", (uint8_t *)"3", 1}};

	add_entry(&tar,
		&(struct tar_entry){.type = TAR_FILE, .path = (char *)"f", .xattrs = list, .xattr_count = 3},
		"");
	expect_layer(&tar,
		"file f 0000 0:0 0.000000000 0 xattr security.a=2 xattr user.a=3 xattr user.b=1\nend\n");
}

TEST(names_out_of_order_or_twice_are_refused)
{
	_cleanup_buffer_ struct buffer tar = {0};

	add(&tar, TAR_FILE, "b", "");
	add(&tar, TAR_FILE, "a", "");
	expect_refused(&tar);
	add(&tar, TAR_FILE, "a", "");
	add(&tar, TAR_FILE, "a", "");
	expect_refused(&tar);
	add(&tar, TAR_FILE, "a", "");
	add(&tar, TAR_FILE, "./a", "");
	expect_refused(&tar);
	add(&tar, TAR_FILE, ".wh.a", "");
	add(&tar, TAR_FILE, "a", "");
	expect_refused(&tar);
	add(&tar, TAR_DIRECTORY, "d", NULL);
	add(&tar, TAR_DIRECTORY, ".", NULL);
	expect_refused(&tar);
	add(&tar, TAR_FILE, "d/a", "");
	add(&tar, TAR_FILE, "d/.wh..wh..opq", "");
	expect_refused(&tar);
	add(&tar, TAR_DIRECTORY, "a-b", NULL);
	add(&tar, TAR_FILE, "a/b", ""); /* "a" is before "a-b", though '/' is behind '-' */
	expect_refused(&tar);
}

TEST(names_that_a_layer_may_not_hold_are_refused)
{
	static const char *const names[] = {"/etc/passwd", "..", "a/../../b", "a/..", ".wh.", ".wh..",
		".wh...", ".wh..wh.plnk", "d/.wh..wh..opq/x", ".wh.d/x", "/"};
	_cleanup_buffer_ struct buffer tar = {0};
	char name[300];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		add(&tar, TAR_FILE, names[i], "");
		expect_refused(&tar);
	}
	memset(name, 'n', sizeof name);
	name[256] = '\0';
	add(&tar, TAR_FILE, name, "");
	expect_refused(&tar);
	add(&tar, TAR_FILE, ".", "");
	expect_refused(&tar);
}

TEST(entries_beneath_what_is_no_directory_are_refused)
{
	_cleanup_buffer_ struct buffer tar = {0};

	add(&tar, TAR_FILE, "a", "");
	add(&tar, TAR_FILE, "a/b", "");
	expect_refused(&tar);
	add(&tar, TAR_SYMBOLIC_LINK, "a", "/etc");
	add(&tar, TAR_FILE, "a/passwd", "");
	expect_refused(&tar);
	add(&tar, TAR_FILE, ".wh.a", "");
	add(&tar, TAR_FILE, "a/b", "");
	expect_refused(&tar);
}

TEST(hard_links_lead_only_to_what_came_before)
{
	static const char *const targets[] = {"h", "z", "../a", "/a", ".", ".wh.a"};
	_cleanup_buffer_ struct buffer tar = {0};

	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		add(&tar, TAR_HARD_LINK, "h", targets[i]);
		expect_refused(&tar);
	}
}

TEST(whiteouts_are_nothing_but_names)
{
	_cleanup_buffer_ struct buffer tar = {0};

	add(&tar, TAR_FILE, ".wh.a", "secret");
	expect_refused(&tar);
	add(&tar, TAR_DIRECTORY, ".wh.a", NULL);
	expect_refused(&tar);
	add(&tar, TAR_SYMBOLIC_LINK, "d/.wh..wh..opq", "x");
	expect_refused(&tar);
}

TEST(what_means_something_to_the_overlay_is_refused)
{
	struct tar_xattr x = {(char *)"trusted.overlay.redirect", (uint8_t *)"/etc", 4};
	_cleanup_buffer_ struct buffer tar = {0};

	add_entry(&tar,
		&(struct tar_entry){
			.type = TAR_DIRECTORY, .path = (char *)"d", .xattrs = &x, .xattr_count = 1},
		NULL);
	expect_refused(&tar);
	add_entry(&tar, &(struct tar_entry){.type = TAR_CHARACTER_DEVICE, .path = (char *)"c"}, NULL);
	expect_refused(&tar);
	add_entry(&tar,
		&(struct tar_entry){.type = TAR_BLOCK_DEVICE, .path = (char *)"c", .device_major = 0x1000},
		NULL);
	expect_refused(&tar);
}

TEST(an_archive_that_is_cut_is_refused)
{
	_cleanup_buffer_ struct buffer tar = {0}, packed = {0};
	struct layer layer;
	struct error err;

	add(&tar, TAR_FILE, "a", "text");
	tar.size -= 512;
	CHECK_ERROR(write_layer(&tar, 100, NULL, &packed, &layer, &err), ERROR_INVALID);
}

TEST(a_layer_has_limits)
{
	const struct image_limits small = {.layer_bytes = 4096}, few = {.entries = 2};
	_cleanup_buffer_ struct buffer tar = {0}, packed = {0};
	struct layer layer;
	struct error err;

	add(&tar, TAR_FILE, "a", "");
	add(&tar, TAR_FILE, "b", "");
	add(&tar, TAR_FILE, "c", "");
	CHECK_ERROR(write_layer(&tar, 100, &few, &packed, &layer, &err), ERROR_LIMIT);
	buffer_clear(&tar);
	/* Refused by what its header says, before the bytes have come. */
	CHECK_OK(tar_write_entry(
		&tar, &(struct tar_entry){.type = TAR_FILE, .path = (char *)"a", .size = 1 << 30}, &err));
	CHECK_ERROR(write_layer(&tar, 100, &small, &packed, &layer, &err), ERROR_LIMIT);
}

TEST(holes_become_zeroes)
{
	_cleanup_buffer_ struct buffer tar = {0}, records = {0}, packed = {0}, plain = {0};
	_cleanup_free_ char *text = NULL;
	struct layer layer;
	struct error err;

	tar_make_text_record(&records, "GNU.sparse.size", "1000");
	tar_make_text_record(&records, "GNU.sparse.numblocks", "1");
	tar_make_text_record(&records, "GNU.sparse.map", "600,4");
	tar_make_pax(&tar, 'x', &records);
	tar_make_ustar(&tar, "sparse", 4, '0', NULL);
	tar_make_data(&tar, "data", 4);
	CHECK_OK(write_layer(&tar, 100, NULL, &packed, &layer, &err));
	unpack(&packed, &plain);
	CHECK_INT(plain.size, 512 + 1024 + 1024);
	for (size_t i = 0; i < 1024; i++)
		CHECK_INT(plain.data[512 + i], i >= 600 && i < 604 ? "data"[i - 600] : 0);
}

TEST(paths_have_one_order)
{
	static const char *const sorted[] = {
		"", "a", "a/.wh..wh..opq", "a/b", "a/b/c", "a/.wh.c", "a/d", "a-b", "b"};

	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++)
		for (size_t j = 0; j < ARRAY_SIZE(sorted); j++) {
			int order = layer_path_compare(sorted[i], sorted[j]);

			CHECK_INT((order > 0) - (order < 0), (i > j) - (i < j));
		}
	CHECK(layer_path_is_beneath("a/b/c", "a") && layer_path_is_beneath("a", ""));
	CHECK(!layer_path_is_beneath("a", "a") && !layer_path_is_beneath("ab", "a"));
}
