/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two texts compared by lines (Myers: "An O(ND) Difference Algorithm and Its Variations", Algorithmica 1986),
 * in linear space, and the difference as hunks of a unified diff (POSIX diff -u). No I/O.
 *
 * Lines that the other text has not are set aside first. Texts that differ in very much are not compared to
 * the end: past a bound the difference found is one that holds, and not the least.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

struct line {
	const char *text; /* in the bytes that were split */
	size_t size;      /* with its newline, where it has one */
	uint32_t number;  /* equal lines of both texts have the same */
	bool changed;     /* removed, or added */
};

struct lines {
	struct line *list;
	size_t count;
};

/* Both texts, borrowed, and what is changed in them. LIMIT: more than 2^31 lines. */
struct lines_compared {
	struct lines before, after;
	uint64_t removed, added;
};
int lines_compare(const void *before, size_t before_size, const void *after, size_t after_size,
	struct lines_compared *out, struct error *err);
void lines_free(struct lines_compared *c); /* a zeroed one is fine */

/* The hunks, with three lines around each change; nothing where there is none. */
void lines_write_hunks(const struct lines_compared *c, struct buffer *out);
