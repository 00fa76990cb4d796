/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/live_names.h"

#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"

/* ---- blobs --------------------------------------------------------------------------------------------- */

struct live_blob *live_blob_new(const void *entry, size_t size, const void *identity, size_t identity_size)
{
	struct live_blob *b = malloc(sizeof *b + size + identity_size);

	if (!b)
		return NULL;
	atomic_init(&b->users, 1);
	b->size = (uint32_t)size;
	b->identity_size = (uint32_t)identity_size;
	memcpy(b->bytes, entry, size);
	memcpy(b->bytes + size, identity, identity_size);
	return b;
}

struct live_blob *live_blob_hold(struct live_blob *b)
{
	if (b)
		atomic_fetch_add(&b->users, 1);
	return b;
}

void live_blob_drop(struct live_blob *b)
{
	if (b && atomic_fetch_sub(&b->users, 1) == 1)
		free(b);
}

/* ---- names --------------------------------------------------------------------------------------------- */

uint64_t live_cookie(const uint64_t seed[2], const char *name, size_t size)
{
	uint64_t hash = siphash(seed, name, size) >> 1; /* offsets of directories are signed */

	return hash < LIVE_COOKIE_FIRST ? hash + LIVE_COOKIE_FIRST : hash;
}

struct live_name *live_name_new(const uint64_t seed[2], const char *name, size_t size)
{
	struct live_name *n = malloc(sizeof *n + size + 1);

	if (!n)
		return NULL;
	*n = (struct live_name){.cookie = live_cookie(seed, name, size), .size = (uint16_t)size};
	memcpy(n->name, name, size);
	n->name[size] = 0;
	return n;
}

void live_name_free(struct live_name *n)
{
	if (!n)
		return;
	live_blob_drop(n->blob);
	free(n);
}

/* ---- the treap ----------------------------------------------------------------------------------------- */

/* Of a cookie, which is a hash already: mixed, so that no order of cookies makes a long branch. */
static uint64_t priority(const struct live_name *n)
{
	uint64_t x = n->cookie * 0x9e3779b97f4a7c15ull;

	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	return x ^ x >> 32;
}

struct live_name *live_names_find(
	const struct live_names *t, const uint64_t seed[2], const char *name, size_t size)
{
	uint64_t cookie = live_cookie(seed, name, size);
	struct live_name *n = t->root;

	while (n && n->cookie != cookie)
		n = cookie < n->cookie ? n->left : n->right;
	return n && n->size == size && !memcmp(n->name, name, size) ? n : NULL;
}

/* What is before the cookie, and the rest. */
static void split(struct live_name *t, uint64_t cookie, struct live_name **before, struct live_name **rest)
{
	while (t) {
		if (t->cookie < cookie) {
			*before = t;
			before = &t->right;
			t = t->right;
		} else {
			*rest = t;
			rest = &t->left;
			t = t->left;
		}
	}
	*before = *rest = NULL;
}

bool live_names_add(struct live_names *t, struct live_name *n)
{
	struct live_name **at = &t->root;

	for (struct live_name *o = t->root; o; o = n->cookie < o->cookie ? o->left : o->right)
		if (o->cookie == n->cookie)
			return false;
	while (*at && priority(*at) >= priority(n))
		at = n->cookie < (*at)->cookie ? &(*at)->left : &(*at)->right;
	split(*at, n->cookie, &n->left, &n->right);
	*at = n;
	t->count++;
	return true;
}

void live_names_remove(struct live_names *t, struct live_name *n)
{
	struct live_name **at = &t->root, *left = n->left, *right = n->right;

	while (*at != n)
		at = n->cookie < (*at)->cookie ? &(*at)->left : &(*at)->right;
	while (left && right) {
		if (priority(left) >= priority(right)) {
			*at = left;
			at = &left->right;
			left = left->right;
		} else {
			*at = right;
			at = &right->left;
			right = right->left;
		}
	}
	*at = left ? left : right;
	n->left = n->right = NULL;
	t->count--;
}

struct live_name *live_names_after(const struct live_names *t, uint64_t cookie)
{
	struct live_name *found = NULL;

	for (struct live_name *n = t->root; n;) {
		if (n->cookie > cookie) {
			found = n;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return found;
}

void live_names_free(struct live_names *t)
{
	struct live_name *n = t->root;

	/* Left branches are turned right, so that nothing recurses. */
	while (n) {
		struct live_name *left = n->left;

		if (left) {
			n->left = left->right;
			left->right = n;
			n = left;
		} else {
			struct live_name *right = n->right;

			live_name_free(n);
			n = right;
		}
	}
	*t = (struct live_names){0};
}
