/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of a layer in, plain bytes out: gzip (RFC 1952, any number of members), zstd (RFC 8878, any number
 * of frames, skippable ones too), or plain, told apart by the first bytes. Pure, streaming, and strict: a
 * cut stream is an error, and so is anything behind the last gzip member but zeroes, with which some writers
 * fill up a block. The input is a stranger's: output and its ratio to the input are bounded, a zstd window is
 * at most 128 MiB.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define DECOMPRESS_RATIO_FROM (64u << 20) /* bytes of output from which on the ratio counts */

enum decompress_format {
	DECOMPRESS_UNKNOWN, /* too few bytes to tell */
	DECOMPRESS_PLAIN,
	DECOMPRESS_GZIP,
	DECOMPRESS_ZSTD
};

struct decompress_options {
	uint64_t output; /* most bytes out; 0: no limit */
	uint32_t ratio;  /* most bytes out per byte in; 0: 1,100 */
	bool zlib;       /* inflate by zlib where libisal is there too */
};

struct decompress;

int decompress_new(const struct decompress_options *options, struct decompress **d, struct error *err);
void decompress_free(struct decompress *d);
CLEANUP_DEFINE(decompress, struct decompress, decompress_free);

/* Takes bytes from *in (advancing *in and *n) and puts at most `room` into out, *made of them. Input is used
 * up, or out is full, or there is an error: INVALID, LIMIT, UNAVAILABLE (a format that is recognised but not
 * supported), NO_MEMORY. After an error only decompress_free() may follow. */
int decompress_step(struct decompress *d, const uint8_t **in, size_t *n, uint8_t *out, size_t room,
	size_t *made, struct error *err);

/* After the last byte of input was taken and a step has left room in `out`: INVALID where more should have
 * come. */
int decompress_finish(const struct decompress *d, struct error *err);

enum decompress_format decompress_format(const struct decompress *d);
