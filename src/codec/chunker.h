/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where to cut the bytes of a file into chunks, so that an insertion moves only the cuts near it: FastCDC
 * with normalised chunking (Xia et al., "FastCDC: a Fast and Efficient Content-Defined Chunking Approach for
 * Data Deduplication", USENIX ATC 2016).
 *
 * A cut depends on the bytes since the last one only: cutting may begin at any cut and gives the same ones.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define CHUNKER_SEED_SIZE 32u
#define CHUNKER_MIN       256u
#define CHUNKER_MAX       (1u << 26)

/* Bytes; powers of two, CHUNKER_MIN <= min < average < max <= CHUNKER_MAX. */
struct chunker_sizes {
	uint32_t min, average, max;
};

struct chunker {
	uint64_t gear[256];
	uint64_t hard, easy; /* masks before and behind the average: bits that must be 0 for a cut */
	struct chunker_sizes sizes;
};

/* gear[i] is the first 8 bytes, little-endian, of SHA-256(seed, the byte i), and so secret where the seed is;
 * NULL is 32 bytes of zero. The masks have the log2(average) + 2 topmost bits (`hard`, for the bytes from min
 * up to average) and log2(average) - 2 (`easy`). Errors: INVALID. */
int chunker_init(
	struct chunker *c, const struct chunker_sizes *sizes, const uint8_t *seed, struct error *err);

/* How long the first chunk of these bytes is. All of them are given, or at least sizes.max. 0 for no bytes.
 * The hash begins with 0 at the byte `min`; it is shifted to the left by one and gear[byte] added; where no
 * bit of the mask is set in it, the chunk ends behind this byte, and it ends at max. */
size_t chunker_cut(const struct chunker *c, const uint8_t *bytes, size_t n);
