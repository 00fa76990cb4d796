/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash map from byte strings to pointers, open addressing, insertion order not kept. The hash is keyed
 * by a seed per map (siphash.h), so that keys chosen by a stranger cannot make it slow.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct map_slot {
	void *value;
	uint8_t *key; /* owned copy; NULL: free slot */
	uint32_t key_size;
	uint32_t hash;
};

struct map {
	struct map_slot *slots;
	size_t capacity; /* a power of two, or 0 */
	size_t size;
	uint64_t seed[2];
};

void map_free(struct map *m); /* the keys and the table; the values are the caller's */

void *map_get(const struct map *m, const void *key, size_t n); /* NULL: not there */

/* Sets key to value (not NULL). *old (may be NULL) gets what was there, or NULL. */
int map_set(struct map *m, const void *key, size_t n, void *value, void **old, struct error *err);

void *map_remove(struct map *m, const void *key, size_t n); /* the value that was there, or NULL */

/* Walks all slots: start with *at = 0; returns NULL at the end. The map must not change meanwhile. */
struct map_slot *map_next(const struct map *m, size_t *at);
