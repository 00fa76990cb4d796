/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/siphash.h"

static uint32_t hash_bytes(const struct map *m, const void *key, size_t n)
{
	uint64_t h = siphash(m->seed, key, n);

	return (uint32_t)(h ^ h >> 32);
}

static struct map_slot *find(const struct map *m, const void *key, size_t n, uint32_t hash)
{
	size_t mask = m->capacity - 1;

	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		struct map_slot *slot = &m->slots[i];

		if (!slot->key || (slot->hash == hash && slot->key_size == n && !memcmp(slot->key, key, n)))
			return slot;
	}
}

static int grow(struct map *m, struct error *err)
{
	size_t capacity = m->capacity ? m->capacity * 2 : 16;
	struct map bigger = {.capacity = capacity, .size = m->size};

	memcpy(bigger.seed, m->seed, sizeof m->seed);
	if (!m->capacity && getrandom(bigger.seed, sizeof bigger.seed, GRND_NONBLOCK) < 0)
		bigger.seed[0] = (uintptr_t)m; /* before the kernel has entropy: still not a constant */
	bigger.slots = calloc(capacity, sizeof *bigger.slots);
	if (!bigger.slots)
		return error_no_memory(err, "extend a map");
	for (size_t i = 0; i < m->capacity; i++)
		if (m->slots[i].key)
			*find(&bigger, m->slots[i].key, m->slots[i].key_size, m->slots[i].hash) = m->slots[i];
	free(m->slots);
	*m = bigger;
	return 0;
}

void map_free(struct map *m)
{
	for (size_t i = 0; i < m->capacity; i++)
		free(m->slots[i].key);
	free(m->slots);
	*m = (struct map){0};
}

void *map_get(const struct map *m, const void *key, size_t n)
{
	return m->capacity ? find(m, key, n, hash_bytes(m, key, n))->value : NULL;
}

int map_set(struct map *m, const void *key, size_t n, void *value, void **old, struct error *err)
{
	struct map_slot *slot;
	uint32_t hash;
	int r;

	if (n > UINT32_MAX)
		return error_set(err, ERROR_LIMIT, "a map's key of %zu bytes is too long", n);
	if (m->size + 1 > m->capacity / 4 * 3 && (r = grow(m, err)) < 0)
		return r;
	hash = hash_bytes(m, key, n);
	slot = find(m, key, n, hash);
	if (old)
		*old = slot->value;
	if (!slot->key) {
		uint8_t *copy = malloc(n ? n : 1);

		if (!copy)
			return error_no_memory(err, "extend a map");
		if (n)
			memcpy(copy, key, n);
		*slot = (struct map_slot){.key = copy, .key_size = (uint32_t)n, .hash = hash};
		m->size++;
	}
	slot->value = value;
	return 0;
}

void *map_remove(struct map *m, const void *key, size_t n)
{
	struct map_slot *slot = m->capacity ? find(m, key, n, hash_bytes(m, key, n)) : NULL;
	size_t mask = m->capacity - 1, hole;
	void *value;

	if (!slot || !slot->key)
		return NULL;
	value = slot->value;
	free(slot->key);
	hole = (size_t)(slot - m->slots);
	*slot = (struct map_slot){0};
	m->size--;
	/* Close the gap: move back what probed past the hole (Knuth vol. 3, 6.4, algorithm R). */
	for (size_t i = (hole + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
		size_t home = m->slots[i].hash & mask;

		if (((i - home) & mask) >= ((i - hole) & mask)) {
			m->slots[hole] = m->slots[i];
			m->slots[i] = (struct map_slot){0};
			hole = i;
		}
	}
	return value;
}

struct map_slot *map_next(const struct map *m, size_t *at)
{
	while (*at < m->capacity) {
		struct map_slot *slot = &m->slots[(*at)++];

		if (slot->key)
			return slot;
	}
	return NULL;
}
