/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packed segments of the output log: frames of zstd, each of some 256 KiB of whole records, and behind them
 * an index, which says for each frame when it begins and ends and which lines are unfinished where it begins.
 * So whoever looks for a time unpacks only the frames that have it. The index is a skippable frame: `zstd -d`
 * gives the records.
 */
#pragma once

#include "base/cleanup.h"
#include "sandbox/output_format.h"

#define OUTPUT_FRAME_SIZE (256u << 10)
#define OUTPUT_FRAME_MAX  (OUTPUT_FRAME_SIZE + OUTPUT_HEADER_SIZE + OUTPUT_RECORD_MAX)
#define OUTPUT_FRAMES_MAX 256

struct output_frame {
	uint64_t offset;           /* in the file */
	uint32_t packed, size;     /* bytes in the file, bytes of records */
	uint64_t earliest, latest; /* times of its records; none: earliest > latest */
	struct output_open open;   /* where it begins */
};

/* Packs segment `number` and removes what it was made of. */
int output_pack(int directory, uint32_t number, struct error *err);

/* The index of a packed segment: *frames is the caller's (free()). CORRUPT: it has none that can be right. */
int output_index_read(int fd, struct output_frame **frames, size_t *count, struct error *err);

/* Unpacks one: its records replace what is in `out`. */
int output_frame_read(int fd, const struct output_frame *frame, struct buffer *out, struct error *err);
