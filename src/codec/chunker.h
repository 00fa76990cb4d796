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

/* Bytes; powers of two, min < average < max. */
struct chunker_sizes {
	uint32_t min, average, max;
};

struct chunker {
	uint64_t gear[256];
	uint64_t hard, easy; /* masks before and behind the average: bits that must be 0 for a cut */
	struct chunker_sizes sizes;
};

/* The gear table is SHA-256 over seed, and so secret where the seed is; with NULL that over 32 bytes of zero.
 */
int chunker_init(
	struct chunker *c, const struct chunker_sizes *sizes, const uint8_t *seed, struct error *err);

/* How long the first chunk of these bytes is. All of them are given, or at least sizes.max. 0 for no bytes.
 */
size_t chunker_cut(const struct chunker *c, const uint8_t *bytes, size_t n);
