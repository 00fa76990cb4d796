/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names in a directory: found by a hash, and listed in the order of their cookies. A cookie is given out
 * once and only grows, so a listing goes on behind any cookie, whether its entry is still there or not. An
 * entry that is renamed within its directory keeps its cookie: a walk that renames what comes ends.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "vfs/memory/budget.h"

#define MEMORY_COOKIE_SELF   1u /* "." */
#define MEMORY_COOKIE_PARENT 2u /* ".." */

struct memory_node;

struct memory_entry {
	struct memory_node *node;
	uint64_t cookie;
	size_t name_size;
	char name[]; /* with a NUL */
};

struct memory_entries {
	struct map names; /* name → entry */
	struct memory_slot {
		uint64_t cookie;
		struct memory_entry *entry; /* NULL: removed */
	} * order;                          /* by cookie */
	size_t slots, room;                 /* of `order`: those in use, those there are */
	uint64_t last_cookie;               /* 0: none yet */
};

void memory_entries_free(struct memory_entries *e, struct memory_budget *budget);
struct memory_entry *memory_entries_find(const struct memory_entries *e, const char *name);

/* The name must not be there. 0, -ENOSPC or -ENOMEM. */
int memory_entries_add(
	struct memory_entries *e, const char *name, struct memory_node *node, struct memory_budget *budget);
void memory_entries_remove(
	struct memory_entries *e, struct memory_entry *entry, struct memory_budget *budget);
/* The new name must not be there. Afterwards `entry` is gone. */
int memory_entries_rename(
	struct memory_entries *e, struct memory_entry *entry, const char *name, struct memory_budget *budget);

struct memory_entry *memory_entries_after(const struct memory_entries *e, uint64_t cookie); /* or NULL */
uint64_t memory_entries_last_cookie(const struct memory_entries *e); /* of all given out until now */
