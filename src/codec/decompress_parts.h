/* SPDX-License-Identifier: Apache-2.0 */
/* What a decoder is to the driver in decompress.c. */
#pragma once

#include "codec/decompress.h"

struct decoder_step {
	const uint8_t *in;
	size_t in_left;
	uint8_t *out;
	size_t out_left;
	bool ended; /* a member or frame is complete: the next step begins another */
};

struct decoder {
	/* Moves on as far as input and room allow. */
	int (*step)(void *state, struct decoder_step *s, struct error *err);
	void (*release)(void *state);
	void *state;
};

int decoder_gzip_isal(struct decoder *d, struct error *err); /* UNAVAILABLE where it is not built in */
int decoder_gzip_zlib(struct decoder *d, struct error *err);
int decoder_zstd(struct decoder *d, struct error *err);
