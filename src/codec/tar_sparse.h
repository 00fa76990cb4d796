/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The map of a sparse file: which parts of it the archive holds. Five spellings exist: slots in the header
 * and in blocks behind it (old GNU), PAX records (GNU 0.0 and 0.1), and lines of text before the data (GNU
 * 1.0). Source: GNU tar manual, "Storing Sparse Files". Parts must be in order and must not overlap.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/tar.h"

struct tar_map {
	struct tar_part *parts; /* none is empty */
	size_t count, capacity;
	size_t limit;   /* most parts, empty ones counted */
	size_t given;   /* parts that were added, empty ones counted */
	uint64_t end;   /* where the last part ends */
	uint64_t bytes; /* sum of the sizes */
};

void tar_map_free(struct tar_map *m);
int tar_map_add(struct tar_map *m, uint64_t offset, uint64_t size, struct error *err);

/* The map is complete: it must fit into `real` bytes of file and account for `stored` bytes of archive. */
int tar_map_check(const struct tar_map *m, uint64_t real, uint64_t stored, struct error *err);

/* "offset,size,offset,size": GNU 0.1. */
int tar_map_add_list(struct tar_map *m, const uint8_t *text, size_t n, struct error *err);

/* `slots` slots of 12 + 12 bytes; a slot whose size field is empty ends the map: then *ended. */
int tar_map_add_slots(struct tar_map *m, const uint8_t *slots, size_t count, bool *ended, struct error *err);

/* GNU 1.0: the number of parts, then offset and size of each, a line each, padded to whole blocks. */
struct tar_map_lines {
	uint64_t number;
	bool digits;
	bool counted; /* the first line was seen */
	bool halfway; /* `offset` is set, its size comes next */
	uint64_t left;
	uint64_t offset;
};

/* Reads on in the next block: 1: that was the last one, 0: more is needed. */
int tar_map_add_lines(
	struct tar_map *m, struct tar_map_lines *lines, const uint8_t *block, struct error *err);

/* A decimal number, all of the n bytes, at most max. */
bool tar_decimal(const uint8_t *text, size_t n, uint64_t max, uint64_t *value);
