/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/id_set.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/siphash.h"

#define FIRST_CAPACITY 1024u

void id_set_free(struct id_set *s)
{
	free(s->slots);
	s->slots = NULL;
	s->capacity = s->size = 0;
	s->has_zero = false;
}

static size_t words(const struct id_set *s)
{
	return s->width / sizeof(uint64_t);
}

static bool is_free(const struct id_set *s, const uint64_t *slot)
{
	return slot[0] == 0 && (words(s) == 1 || slot[1] == 0);
}

/* Where the key is, or the free slot where it belongs. */
static uint64_t *find(const struct id_set *s, const uint64_t *key)
{
	size_t at = (size_t)siphash(s->seed, key, s->width) & (s->capacity - 1);

	for (;; at = (at + 1) & (s->capacity - 1)) {
		uint64_t *slot = s->slots + at * words(s);

		if (is_free(s, slot) || memcmp(slot, key, s->width) == 0)
			return slot;
	}
}

static int grow(struct id_set *s, struct error *err)
{
	struct id_set larger = *s;

	larger.capacity = s->capacity ? 2 * s->capacity : FIRST_CAPACITY;
	if (s->capacity == 0)
		randombytes_buf(larger.seed, sizeof larger.seed);
	larger.slots = calloc(larger.capacity, s->width);
	if (!larger.slots)
		return error_no_memory(err, "go through a repository");
	for (size_t i = 0; i < s->capacity; i++) {
		const uint64_t *slot = s->slots + i * words(s);

		if (!is_free(s, slot))
			memcpy(find(&larger, slot), slot, s->width);
	}
	free(s->slots);
	*s = larger;
	return 0;
}

int id_set_add(struct id_set *s, const struct object_id *id, bool *fresh, struct error *err)
{
	uint64_t key[2], *slot;
	int r = s->size * 4 >= s->capacity * 3 ? grow(s, err) : 0;

	if (r < 0)
		return r;
	memcpy(key, id->bytes, sizeof key);
	if (is_free(s, key)) {
		if (fresh)
			*fresh = !s->has_zero;
		s->has_zero = true;
		return 0;
	}
	slot = find(s, key);
	if (fresh)
		*fresh = is_free(s, slot);
	if (is_free(s, slot)) {
		memcpy(slot, key, s->width);
		s->size++;
	}
	return 0;
}

bool id_set_has(const struct id_set *s, const struct object_id *id)
{
	uint64_t key[2];

	memcpy(key, id->bytes, sizeof key);
	if (is_free(s, key))
		return s->has_zero;
	return s->capacity && !is_free(s, find(s, key));
}
