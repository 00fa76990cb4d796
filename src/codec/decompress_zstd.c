/* SPDX-License-Identifier: Apache-2.0 */
#include <zstd.h>
#include <zstd_errors.h>

#include "codec/decompress_parts.h"

#define WINDOW_BITS 27 /* 128 MiB, the most that `zstd -d` takes without being asked to */

static int zstd_step(void *state, struct decoder_step *s, struct error *err)
{
	ZSTD_inBuffer in = {s->in, s->in_left, 0};
	ZSTD_outBuffer out = {s->out, s->out_left, 0};
	size_t r = ZSTD_decompressStream(state, &out, &in);

	if (ZSTD_isError(r)) {
		if (ZSTD_getErrorCode(r) == ZSTD_error_memory_allocation)
			return error_no_memory(err, "zstd");
		if (ZSTD_getErrorCode(r) == ZSTD_error_frameParameter_windowTooLarge)
			return error_set(err, ERROR_LIMIT, "zstd: a window of over 128 MiB");
		return error_set(err, ERROR_INVALID, "zstd: damaged: %s", ZSTD_getErrorName(r));
	}
	s->in += in.pos;
	s->in_left -= in.pos;
	s->out += out.pos;
	s->out_left -= out.pos;
	s->ended = r == 0 && (in.pos > 0 || out.pos > 0);
	return 0;
}

static void zstd_release(void *state)
{
	ZSTD_freeDCtx(state);
}

int decoder_zstd(struct decoder *d, struct error *err)
{
	ZSTD_DCtx *z = ZSTD_createDCtx();

	if (!z || ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, WINDOW_BITS))) {
		ZSTD_freeDCtx(z);
		return error_no_memory(err, "zstd");
	}
	*d = (struct decoder){.step = zstd_step, .release = zstd_release, .state = z};
	return 0;
}
