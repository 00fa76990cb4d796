/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output of a sandbox's main process as it is kept for `log`: files log/00000001, log/00000002, … in the
 * sandbox's directory, OUTPUT_SEGMENT bytes or a day each. But for the newest they are packed, 00000001.zst,
 * by a thread of the writer's; the oldest are removed when all of them take more than OUTPUT_TOTAL bytes.
 * docs/formats/log.md describes the bytes. A record that a killed writer cut is skipped.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"

#define OUTPUT_SEGMENT (8u << 20)
#define OUTPUT_TOTAL   (128u << 20)
#define OUTPUT_MOST    1024 /* segments */
#define OUTPUT_AGE     (24 * 3600 * NANOSECONDS_PER_SECOND)

enum output_stream { OUTPUT_SYSTEM = 0, OUTPUT_OUT = 1, OUTPUT_ERR = 2 };

struct output_writer;

/* Opens the log in the sandbox's directory for appending; one writer at a time (the lock's holder). */
int output_open(int directory, struct output_writer **w, struct error *err);
void output_close(struct output_writer *w);

/* Appends bytes with the present time. NO_SPACE: they are not kept; the next call tries again. */
int output_append(
	struct output_writer *w, enum output_stream stream, const void *data, size_t n, struct error *err);

struct output_query {
	uint64_t last;         /* only so many lines from the end; 0: all */
	uint64_t since, until; /* nanoseconds since 1970; 0: no bound */
	unsigned streams;      /* bits 1 << enum output_stream; 0: all */
	const char *grep;      /* extended regular expression, or NULL */
	bool follow;           /* until nobody holds the sandbox's lock */
};

struct output_line {
	uint64_t time;
	enum output_stream stream;
	const void *data; /* with its newline where there is one; a line over 64 KiB comes in parts */
	size_t size;
};

/* Calls `take` for each line, oldest first. What `take` returns, when not 0, ends it and is returned. */
int output_read(int directory, const struct output_query *query,
	int (*take)(void *context, const struct output_line *line), void *context, struct error *err);
