/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed layers: both inflaters and zstd, in pieces, cut, damaged, followed by more, and bombs. */
#include "test.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "codec/decompress.h"
#include "oci_make.h"

static const struct decompress_options by_isal = {0}, by_zlib = {.zlib = true};

/* All of the output, when input and output come in pieces. Returns the error, or 0. */
static int unpack(const struct buffer *packed, const struct decompress_options *options, size_t in_piece,
	size_t out_piece, struct buffer *out, struct error *err)
{
	_cleanup_(cleanup_decompress) struct decompress *d = NULL;
	_cleanup_free_ uint8_t *room = malloc(out_piece);
	size_t at = 0, made;
	int r = decompress_new(options, &d, err);

	while (r == 0) {
		size_t n = packed->size - at < in_piece ? packed->size - at : in_piece, left = n;
		const uint8_t *in = packed->data ? packed->data + at : NULL;

		do {
			r = decompress_step(d, &in, &left, room, out_piece, &made, err);
			buffer_append(out, room, made);
		} while (r == 0 && (left > 0 || made == out_piece));
		at += n;
		if (r == 0 && at == packed->size)
			return decompress_finish(d, err);
	}
	return r;
}

static int unpack_whole(const struct buffer *packed, const struct decompress_options *options,
	struct buffer *out, struct error *err)
{
	return unpack(packed, options, packed->size + 1, 1 << 20, out, err);
}

static void must_give(const struct buffer *packed, const void *expected, size_t n)
{
	for (int zlib = 0; zlib < 2; zlib++) {
		_cleanup_buffer_ struct buffer out = {0};
		struct error err;

		CHECK_OK(unpack_whole(packed, zlib ? &by_zlib : &by_isal, &out, &err));
		CHECK(out.size == n && (n == 0 || !memcmp(out.data, expected, n)));
	}
}

static void must_refuse(const struct buffer *packed, enum error_code code)
{
	for (int zlib = 0; zlib < 2; zlib++) {
		_cleanup_buffer_ struct buffer out = {0};
		struct error err;

		CHECK_ERROR(unpack_whole(packed, zlib ? &by_zlib : &by_isal, &out, &err), code);
	}
}

/* Bytes that compress, but not to nothing. */
static void fill(struct buffer *b, size_t n)
{
	uint32_t random = 1;

	while (b->size < n) {
		random = random * 1103515245 + 12345;
		buffer_format(b, "%u ", random >> 20);
	}
	b->size = n;
}

static void add(struct buffer *out, enum oci_make_compression how, const char *text)
{
	struct buffer in = {.data = (uint8_t *)text, .size = strlen(text)};

	oci_make_compressed(how, &in, out);
}

TEST(every_format_is_found_out_and_gives_its_bytes)
{
	static const enum decompress_format formats[] = {DECOMPRESS_PLAIN, DECOMPRESS_GZIP, DECOMPRESS_ZSTD};

	for (int how = OCI_MAKE_PLAIN; how <= OCI_MAKE_ZSTD; how++) {
		_cleanup_(cleanup_decompress) struct decompress *d = NULL;
		_cleanup_buffer_ struct buffer plain = {0}, packed = {0};
		uint8_t byte;
		struct error err;
		const uint8_t *in;
		size_t n, made;

		fill(&plain, 300000);
		oci_make_compressed((enum oci_make_compression)how, &plain, &packed);
		must_give(&packed, plain.data, plain.size);
		CHECK_OK(decompress_new(NULL, &d, &err));
		CHECK_INT(decompress_format(d), DECOMPRESS_UNKNOWN);
		in = packed.data;
		n = packed.size;
		CHECK_OK(decompress_step(d, &in, &n, &byte, 1, &made, &err));
		CHECK_INT(decompress_format(d), formats[how]);
	}
}

TEST(pieces_of_any_size_give_the_same)
{
	static const size_t sizes[] = {1, 2, 3, 5, 7, 100, 4096, 100000};

	for (int how = OCI_MAKE_PLAIN; how <= OCI_MAKE_ZSTD; how++) {
		_cleanup_buffer_ struct buffer plain = {0}, packed = {0};

		fill(&plain, 20000);
		oci_make_compressed((enum oci_make_compression)how, &plain, &packed);
		for (size_t i = 0; i < 2 * ARRAY_SIZE(sizes) * ARRAY_SIZE(sizes); i++) {
			_cleanup_buffer_ struct buffer out = {0};
			struct error err;

			CHECK_OK(
				unpack(&packed, i % 2 ? &by_zlib : &by_isal, sizes[i / 2 % ARRAY_SIZE(sizes)],
					sizes[i / 2 / ARRAY_SIZE(sizes)], &out, &err));
			CHECK(out.size == plain.size && !memcmp(out.data, plain.data, plain.size));
		}
	}
}

TEST(members_and_frames_follow_each_other)
{
	_cleanup_buffer_ struct buffer gzip = {0}, zstd = {0};

	add(&gzip, OCI_MAKE_GZIP, "one ");
	add(&gzip, OCI_MAKE_GZIP, "");
	add(&gzip, OCI_MAKE_GZIP, "two");
	must_give(&gzip, "one two", 7);
	buffer_append(&zstd, "\x5f\x2a\x4d\x18\3\0\0\0abc", 11); /* to be skipped */
	add(&zstd, OCI_MAKE_ZSTD, "one ");
	buffer_append(&zstd, "\x50\x2a\x4d\x18\0\0\0\0", 8);
	add(&zstd, OCI_MAKE_ZSTD, "two");
	must_give(&zstd, "one two", 7);
}

TEST(zeroes_may_fill_up_behind_gzip_and_nothing_else)
{
	_cleanup_buffer_ struct buffer a = {0}, b = {0}, c = {0};

	add(&a, OCI_MAKE_GZIP, "text");
	add(&b, OCI_MAKE_GZIP, "text");
	buffer_append(&a, "\0\0\0\0\0\0\0", 7);
	must_give(&a, "text", 4);
	buffer_append(&a, "x", 1);
	must_refuse(&a, ERROR_INVALID);
	buffer_append(&b, "garbage", 7);
	must_refuse(&b, ERROR_INVALID);
	add(&c, OCI_MAKE_ZSTD, "text");
	buffer_append(&c, "garbage", 7);
	must_refuse(&c, ERROR_INVALID);
}

TEST(a_stream_cut_at_any_byte_is_an_error)
{
	for (int how = OCI_MAKE_GZIP; how <= OCI_MAKE_ZSTD; how++) {
		_cleanup_buffer_ struct buffer plain = {0}, packed = {0};

		fill(&plain, 900);
		oci_make_compressed((enum oci_make_compression)how, &plain, &packed);
		for (size_t n = 1; n < packed.size; n++)
			must_refuse(&(struct buffer){.data = packed.data, .size = n}, ERROR_INVALID);
	}
}

TEST(a_damaged_stream_is_an_error)
{
	_cleanup_buffer_ struct buffer plain = {0}, packed = {0};

	fill(&plain, 900);
	oci_make_compressed(OCI_MAKE_GZIP, &plain, &packed);
	for (size_t at = 10; at < packed.size; at++) {
		packed.data[at] ^= 0x10;
		must_refuse(&packed, ERROR_INVALID);
		packed.data[at] ^= 0x10;
	}
	must_give(&packed, plain.data, plain.size);
}

TEST(headers_with_names_are_read_and_reserved_flags_refused)
{
	_cleanup_buffer_ struct buffer packed = {0}, named = {0};

	add(&packed, OCI_MAKE_GZIP, "text");
	buffer_append(&named, packed.data, 10);
	named.data[3] |= 0x1c; /* extra field, name, comment */
	buffer_append(&named, "\3\0abcname\0comment", 18);
	buffer_u8(&named, 0);
	named.size--;
	buffer_append(&named, packed.data + 10, packed.size - 10);
	must_give(&named, "text", 4);
	for (int bit = 5; bit < 8; bit++) {
		packed.data[3] = (uint8_t)(1 << bit);
		must_refuse(&packed, ERROR_INVALID);
	}
}

TEST(short_inputs_are_plain_or_cut)
{
	static const struct {
		const char *bytes;
		size_t size;
		bool plain;
	} inputs[] = {{"", 0, true}, {"a", 1, true}, {"\x1f", 1, false}, {"\x1f\x8b", 2, false},
		{"\x1fx", 2, true}, {"\x28\xb5\x2f", 3, false}, {"\x28\xb5\x2fx", 4, true},
		{"BZh9", 4, false}, {"BZh9x", 5, true}, {"\x50\x2a", 2, false}, {"\x50\x2b", 2, true}};

	for (size_t i = 0; i < ARRAY_SIZE(inputs); i++) {
		struct buffer b = {.data = (uint8_t *)inputs[i].bytes, .size = inputs[i].size};

		if (inputs[i].plain)
			must_give(&b, inputs[i].bytes, inputs[i].size);
		else
			must_refuse(&b, ERROR_INVALID);
	}
}

TEST(formats_that_are_not_supported_are_named)
{
	static const char *const magics[] = {"\xfd"
					     "7zXZ\0....",
		"BZh91AY...", "BZh91AY&SY"};

	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		struct buffer b = {.data = (uint8_t *)magics[i], .size = 10}, out = {0};
		struct error err;

		CHECK_ERROR(unpack_whole(&b, NULL, &out, &err), ERROR_UNAVAILABLE);
		CHECK(strstr(err.text, i ? "bzip2" : "xz"));
	}
}

/* Gives up as soon as it is over the limit, whatever is behind it. */
static uint64_t blow_up(const struct buffer *bomb, struct decompress_options options)
{
	_cleanup_(cleanup_decompress) struct decompress *d = NULL;
	static uint8_t out[1 << 20];
	const uint8_t *in = bomb->data;
	size_t n = bomb->size, made;
	uint64_t sum = 0;
	struct error err;
	int r;

	CHECK_OK(decompress_new(&options, &d, &err));
	do {
		r = decompress_step(d, &in, &n, out, sizeof out, &made, &err);
		sum += made;
	} while (r == 0 && (n > 0 || made == sizeof out));
	CHECK_ERROR(r, ERROR_LIMIT);
	return sum;
}

TEST(bombs_go_no_further_than_the_limits)
{
	for (int how = OCI_MAKE_GZIP; how <= OCI_MAKE_ZSTD; how++) {
		_cleanup_buffer_ struct buffer plain = {0}, bomb = {0};

		CHECK(buffer_reserve(&plain, 100 << 20));
		memset(plain.data, 0, 100 << 20);
		plain.size = 100 << 20;
		oci_make_compressed((enum oci_make_compression)how, &plain, &bomb);
		CHECK(blow_up(&bomb, (struct decompress_options){.output = 1000}) == 1001);
		CHECK(blow_up(&bomb, (struct decompress_options){.output = 1000, .zlib = true}) == 1001);
		CHECK(blow_up(&bomb, (struct decompress_options){.ratio = 10}) <=
			DECOMPRESS_RATIO_FROM + (1 << 20));
		if (how == OCI_MAKE_ZSTD) /* gzip cannot go beyond 1,032 */
			CHECK(blow_up(&bomb, (struct decompress_options){0}) <=
				DECOMPRESS_RATIO_FROM + (1 << 20));
		else
			must_give(&bomb, plain.data, plain.size);
	}
}

TEST(an_output_of_just_the_limit_is_fine)
{
	_cleanup_buffer_ struct buffer packed = {0}, out = {0};
	struct decompress_options options = {.output = 4};
	struct error err;

	add(&packed, OCI_MAKE_GZIP, "text");
	CHECK_OK(unpack_whole(&packed, &options, &out, &err));
	CHECK_INT(out.size, 4);
}

TEST(a_zstd_window_that_is_too_large_is_refused)
{
	/* Frame header: no single segment, window descriptor 2^(10 + 18) bytes. */
	struct buffer b = {.data = (uint8_t *)"\x28\xb5\x2f\xfd\x00\x90\x01\x00\x00", .size = 9}, out = {0};
	struct error err;

	CHECK_ERROR(unpack_whole(&b, NULL, &out, &err), ERROR_LIMIT);
}
