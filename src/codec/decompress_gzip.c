/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip by libisal, or by zlib where that is not built in. Both check each member's CRC and length.
 */
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "codec/decompress_parts.h"

#ifdef HAVE_ISAL
#include <isa-l/igzip_lib.h>
#endif

#define GZIP_FLAGS_END 4u    /* the flags are the header's fourth byte */
#define GZIP_RESERVED  0xe0u /* of them */

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
	switch (code) {
	case ISAL_INCORRECT_CHECKSUM:
		return "the checksum is wrong";
	case ISAL_INVALID_WRAPPER:
	case ISAL_UNSUPPORTED_METHOD:
		return "the header is wrong";
	default:
		return "not deflate";
	}
}

struct isal {
	struct inflate_state inflate;
	unsigned seen; /* bytes of the member's header, as far as they are looked at here */
};

/* libisal takes headers with reserved flags, which RFC 1952 wants to be an error. */
static bool has_reserved_flag(struct isal *z, const struct decoder_step *s)
{
	for (size_t i = 0; i < s->in_left && z->seen < GZIP_FLAGS_END; i++)
		if (++z->seen == GZIP_FLAGS_END && s->in[i] & GZIP_RESERVED)
			return true;
	return false;
}

static int isal_step(void *state, struct decoder_step *s, struct error *err)
{
	struct isal *z = state;
	struct inflate_state *i = &z->inflate;
	unsigned in = bounded(s->in_left), out = bounded(s->out_left);
	int r;

	if (has_reserved_flag(z, s))
		return damaged(err, isal_reason(ISAL_INVALID_WRAPPER));
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
	z->seen = 0;
	isal_inflate_reset(i);
	i->crc_flag = ISAL_GZIP;
	return 0;
}

int decoder_gzip_isal(struct decoder *d, struct error *err)
{
	struct isal *z = malloc(sizeof *z);

	if (!z)
		return error_no_memory(err, "gzip");
	z->seen = 0;
	isal_inflate_init(&z->inflate);
	z->inflate.crc_flag = ISAL_GZIP;
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
