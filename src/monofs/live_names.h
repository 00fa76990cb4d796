/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names in a directory, as a treap in the order of their cookies: a cookie is a hash of the name under a
 * seed of the repository's, so it is the same in every process, and finds the name as well as the place from
 * which a listing goes on. Two names with one hash cannot be in one directory (-ENOSPC, as ext4 has it).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "monofs/entry.h"

#define LIVE_COOKIE_SELF   1u
#define LIVE_COOKIE_PARENT 2u
#define LIVE_COOKIE_FIRST  16u

struct live_node;

/* What the newest revision has of a name: the entry and the identity as they are encoded. */
struct live_blob {
	atomic_uint users;
	uint32_t size, identity_size;
	uint8_t bytes[]; /* the entry, then the identity */
};
struct live_blob *live_blob_new(const void *entry, size_t size, const void *identity, size_t identity_size);
struct live_blob *live_blob_hold(struct live_blob *b);
void live_blob_drop(struct live_blob *b); /* NULL is fine */

struct live_name {
	struct live_name *left, *right;
	uint64_t cookie;
	struct live_node *directory;
	struct live_node *node; /* NULL: not in memory; it is what blob says */
	struct live_name *next; /* of the node's other names */
	struct live_blob *blob; /* NULL: no revision has it */
	uint8_t id[ENTRY_ID_SIZE];
	uint16_t size;
	bool known;   /* a revision has this name, or the one that is being made will */
	uint8_t kind; /* enum entry_kind, of the object: never ENTRY_LINK once a node is there */
	char name[];  /* with a NUL */
};

struct live_names {
	struct live_name *root;
	size_t count;
};

uint64_t live_cookie(const uint64_t seed[2], const char *name, size_t size);
struct live_name *live_name_new(const uint64_t seed[2], const char *name, size_t size);
void live_name_free(struct live_name *n); /* NULL is fine */

struct live_name *live_names_find(
	const struct live_names *t, const uint64_t seed[2], const char *name, size_t size);
/* false: a name with that cookie is there. */
bool live_names_add(struct live_names *t, struct live_name *n);
void live_names_remove(struct live_names *t, struct live_name *n);
struct live_name *live_names_after(const struct live_names *t, uint64_t cookie); /* the next, or NULL */
void live_names_free(struct live_names *t);                                      /* and all names */
