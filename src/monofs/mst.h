/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merkle search trees (Auvolat, Taïani: "Merkle Search Trees: Efficient State-Based CRDTs in Open Networks",
 * SRDS 2019): an ordered map from names to values, made of objects of the store, whose shape depends on what
 * is in it alone. So two maps with the same contents have the same root, however they came about, and what
 * two maps differ in is found by looking at the nodes that differ.
 *
 * Each name has a level: how many times 5 zero bits lead SHA-256(level key, name), at most 12. A node of
 * level L holds the names of that level between two names of higher ones, in the order of their bytes
 * (memcmp, the shorter first), and between them the nodes beneath. A node is encoded as
 * docs/formats/monofs.md, "Nodes" says; its decoder refuses every other encoding of the same.
 *
 * The root of an empty map is no object: all zeroes.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "monofs/store.h"

#define MST_NAME_MAX  255u
#define MST_VALUE_MAX 131072u
#define MST_LEVELS    13u

struct mst_item {
	const char *name; /* name_size bytes, no NUL behind them; not empty, no '/' and no NUL in them, not
			     "." or ".." */
	size_t name_size;
	const void *value;
	size_t value_size;
};

/* How names are ordered. */
int mst_compare(const char *a, size_t a_size, const char *b, size_t b_size);

/* Of which map: its nodes are of `type`, CONTENT or IDENTITY. */
struct mst {
	struct store *store;
	const struct crypt *crypt;
	enum object_type type;
};

/* ---- writing ---- */

/* Makes a map of items that come in order: next() gives 1 and the next item, whose memory is good until the
 * next call, 0 at the end, or an error. *count may be NULL. */
typedef int mst_next(void *context, struct mst_item *item, struct error *err);
int mst_build(const struct mst *t, struct store_writer *w, mst_next *next, void *context,
	struct object_id *root, uint64_t *count, struct error *err);

/* The same, given one by one. A builder that failed is of no more use than to be freed. */
struct mst_builder;
int mst_builder_new(const struct mst *t, struct store_writer *w, struct mst_builder **out, struct error *err);
void mst_builder_free(struct mst_builder *b);
CLEANUP_DEFINE(mst_builder, struct mst_builder, mst_builder_free);
int mst_builder_add(struct mst_builder *b, const struct mst_item *item, struct error *err);
int mst_builder_finish(struct mst_builder *b, struct object_id *root, uint64_t *count, struct error *err);

/* The map with these changes: names with a value are set, those whose value is NULL removed (also if they
 * were not there). Sorted by name, each once. Costs what changes, and the way there. The old map's nodes are
 * read: a writer that has just put them is flushed before. */
int mst_update(const struct mst *t, struct store_writer *w, const struct object_id *root,
	const struct mst_item *changes, size_t change_count, struct object_id *new_root, uint64_t *count,
	struct error *err);

/* ---- reading ---- */

/* Errors beside the store's: CORRUPT, naming the node. */
int mst_count(const struct mst *t, const struct object_id *root, uint64_t *count, struct error *err);

/* The value, appended to it. 1: found, 0: not. */
int mst_get(const struct mst *t, const struct object_id *root, const char *name, size_t name_size,
	struct buffer *value, struct error *err);

/* Calls take() for the items from the position `from` on (0: all), in order, until it returns other than 0;
 * that is what is returned. Positions count items; beginning at one costs the way there. */
typedef int mst_take(void *context, uint64_t position, const struct mst_item *item, struct error *err);
int mst_walk(const struct mst *t, const struct object_id *root, uint64_t from, mst_take *take, void *context,
	struct error *err);

/* Calls differ() in order for each name that is in one of them only (the other's item is NULL) or has another
 * value. What is the same in both is not read. */
typedef int mst_differ(void *context, const struct mst_item *a, const struct mst_item *b, struct error *err);
int mst_diff(const struct mst *t, const struct object_id *a, const struct object_id *b, mst_differ *differ,
	void *context, struct error *err);

/* For mark and check: calls node() for each node beneath root, itself included, before it is looked into; one
 * that it returns 1 for is left out. take() gets the items, with no position. broken() (may be NULL: then
 * that is the end) is told of a node that cannot be read, by its id and *err, and returns 0 to go on without
 * it. */
struct mst_visitor {
	int (*node)(void *context, const struct object_id *id, struct error *err);
	mst_take *take;
	int (*broken)(void *context, const struct object_id *id, struct error *err);
	void *context;
};
int mst_visit(
	const struct mst *t, const struct object_id *root, const struct mst_visitor *v, struct error *err);
