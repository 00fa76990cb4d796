/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox has used, over time: the file metrics.db in its directory, written by its supervisor. Time
 * is cut into spans of three lengths; what is added goes to the span that it falls into of each length, and
 * spans that are older than their length's reach are dropped, so the file has an end. docs/formats/sandbox.md
 * has the table.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define METRICS_FILE  "metrics.db"
#define METRICS_EVERY 10 /* seconds of the finest spans */

struct metrics;

struct metrics_span {
	uint64_t time, length; /* seconds since 1970, seconds */
	uint64_t observed;     /* nanoseconds of it that were looked at */
	uint64_t cpu;          /* nanoseconds */
	uint64_t memory, disk; /* most bytes in use */
	uint64_t disk_read, disk_written, net_received, net_sent;
	uint32_t processes; /* most */
};

/* Opens the file, making it where it is missing. One thread at a time. */
int metrics_open(const char *path, struct metrics **m, struct error *err);
void metrics_close(struct metrics *m);
CLEANUP_DEFINE(metrics, struct metrics, metrics_close);
#define _cleanup_metrics_ _cleanup_(cleanup_metrics)

/* Adds what was used until now, a number of seconds since 1970. time and length of `used` do not count. */
int metrics_add(struct metrics *m, uint64_t now, const struct metrics_span *used, struct error *err);

/* The spans between two seconds since 1970, oldest first, of the finest length that reaches back to `since`.
 * *list is the caller's: free(). */
int metrics_read(struct metrics *m, uint64_t since, uint64_t until, uint64_t now, struct metrics_span **list,
	size_t *count, struct error *err);
