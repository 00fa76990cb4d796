/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/live_extents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void count(struct live_extents *e, const struct live_extent *x, int sign)
{
	uint64_t taken = x->kind == LIVE_HOLE ? 0 : x->size;

	e->covered += sign < 0 ? -x->size : x->size;
	e->taken += sign < 0 ? -taken : taken;
}

static void hold(const struct live_extent *x)
{
	if (x->segment)
		journal_segment_hold(x->segment);
}

static void drop(struct live_extents *e, const struct live_extent *x)
{
	count(e, x, -1);
	journal_segment_drop(x->segment);
}

void live_extents_free(struct live_extents *e)
{
	for (size_t i = 0; i < e->count; i++)
		journal_segment_drop(e->list[i].segment);
	free(e->list);
	*e = (struct live_extents){0};
}

/* One more, and one that is split. */
int live_extents_reserve(struct live_extents *e)
{
	size_t room = e->room ? e->room * 2 : 4;
	struct live_extent *list;

	if (e->count + 2 <= e->room)
		return 0;
	list = reallocarray(e->list, room, sizeof *list);
	if (!list)
		return -ENOMEM;
	e->list = list;
	e->room = room;
	return 0;
}

size_t live_extents_find(const struct live_extents *e, uint64_t offset)
{
	size_t low = 0, high = e->count;

	/* Most are written in order. */
	if (high && e->list[high - 1].offset + e->list[high - 1].size <= offset)
		return high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (e->list[middle].offset + e->list[middle].size <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void insert(struct live_extents *e, size_t at, const struct live_extent *x)
{
	memmove(e->list + at + 1, e->list + at, (e->count - at) * sizeof *e->list);
	e->list[at] = *x;
	e->count++;
	count(e, x, 1);
}

static void remove_range(struct live_extents *e, size_t from, size_t to)
{
	if (from == to)
		return;
	for (size_t i = from; i < to; i++)
		drop(e, &e->list[i]);
	memmove(e->list + from, e->list + to, (e->count - to) * sizeof *e->list);
	e->count -= to - from;
}

static struct live_extent behind(const struct live_extent *x, uint64_t offset)
{
	struct live_extent rest = *x;

	rest.skip += (uint32_t)(x->kind == LIVE_DATA ? offset - x->offset : 0);
	rest.size -= offset - x->offset;
	rest.offset = offset;
	return rest;
}

/* Nothing is in [from, to); there is room for one that is split. Returns where something there is to go. */
static size_t clear(struct live_extents *e, uint64_t from, uint64_t to)
{
	size_t at = live_extents_find(e, from), last;
	struct live_extent rest;

	if (at < e->count && e->list[at].offset < from) {
		struct live_extent *x = &e->list[at];
		uint64_t end = x->offset + x->size;

		rest = behind(x, end > to ? to : end);
		count(e, x, -1);
		x->size = from - x->offset;
		count(e, x, 1);
		at++;
		if (end > to) {
			hold(&rest);
			insert(e, at, &rest);
			return at;
		}
	}
	for (last = at; last < e->count && e->list[last].offset + e->list[last].size <= to; last++)
		;
	remove_range(e, at, last);
	if (at < e->count && e->list[at].offset < to) {
		rest = behind(&e->list[at], to);
		count(e, &e->list[at], -1);
		e->list[at] = rest;
		count(e, &rest, 1);
	}
	return at;
}

void live_extents_set(struct live_extents *e, const struct live_extent *x)
{
	size_t at = clear(e, x->offset, x->offset + x->size);

	hold(x);
	insert(e, at, x);
}

void live_extents_cut(struct live_extents *e, uint64_t from)
{
	size_t at = live_extents_find(e, from);

	if (at < e->count && e->list[at].offset < from) {
		count(e, &e->list[at], -1);
		e->list[at].size = from - e->list[at].offset;
		count(e, &e->list[at], 1);
		at++;
	}
	remove_range(e, at, e->count);
}

void live_extents_forget(struct live_extents *e, uint64_t through)
{
	size_t n = 0;

	for (size_t i = 0; i < e->count; i++) {
		if (e->list[i].epoch <= through)
			drop(e, &e->list[i]);
		else
			e->list[n++] = e->list[i];
	}
	e->count = n;
	if (n == 0)
		live_extents_free(e);
}

int live_extents_copy(const struct live_extents *from, struct live_extents *to)
{
	*to = (struct live_extents){0};
	if (from->count == 0)
		return 0;
	to->list = reallocarray(NULL, from->count, sizeof *to->list);
	if (!to->list)
		return -ENOMEM;
	memcpy(to->list, from->list, from->count * sizeof *to->list);
	to->count = to->room = from->count;
	to->taken = from->taken;
	to->covered = from->covered;
	for (size_t i = 0; i < to->count; i++)
		hold(&to->list[i]);
	return 0;
}
