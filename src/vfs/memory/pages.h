/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data of a file: pages in a radix tree of 64-fold branches, so that a hole takes nothing, wherever it
 * is and however long. A page that is there need not hold anything but zeros.
 */
#pragma once

#include <stdint.h>

#include "vfs/memory/budget.h"

#define MEMORY_PAGE 4096u

struct memory_pages {
	void *root;      /* a branch, or with height 0 the only page */
	unsigned height; /* levels of branches */
	uint64_t count;  /* of pages */
};

uint8_t *memory_pages_find(const struct memory_pages *p, uint64_t index); /* NULL: a hole */

/* The page, made of zeros where there was a hole. NULL: *error is -ENOSPC or -ENOMEM, nothing changed. */
uint8_t *memory_pages_make(struct memory_pages *p, uint64_t index, struct memory_budget *budget, int *error);

/* Pages from `from` up to, not including, `to` become holes. */
void memory_pages_release(struct memory_pages *p, uint64_t from, uint64_t to, struct memory_budget *budget);

/* The first page, or hole, at `index` or behind it. UINT64_MAX: there is no page any more. */
uint64_t memory_pages_next(const struct memory_pages *p, uint64_t index);
uint64_t memory_pages_next_hole(const struct memory_pages *p, uint64_t index);
