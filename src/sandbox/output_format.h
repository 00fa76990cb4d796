/* SPDX-License-Identifier: Apache-2.0 */
/* What the writer and the reader of the output log share: docs/formats/log.md. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "sandbox/output.h"

/* A record: u32 size of the data, u32 stream, u64 nanoseconds since 1970, the data. Little-endian. */
#define OUTPUT_HEADER_SIZE 16
#define OUTPUT_RECORD_MAX  (64u << 10)
#define OUTPUT_NAME_SIZE   9

void output_header_write(
	uint8_t header[OUTPUT_HEADER_SIZE], uint64_t time, enum output_stream stream, uint32_t size);

/* The file name of segment `number`, into name. Returns name. */
const char *output_segment_name(uint32_t number, char name[OUTPUT_NAME_SIZE]);

/* The lowest and highest segment number in the log directory; both 0 where there is none. */
int output_segments(int directory, uint32_t *oldest, uint32_t *newest, struct error *err);
