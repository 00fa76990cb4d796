/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/memory/pages.h"

#include <errno.h>
#include <stdlib.h>

#define BITS   6
#define FANOUT (1u << BITS)

struct branch {
	unsigned used; /* slots that are not NULL */
	void *slots[FANOUT];
};

/* How many pages one slot of a branch at this height stands for. Offsets of 63 bits need a height of 9. */
static uint64_t span(unsigned height)
{
	return 1ull << (BITS * (height - 1));
}

static bool within(const struct memory_pages *p, uint64_t index)
{
	return index >> (BITS * p->height) == 0;
}

static unsigned slot_of(uint64_t index, unsigned height)
{
	return (unsigned)(index >> (BITS * (height - 1))) % FANOUT;
}

uint8_t *memory_pages_find(const struct memory_pages *p, uint64_t index)
{
	void *at = p->root;

	if (!within(p, index))
		return NULL;
	for (unsigned h = p->height; at && h > 0; h--)
		at = ((struct branch *)at)->slots[slot_of(index, h)];
	return at;
}

static void *take(size_t size, struct memory_budget *budget, int *error)
{
	bool room = memory_budget_take(budget, size);
	void *taken = room ? calloc(1, size) : NULL;

	*error = taken ? 0 : room ? -ENOMEM : -ENOSPC;
	if (room && !taken)
		memory_budget_give(budget, size);
	return taken;
}

/* Branches above the root, until the tree is high enough for `index`. */
static int grow(struct memory_pages *p, uint64_t index, struct memory_budget *budget)
{
	int error;

	for (; !within(p, index); p->height++) {
		struct branch *b;

		if (!p->root)
			continue;
		b = take(sizeof *b, budget, &error);
		if (!b)
			return error;
		b->slots[0] = p->root;
		b->used = 1;
		p->root = b;
	}
	return 0;
}

uint8_t *memory_pages_make(struct memory_pages *p, uint64_t index, struct memory_budget *budget, int *error)
{
	struct branch *above = NULL;
	void **at = &p->root;

	*error = grow(p, index, budget);
	if (*error < 0)
		return NULL;
	for (unsigned h = p->height;; h--) {
		if (!*at) {
			*at = take(h ? sizeof *above : MEMORY_PAGE, budget, error);
			if (!*at) {
				memory_pages_release(p, index, index + 1, budget);
				return NULL;
			}
			if (above)
				above->used++;
			if (h == 0)
				p->count++;
		}
		if (h == 0)
			return *at;
		above = *at;
		at = &above->slots[slot_of(index, h)];
	}
}

/* Returns what is left at the place of `at`: NULL where that is nothing. `base` is its first page's index. */
static void *release(struct memory_pages *p, void *at, unsigned height, uint64_t base, uint64_t from,
	uint64_t to, struct memory_budget *budget)
{
	struct branch *b = at;

	if (height == 0) {
		free(at);
		memory_budget_give(budget, MEMORY_PAGE);
		p->count--;
		return NULL;
	}
	for (unsigned i = from > base ? slot_of(from, height) : 0; i < FANOUT; i++) {
		uint64_t first = base + i * span(height);

		if (first >= to)
			break;
		if (!b->slots[i])
			continue;
		b->slots[i] = release(p, b->slots[i], height - 1, first, from, to, budget);
		b->used -= b->slots[i] == NULL;
	}
	if (b->used)
		return b;
	free(b);
	memory_budget_give(budget, sizeof *b);
	return NULL;
}

void memory_pages_release(struct memory_pages *p, uint64_t from, uint64_t to, struct memory_budget *budget)
{
	if (p->root && from < to && within(p, from))
		p->root = release(p, p->root, p->height, 0, from, to, budget);
	if (!p->root)
		p->height = 0;
}

static uint64_t next_page(const void *at, unsigned height, uint64_t base, uint64_t index)
{
	const struct branch *b = at;

	if (height == 0)
		return base;
	for (unsigned i = index > base ? slot_of(index, height) : 0; i < FANOUT; i++) {
		uint64_t found = b->slots[i]
					 ? next_page(b->slots[i], height - 1, base + i * span(height), index)
					 : UINT64_MAX;

		if (found != UINT64_MAX)
			return found;
	}
	return UINT64_MAX;
}

uint64_t memory_pages_next(const struct memory_pages *p, uint64_t index)
{
	return p->root && within(p, index) ? next_page(p->root, p->height, 0, index) : UINT64_MAX;
}

/* UINT64_MAX: all is there. */
static uint64_t next_hole(const void *at, unsigned height, uint64_t base, uint64_t index)
{
	const struct branch *b = at;

	if (!at)
		return index > base ? index : base;
	if (height == 0)
		return UINT64_MAX;
	for (unsigned i = index > base ? slot_of(index, height) : 0; i < FANOUT; i++) {
		uint64_t found = next_hole(b->slots[i], height - 1, base + i * span(height), index);

		if (found != UINT64_MAX)
			return found;
	}
	return UINT64_MAX;
}

uint64_t memory_pages_next_hole(const struct memory_pages *p, uint64_t index)
{
	uint64_t found = within(p, index) ? next_hole(p->root, p->height, 0, index) : index;

	return found == UINT64_MAX ? 1ull << (BITS * p->height) : found;
}
