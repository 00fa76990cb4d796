/* SPDX-License-Identifier: Apache-2.0 */
/* What a file system in memory may take, in bytes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct memory_budget {
	uint64_t used, limit;
};

/* false: that would be over the limit, and nothing is taken. */
static inline bool memory_budget_take(struct memory_budget *b, uint64_t bytes)
{
	if (bytes > b->limit - b->used)
		return false;
	b->used += bytes;
	return true;
}

static inline void memory_budget_give(struct memory_budget *b, uint64_t bytes)
{
	b->used -= bytes;
}
