/* SPDX-License-Identifier: Apache-2.0 */
/* What those who write, pack and read the output log share: docs/formats/log.md. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "sandbox/output.h"

/* A record: u32 size of the data, u32 stream, u64 nanoseconds since 1970, the data. Little-endian. */
#define OUTPUT_HEADER_SIZE 16
#define OUTPUT_RECORD_MAX  (64u << 10)
#define OUTPUT_LINE_MAX    (64u << 10)
#define OUTPUT_NAME_SIZE   16
#define OUTPUT_STREAMS     3

/* The first record of a segment: for each stream, how much of an unfinished line the one before has ended
 * with. */
#define OUTPUT_STATE      3
#define OUTPUT_STATE_SIZE (4 * OUTPUT_STREAMS)

#define OUTPUT_PACKED ".zst"

struct output_open {
	uint32_t bytes[OUTPUT_STREAMS]; /* less than OUTPUT_LINE_MAX */
};

struct output_record {
	uint32_t stream; /* enum output_stream, or OUTPUT_STATE */
	uint64_t time;
	const uint8_t *data;
	uint32_t size;
};

void output_header_write(uint8_t header[OUTPUT_HEADER_SIZE], uint64_t time, uint32_t stream, uint32_t size);
void output_state_write(uint8_t data[OUTPUT_STATE_SIZE], const struct output_open *open);
bool output_state_read(const struct output_record *r, struct output_open *open);

/* The next record: 1; 0: there is no whole one; -1: what follows is none. */
int output_record_next(struct cursor *c, struct output_record *r);

/* What a record makes of the unfinished lines. */
void output_open_after(struct output_open *open, const struct output_record *r);

/* The file name of segment `number`, packed or not, into name. Returns name. */
const char *output_segment_name(uint32_t number, bool packed, char name[OUTPUT_NAME_SIZE]);

/* The lowest and highest segment number in the log directory; both 0 where there is none. */
int output_segments(int directory, uint32_t *oldest, uint32_t *newest, struct error *err);
