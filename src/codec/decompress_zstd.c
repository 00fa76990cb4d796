/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of zstd (RFC 8878). The library may be built to read what zstd wrote before its format was settled,
 * and then reads it differently by how the input is cut: only the magic numbers of the RFC are let through.
 */
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "codec/decompress_parts.h"

#define WINDOW_BITS     27 /* 128 MiB, the most that `zstd -d` takes without being asked to */
#define MAGIC_SIZE      4
#define MAGIC_FRAME     0xfd2fb528u
#define MAGIC_SKIPPABLE 0x184d2a50u /* and 15 more */

struct zstd {
	ZSTD_DCtx *context;
	uint32_t magic; /* of the frame at hand, as far as it has come */
	unsigned have;  /* bytes of it */
};

static int decode(
	struct zstd *z, const uint8_t *in, size_t n, struct decoder_step *s, size_t *taken, struct error *err)
{
	ZSTD_inBuffer input = {in, n, 0};
	ZSTD_outBuffer output = {s->out, s->out_left, 0};
	size_t r = ZSTD_decompressStream(z->context, &output, &input);

	if (ZSTD_isError(r)) {
		if (ZSTD_getErrorCode(r) == ZSTD_error_memory_allocation)
			return error_no_memory(err, "zstd");
		if (ZSTD_getErrorCode(r) == ZSTD_error_frameParameter_windowTooLarge)
			return error_set(err, ERROR_LIMIT, "zstd: a window of over 128 MiB");
		return error_set(err, ERROR_INVALID, "zstd: damaged: %s", ZSTD_getErrorName(r));
	}
	*taken = input.pos;
	s->out += output.pos;
	s->out_left -= output.pos;
	s->ended = r == 0 && (input.pos > 0 || output.pos > 0);
	return 0;
}

/* Takes the frame's magic number, and passes it on when it is whole and right. */
static int begin_frame(struct zstd *z, struct decoder_step *s, struct error *err)
{
	uint8_t bytes[MAGIC_SIZE];
	size_t taken = 0;
	int r;

	for (; z->have < MAGIC_SIZE && s->in_left; z->have++, s->in++, s->in_left--)
		z->magic |= (uint32_t)*s->in << (8 * z->have);
	if (z->have < MAGIC_SIZE)
		return 0;
	if (z->magic != MAGIC_FRAME && (z->magic & ~15u) != MAGIC_SKIPPABLE)
		return error_set(err, ERROR_INVALID, "zstd: damaged: no frame begins with %08x", z->magic);
	for (unsigned i = 0; i < MAGIC_SIZE; i++)
		bytes[i] = (uint8_t)(z->magic >> (8 * i));
	r = decode(z, bytes, MAGIC_SIZE, s, &taken, err);
	if (r == 0 && taken != MAGIC_SIZE)
		return error_set(err, ERROR_INVALID, "zstd: damaged: a frame of no size");
	return r;
}

static int zstd_step(void *state, struct decoder_step *s, struct error *err)
{
	struct zstd *z = state;
	size_t taken = 0;
	int r = z->have < MAGIC_SIZE ? begin_frame(z, s, err) : 0;

	if (r < 0 || z->have < MAGIC_SIZE)
		return r;
	r = decode(z, s->in, s->in_left, s, &taken, err);
	s->in += taken;
	s->in_left -= taken;
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
