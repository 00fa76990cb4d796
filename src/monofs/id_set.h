/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of objects' ids for who goes through whole repositories: of each id its first bytes, 16 for what must
 * not be taken for another, 8 where that costs nothing.
 */
#pragma once

#include "base/error.h"
#include "monofs/object.h"

struct id_set {
	unsigned width; /* 8 or 16 bytes of each id; set by the owner */
	uint64_t seed[2];
	uint64_t *slots;
	size_t capacity, size;
	bool has_zero; /* an id that begins with so many zeroes, which is what a free slot is */
};

void id_set_free(struct id_set *s);

/* *fresh (may be NULL): it was not there. */
int id_set_add(struct id_set *s, const struct object_id *id, bool *fresh, struct error *err);
bool id_set_has(const struct id_set *s, const struct object_id *id);
