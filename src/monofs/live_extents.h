/* SPDX-License-Identifier: Apache-2.0 */
/* What a file has on top of its contents in the newest revision: ranges, sorted and apart. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "monofs/journal.h"

enum live_extent_kind { LIVE_DATA, LIVE_HOLE, LIVE_ZEROES /* as a hole, but space is set aside */ };

struct live_extent {
	uint64_t offset, size;
	uint64_t epoch;                  /* number of the segment that tells of it */
	struct journal_segment *segment; /* DATA: held */
	uint64_t at;                     /* of the record there */
	uint32_t body, skip;             /* size of its body; where in it the range begins */
	enum live_extent_kind kind;
};

struct live_extents {
	struct live_extent *list;
	size_t count, room;
	uint64_t taken, covered; /* bytes of those that are no holes; of all */
};

void live_extents_free(struct live_extents *e);
/* Room for one more live_extents_set(), which then cannot fail. 0 or -ENOMEM. */
int live_extents_reserve(struct live_extents *e);
/* x->segment becomes held. What was there before goes. */
void live_extents_set(struct live_extents *e, const struct live_extent *x);
/* Nothing lies at `from` or behind it. */
void live_extents_cut(struct live_extents *e, uint64_t from);
/* What segments up to `through` tell of goes. */
void live_extents_forget(struct live_extents *e, uint64_t through);
/* The number of the first that ends behind offset; `count`: none does. */
size_t live_extents_find(const struct live_extents *e, uint64_t offset);
int live_extents_copy(const struct live_extents *from, struct live_extents *to); /* 0 or -ENOMEM */
