/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver: finds the format, runs its decoder member by member, and holds the limits.
 *
 *   SNIFF    the bytes so far are the start of some format's magic; they are held back
 *   PLAIN    out as they come
 *   MEMBER   the decoder is within a gzip member or zstd frame
 *   BETWEEN  a member is complete; another one, zeroes (gzip) or the end may follow
 *   ZEROES   behind the last gzip member
 */
#include "codec/decompress.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/decompress_parts.h"

#define RATIO_DEFAULT 1100u
#define MAGIC_MAX     6u

enum state { SNIFF, PLAIN, MEMBER, BETWEEN, ZEROES };

struct decompress {
	enum state state;
	enum decompress_format format;
	uint64_t limit, in, out;
	uint32_t ratio;
	bool zlib;
	uint8_t held[MAGIC_MAX]; /* bytes taken while sniffing */
	size_t held_size, held_used;
	struct decoder decoder;
};

struct magic {
	uint8_t bytes[MAGIC_MAX];
	uint8_t size;
	enum decompress_format format;
	const char *refused; /* the name of a format that is not supported */
};

static const struct magic magics[] = {
	{{0x1f, 0x8b}, 2, DECOMPRESS_GZIP, NULL},
	{{0x28, 0xb5, 0x2f, 0xfd}, 4, DECOMPRESS_ZSTD, NULL},
	{{0xfd, '7', 'z', 'X', 'Z', 0}, 6, DECOMPRESS_UNKNOWN, "xz"},
	{{'B', 'Z', 'h', '9', '1', 'A'}, 6, DECOMPRESS_UNKNOWN, "bzip2"},
};

int decompress_new(const struct decompress_options *options, struct decompress **out, struct error *err)
{
	struct decompress *d = calloc(1, sizeof *d);

	if (!d)
		return error_no_memory(err, "decompress");
	d->limit = options && options->output ? options->output : UINT64_MAX;
	d->ratio = options && options->ratio ? options->ratio : RATIO_DEFAULT;
	d->zlib = options && options->zlib;
	*out = d;
	return 0;
}

void decompress_free(struct decompress *d)
{
	if (!d)
		return;
	if (d->decoder.release)
		d->decoder.release(d->decoder.state);
	free(d);
}

enum decompress_format decompress_format(const struct decompress *d)
{
	return d->format;
}

/* ---- which format ----------------------------------------------------------------------------------- */

/* Skippable zstd frames have 16 magics: 0x184d2a50 to 0x184d2a5f. */
static bool is_skippable(const uint8_t *bytes, size_t n)
{
	static const uint8_t rest[] = {0x2a, 0x4d, 0x18};

	return (bytes[0] & 0xf0) == 0x50 && memcmp(bytes + 1, rest, n < 4 ? n - 1 : 3) == 0;
}

/* The magic that the held bytes are or begin, or NULL; *whole: all of it is there. */
static const struct magic *find_magic(const struct decompress *d, bool *whole)
{
	if (is_skippable(d->held, d->held_size)) {
		*whole = d->held_size >= 4;
		return &magics[1];
	}
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		size_t n = d->held_size < magics[i].size ? d->held_size : magics[i].size;

		*whole = n == magics[i].size;
		if (memcmp(d->held, magics[i].bytes, n) == 0)
			return &magics[i];
	}
	return NULL;
}

static int open_decoder(struct decompress *d, enum decompress_format format, struct error *err)
{
	int r;

	d->format = format;
	d->state = MEMBER;
	if (format == DECOMPRESS_ZSTD)
		return decoder_zstd(&d->decoder, err);
	r = d->zlib ? -ERROR_UNAVAILABLE : decoder_gzip_isal(&d->decoder, err);
	return r == -ERROR_UNAVAILABLE ? decoder_gzip_zlib(&d->decoder, err) : r;
}

static int sniff(struct decompress *d, struct decoder_step *s, struct error *err)
{
	while (d->state == SNIFF && s->in_left > 0) {
		const struct magic *magic;
		bool whole = false;

		d->held[d->held_size++] = *s->in++;
		s->in_left--;
		magic = find_magic(d, &whole);
		if (!magic) {
			d->state = PLAIN;
			d->format = DECOMPRESS_PLAIN;
		} else if (whole && magic->refused) {
			return error_set(err, ERROR_UNAVAILABLE,
				"compressed by %s, which is not supported: only gzip and zstd are",
				magic->refused);
		} else if (whole) {
			return open_decoder(d, magic->format, err);
		}
	}
	return 0;
}

/* ---- states ----------------------------------------------------------------------------------------- */

static void copy_plain(struct decoder_step *s)
{
	size_t n = s->in_left < s->out_left ? s->in_left : s->out_left;

	if (n)
		memcpy(s->out, s->in, n);
	s->in += n;
	s->in_left -= n;
	s->out += n;
	s->out_left -= n;
}

static int run_decoder(struct decompress *d, struct decoder_step *s, struct error *err)
{
	int r = d->decoder.step(d->decoder.state, s, err);

	if (r == 0 && s->ended)
		d->state = BETWEEN;
	s->ended = false;
	return r;
}

static int skip_zeroes(struct decoder_step *s, struct error *err)
{
	while (s->in_left > 0 && *s->in == 0) {
		s->in++;
		s->in_left--;
	}
	return s->in_left == 0
		       ? 0
		       : error_set(err, ERROR_INVALID, "there are other bytes behind the compressed data");
}

static int run_state(struct decompress *d, struct decoder_step *s, struct error *err)
{
	switch (d->state) {
	case SNIFF:
		break;
	case PLAIN:
		copy_plain(s);
		break;
	case MEMBER:
		return run_decoder(d, s, err);
	case BETWEEN:
		if (s->in_left > 0)
			d->state = d->format == DECOMPRESS_GZIP && *s->in != 0x1f ? ZEROES : MEMBER;
		break;
	case ZEROES:
		return skip_zeroes(s, err);
	}
	return 0;
}

/* Runs until nothing moves: for want of input, or of room. */
static int run(struct decompress *d, struct decoder_step *s, struct error *err)
{
	const uint8_t *in, *out;
	enum state state;
	int r;

	do {
		in = s->in;
		out = s->out;
		state = d->state;
		r = run_state(d, s, err);
	} while (r == 0 && (s->in != in || s->out != out || d->state != state));
	return r;
}

static int check_limits(const struct decompress *d, struct error *err)
{
	char text[16];

	if (d->out > d->limit)
		return error_set(err, ERROR_LIMIT,
			"over %s uncompressed: raise layer_bytes in MONOCORE_IMAGE_LIMITS where that is "
			"right",
			text_human_size(d->limit, text, sizeof text));
	if (d->out > DECOMPRESS_RATIO_FROM && d->out / d->ratio > d->in)
		return error_set(err, ERROR_LIMIT,
			"over %u bytes from each compressed byte: raise ratio in MONOCORE_IMAGE_LIMITS where "
			"that is right",
			d->ratio);
	return 0;
}

int decompress_step(struct decompress *d, const uint8_t **in, size_t *n, uint8_t *out, size_t room,
	size_t *made, struct error *err)
{
	uint64_t more = d->limit - d->out; /* one byte over the limit tells */
	struct decoder_step s = {.in = *in, .in_left = *n, .out = out, .out_left = room};
	int r;

	if (s.out_left > more)
		s.out_left = (size_t)more + 1;
	r = sniff(d, &s, err);
	if (r == 0 && d->state != SNIFF && d->held_used < d->held_size) {
		struct decoder_step held = s;

		held.in = d->held + d->held_used;
		held.in_left = d->held_size - d->held_used;
		r = run(d, &held, err);
		d->held_used = d->held_size - held.in_left;
		s.out = held.out;
		s.out_left = held.out_left;
	}
	if (r == 0 && d->held_used == d->held_size)
		r = run(d, &s, err);
	d->in += *n - s.in_left;
	d->out += (size_t)(s.out - out);
	*in = s.in;
	*n = s.in_left;
	*made = (size_t)(s.out - out);
	return r < 0 ? r : check_limits(d, err);
}

int decompress_finish(const struct decompress *d, struct error *err)
{
	if (d->state == PLAIN || d->state == BETWEEN || d->state == ZEROES ||
		(d->state == SNIFF && d->held_size == 0))
		return 0;
	return error_set(err, ERROR_INVALID, "the compressed data end too early");
}
