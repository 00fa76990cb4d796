/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of zstd (RFC 8878). Two things of the library (1.5.4) would let the result depend on how the input
 * is cut. It may be built to read what zstd wrote before its format was settled: only the magic numbers of
 * the RFC are let through. And where a frame's header comes in two parts and its contents fit the output, it
 * takes what is behind the first part for a frame of its own: headers are fed byte by byte.
 */
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "codec/decompress_parts.h"

#define WINDOW_BITS     27 /* 128 MiB, the most that `zstd -d` takes without being asked to */
#define MAGIC_SIZE      4
#define MAGIC_FRAME     0xfd2fb528u
#define MAGIC_SKIPPABLE 0x184d2a50u /* and 15 more */
#define HEADER_MAX      18          /* bytes, section 3.1.1.1 */

struct zstd {
	ZSTD_DCtx *context;
	uint32_t magic; /* of the frame at hand, as far as it has come */
	unsigned have;  /* bytes of the frame, counted up to HEADER_MAX */
};

/* Decodes the next n bytes of the input, as far as there is room. */
static int decode(struct zstd *z, struct decoder_step *s, size_t n, struct error *err)
{
	ZSTD_inBuffer input = {s->in, n, 0};
	ZSTD_outBuffer output = {s->out, s->out_left, 0};
	size_t r = ZSTD_decompressStream(z->context, &output, &input);

	if (ZSTD_isError(r)) {
		if (ZSTD_getErrorCode(r) == ZSTD_error_memory_allocation)
			return error_no_memory(err, "zstd");
		if (ZSTD_getErrorCode(r) == ZSTD_error_frameParameter_windowTooLarge)
			return error_set(err, ERROR_LIMIT, "zstd: a window of over 128 MiB");
		return error_set(err, ERROR_INVALID, "zstd: damaged: %s", ZSTD_getErrorName(r));
	}
	s->in += input.pos;
	s->in_left -= input.pos;
	s->out += output.pos;
	s->out_left -= output.pos;
	s->ended = r == 0 && (input.pos > 0 || output.pos > 0);
	return 0;
}

static int feed_header(struct zstd *z, struct decoder_step *s, struct error *err)
{
	const uint8_t *byte = s->in;
	int r;

	if (z->have < MAGIC_SIZE)
		z->magic |= (uint32_t)*byte << (8 * z->have);
	if (z->have == MAGIC_SIZE - 1 && z->magic != MAGIC_FRAME && (z->magic & ~15u) != MAGIC_SKIPPABLE)
		return error_set(err, ERROR_INVALID, "zstd: damaged: no frame begins with %08x", z->magic);
	r = decode(z, s, 1, err);
	if (s->in != byte)
		z->have++;
	return r;
}

static int zstd_step(void *state, struct decoder_step *s, struct error *err)
{
	struct zstd *z = state;
	int r;

	if (z->have < HEADER_MAX && s->in_left)
		r = feed_header(z, s, err);
	else
		r = decode(z, s, s->in_left, err);
	if (s->ended)
		z->have = z->magic = 0;
	return r;
}

static void zstd_release(void *state)
{
	struct zstd *z = state;

	ZSTD_freeDCtx(z->context);
	free(z);
}

int decoder_zstd(struct decoder *d, struct error *err)
{
	struct zstd *z = calloc(1, sizeof *z);

	if (z)
		z->context = ZSTD_createDCtx();
	if (!z || !z->context ||
		ZSTD_isError(ZSTD_DCtx_setParameter(z->context, ZSTD_d_windowLogMax, WINDOW_BITS))) {
		if (z)
			zstd_release(z);
		return error_no_memory(err, "zstd");
	}
	*d = (struct decoder){.step = zstd_step, .release = zstd_release, .state = z};
	return 0;
}
