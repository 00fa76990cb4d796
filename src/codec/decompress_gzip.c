/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip by libisal, or by zlib where that is not built in. Both check each member's CRC and length. A member's
 * header is read here (RFC 1952, section 2.3): libisal (2.30) takes one with reserved flags, and refuses some
 * that are cut in pieces.
 */
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>

#include "codec/decompress_parts.h"

#ifdef HAVE_ISAL
#include <isa-l/igzip_lib.h>
#endif

static unsigned bounded(size_t n)
{
	return n > INT_MAX ? INT_MAX : (unsigned)n;
}

static void advance(struct decoder_step *s, size_t in, size_t out)
{
	s->in += in;
	s->in_left -= in;
	s->out += out;
	s->out_left -= out;
}

static int damaged(struct error *err, const char *why)
{
	return error_set(err, ERROR_INVALID, "gzip: damaged: %s", why);
}

/* ---- libisal ---------------------------------------------------------------------------------------- */

#ifdef HAVE_ISAL
static const char *isal_reason(int code)
{
	return code == ISAL_INCORRECT_CHECKSUM ? "the checksum is wrong" : "not deflate";
}

enum gzip_flags { GZIP_CRC = 2, GZIP_EXTRA = 4, GZIP_NAME = 8, GZIP_COMMENT = 16, GZIP_RESERVED = 0xe0 };

/* The parts of a header, in their order, each there or not by its flag. */
enum part { PART_FIXED, PART_EXTRA_SIZE, PART_EXTRA, PART_NAME, PART_COMMENT, PART_CRC, PART_BODY };

static const uint8_t part_flags[] = {[PART_EXTRA_SIZE] = GZIP_EXTRA,
	[PART_EXTRA] = GZIP_EXTRA,
	[PART_NAME] = GZIP_NAME,
	[PART_COMMENT] = GZIP_COMMENT,
	[PART_CRC] = GZIP_CRC};

struct isal {
	struct inflate_state inflate;
	enum part part;
	unsigned at; /* bytes of the part */
	uint8_t flags;
	unsigned number; /* of two bytes: the size of the extra field, the CRC */
	unsigned long crc;
};

static void begin_member(struct isal *z)
{
	isal_inflate_reset(&z->inflate);
	z->inflate.crc_flag = ISAL_GZIP_NO_HDR_VER;
	z->part = PART_FIXED;
	z->at = 0;
	z->flags = 0;
	z->crc = crc32(0, NULL, 0);
}

static bool fixed_byte_is_wrong(struct isal *z, uint8_t byte)
{
	static const uint8_t magic[] = {0x1f, 0x8b, 8};

	if (z->at == sizeof magic)
		z->flags = byte;
	return z->at < sizeof magic ? byte != magic[z->at] : z->flags & GZIP_RESERVED;
}

/* True where this byte is the part's last. */
static bool ends_part(const struct isal *z, uint8_t byte)
{
	switch (z->part) {
	case PART_FIXED:
		return z->at == 10;
	case PART_EXTRA:
		return z->at == z->number;
	case PART_NAME:
	case PART_COMMENT:
		return byte == 0;
	default:
		return z->at == 2;
	}
}

static void next_part(struct isal *z)
{
	do
		z->part++;
	while (z->part < PART_BODY &&
		(!(z->flags & part_flags[z->part]) || (z->part == PART_EXTRA && z->number == 0)));
	z->at = 0;
}

/* One byte of the header. False: it is malformed. */
static bool take_header(struct isal *z, uint8_t byte)
{
	if (z->part == PART_FIXED && fixed_byte_is_wrong(z, byte))
		return false;
	if (z->part == PART_EXTRA_SIZE || z->part == PART_CRC)
		z->number = z->at ? z->number | (unsigned)byte << 8 : byte;
	if (z->part != PART_CRC)
		z->crc = crc32(z->crc, &byte, 1);
	z->at++;
	if (!ends_part(z, byte))
		return true;
	if (z->part == PART_CRC && z->number != (z->crc & 0xffff))
		return false;
	next_part(z);
	return true;
}

static int isal_step(void *state, struct decoder_step *s, struct error *err)
{
	struct isal *z = state;
	struct inflate_state *i = &z->inflate;
	unsigned in, out = bounded(s->out_left);
	int r;

	for (; z->part < PART_BODY && s->in_left; s->in++, s->in_left--)
		if (!take_header(z, *s->in))
			return damaged(err, "the header is wrong");
	if (z->part < PART_BODY)
		return 0;
	in = bounded(s->in_left);
	i->next_in = (uint8_t *)(uintptr_t)s->in;
	i->avail_in = in;
	i->next_out = s->out;
	i->avail_out = out;
	r = isal_inflate(i);
	if (r < 0 || r == ISAL_NEED_DICT)
		return damaged(err, isal_reason(r));
	advance(s, in - i->avail_in, out - i->avail_out);
	if (i->block_state != ISAL_BLOCK_FINISH)
		return 0;
	s->ended = true;
	begin_member(z);
	return 0;
}

int decoder_gzip_isal(struct decoder *d, struct error *err)
{
	struct isal *z = malloc(sizeof *z);

	if (!z)
		return error_no_memory(err, "gzip");
	isal_inflate_init(&z->inflate);
	begin_member(z);
	*d = (struct decoder){.step = isal_step, .release = free, .state = z};
	return 0;
}
#else
int decoder_gzip_isal(struct decoder *d, struct error *err)
{
	(void)d;
	return error_set(err, ERROR_UNAVAILABLE, "gzip by libisal: not built in");
}
#endif

/* ---- zlib ------------------------------------------------------------------------------------------- */

static int zlib_step(void *state, struct decoder_step *s, struct error *err)
{
	z_stream *z = state;
	unsigned in = bounded(s->in_left), out = bounded(s->out_left);
	int r;

	z->next_in = (Bytef *)(uintptr_t)s->in;
	z->avail_in = in;
	z->next_out = s->out;
	z->avail_out = out;
	r = inflate(z, Z_NO_FLUSH);
	if (r == Z_MEM_ERROR)
		return error_no_memory(err, "gzip");
	if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
		return damaged(err, z->msg ? z->msg : "not deflate");
	advance(s, in - z->avail_in, out - z->avail_out);
	if (r == Z_STREAM_END) {
		s->ended = true;
		inflateReset(z);
	}
	return 0;
}

static void zlib_release(void *state)
{
	inflateEnd(state);
	free(state);
}

int decoder_gzip_zlib(struct decoder *d, struct error *err)
{
	z_stream *z = calloc(1, sizeof *z);

	if (!z || inflateInit2(z, 16 + MAX_WBITS) != Z_OK) {
		free(z);
		return error_no_memory(err, "gzip");
	}
	*d = (struct decoder){.step = zlib_step, .release = zlib_release, .state = z};
	return 0;
}
