/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository's objects in memory, with the functions of monofs/store.h: for tests of what stands on it, and
 * to make any call of it fail. A program that is linked with this has it in the place of the one on disk.
 */
#pragma once

#include "monofs/store.h"

struct store *memory_store_new(const struct crypt *crypt);

/* Objects that are there, and calls that read one. */
size_t memory_store_objects(const struct store *s);
size_t memory_store_reads(const struct store *s);

/* An object of these bytes under the id that they have, or under another (id). */
void memory_store_plant(
	struct store *s, enum object_type type, const void *bytes, size_t n, struct object_id *id);
void memory_store_lie(
	struct store *s, const struct object_id *id, enum object_type type, const void *bytes, size_t n);
void memory_store_remove(struct store *s, const struct object_id *id);

/* The n-th put or get from now on fails; 0: none. */
void memory_store_fail(struct store *s, unsigned n);
bool memory_store_failed(const struct store *s);

/* The keys of a plain repository with small chunks. */
void memory_store_crypt(struct crypt *c);
