/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/memory/entries.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SPARSE 8 /* so many times more room than entries is too much */

/* With its part of the tables, whose room is a small multiple of what they hold. */
static uint64_t cost(size_t name_size)
{
	return sizeof(struct memory_entry) + 2 * (name_size + 1) + 2 * sizeof(struct map_slot) +
	       2 * sizeof(struct memory_slot);
}

static struct memory_entry *entry_new(const char *name, struct memory_node *node, uint64_t cookie)
{
	size_t n = strlen(name);
	struct memory_entry *entry = malloc(sizeof *entry + n + 1);

	if (!entry)
		return NULL;
	*entry = (struct memory_entry){.node = node, .cookie = cookie, .name_size = n};
	memcpy(entry->name, name, n + 1);
	return entry;
}

void memory_entries_free(struct memory_entries *e, struct memory_budget *budget)
{
	for (size_t i = 0; i < e->slots; i++) {
		if (!e->order[i].entry)
			continue;
		memory_budget_give(budget, cost(e->order[i].entry->name_size));
		free(e->order[i].entry);
	}
	free(e->order);
	map_free(&e->names);
	*e = (struct memory_entries){0};
}

struct memory_entry *memory_entries_find(const struct memory_entries *e, const char *name)
{
	return map_get(&e->names, name, strlen(name));
}

uint64_t memory_entries_last_cookie(const struct memory_entries *e)
{
	return e->last_cookie ? e->last_cookie : MEMORY_COOKIE_PARENT;
}

/* The number of slots whose cookie is at most this. */
static size_t slots_until(const struct memory_entries *e, uint64_t cookie)
{
	size_t low = 0, high = e->slots;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (e->order[middle].cookie <= cookie)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct memory_entry *memory_entries_after(const struct memory_entries *e, uint64_t cookie)
{
	for (size_t i = slots_until(e, cookie); i < e->slots; i++)
		if (e->order[i].entry)
			return e->order[i].entry;
	return NULL;
}

static struct memory_slot *slot_of(const struct memory_entries *e, const struct memory_entry *entry)
{
	return &e->order[slots_until(e, entry->cookie) - 1];
}

static int make_room(struct memory_entries *e)
{
	size_t room = e->room ? e->room * 2 : 16;
	void *order;

	if (e->slots < e->room)
		return 0;
	order = reallocarray(e->order, room, sizeof *e->order);
	if (!order)
		return -ENOMEM;
	e->order = order;
	e->room = room;
	return 0;
}

int memory_entries_add(
	struct memory_entries *e, const char *name, struct memory_node *node, struct memory_budget *budget)
{
	uint64_t cookie = memory_entries_last_cookie(e) + 1, takes = cost(strlen(name));
	struct memory_entry *entry = NULL;

	if (!memory_budget_take(budget, takes))
		return -ENOSPC;
	if (make_room(e) == 0)
		entry = entry_new(name, node, cookie);
	if (!entry || map_set(&e->names, entry->name, entry->name_size, entry, NULL, NULL) < 0) {
		free(entry);
		memory_budget_give(budget, takes);
		return -ENOMEM;
	}
	e->order[e->slots++] = (struct memory_slot){.cookie = cookie, .entry = entry};
	e->last_cookie = cookie;
	return 0;
}

/* Slots of what was removed go, and room that is not needed. Where memory is short, it stays. */
static void compact(struct memory_entries *e)
{
	struct memory_slot *order;
	size_t n = 0;

	for (size_t i = 0; i < e->slots; i++)
		if (e->order[i].entry)
			e->order[n++] = e->order[i];
	e->slots = n;
	if (n == 0) {
		free(e->order);
		e->order = NULL;
		e->room = 0;
	} else if (e->room / 4 > n && (order = reallocarray(e->order, n * 2, sizeof *order)) != NULL) {
		e->order = order;
		e->room = n * 2;
	}
}

/* The same for the hash, which does not shrink by itself. */
static void rehash(struct memory_entries *e)
{
	struct map smaller = {0};

	for (size_t i = 0; i < e->slots; i++) {
		struct memory_entry *entry = e->order[i].entry;

		if (entry && map_set(&smaller, entry->name, entry->name_size, entry, NULL, NULL) < 0) {
			map_free(&smaller);
			return;
		}
	}
	map_free(&e->names);
	e->names = smaller;
}

void memory_entries_remove(struct memory_entries *e, struct memory_entry *entry, struct memory_budget *budget)
{
	slot_of(e, entry)->entry = NULL;
	map_remove(&e->names, entry->name, entry->name_size);
	memory_budget_give(budget, cost(entry->name_size));
	free(entry);
	if (e->names.size < e->slots / 2 || e->names.size == 0)
		compact(e);
	if (e->names.size < e->names.capacity / (2 * SPARSE) || e->names.size == 0)
		rehash(e);
}

int memory_entries_rename(
	struct memory_entries *e, struct memory_entry *entry, const char *name, struct memory_budget *budget)
{
	uint64_t before = cost(entry->name_size), after = cost(strlen(name));
	struct memory_entry *renamed;

	if (after > before && !memory_budget_take(budget, after - before))
		return -ENOSPC;
	renamed = entry_new(name, entry->node, entry->cookie);
	if (!renamed || map_set(&e->names, renamed->name, renamed->name_size, renamed, NULL, NULL) < 0) {
		free(renamed);
		if (after > before)
			memory_budget_give(budget, after - before);
		return -ENOMEM;
	}
	if (after < before)
		memory_budget_give(budget, before - after);
	map_remove(&e->names, entry->name, entry->name_size);
	slot_of(e, entry)->entry = renamed;
	free(entry);
	return 0;
}
