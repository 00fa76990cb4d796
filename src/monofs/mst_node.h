/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One node of a Merkle search tree as bytes (docs/formats/monofs.md, "Nodes"):
 *
 *     u8 level                    0 to 12
 *     child                       where level is not 0
 *     then once or more, in the order of names, to the end of the object:
 *         u8 size, name           1 to 255 bytes
 *         u32 size, value         at most 131,072 bytes
 *         child                   where level is not 0
 *
 *     child: u8 0: there is none; or u8 1 + its level (less than this node's), id[32], u64 count (of all
 * names in it and beneath, at least 1)
 *
 * Each name is of the node's level. All of a child's names lie between the two it stands between.
 */
#pragma once

#include "monofs/mst.h"

/* What a node says of one beneath it. */
struct mst_child {
	struct object_id id; /* none: there is none */
	uint64_t count;
	unsigned level;
};

/* Names between which a node's lie; NULL: no bound. */
struct mst_bounds {
	const struct mst_item *low, *high;
};

/* Reads through a node that was judged: child, item, child, …, item, child. */
struct mst_step {
	struct cursor bytes;
	unsigned level;
};

struct mst_node {
	struct store_bytes held;
	unsigned level;
	uint64_t count;       /* names in it and beneath */
	struct mst_step step; /* at its beginning */
};

/* The level of a name. */
int mst_level(const struct crypt *c, const char *name, size_t name_size, unsigned *level, struct error *err);

/* NULL, or why it is no name. */
const char *mst_name_fault(const char *name, size_t n);

/* Loads and judges all of a node: `child` as another said, or as mst_root_child() has it. Errors: the
 * store's; CORRUPT, naming it. mst_node_release() also where this failed. */
int mst_node_load(const struct mst *t, const struct mst_child *child, const struct mst_bounds *bounds,
	struct mst_node *out, struct error *err);
void mst_node_release(const struct mst *t, struct mst_node *node);

/* The same without a store, for what is not in one; `out->held` stays empty. */
int mst_node_judge(const struct crypt *c, enum object_type type, const struct mst_child *child,
	const struct mst_bounds *bounds, const uint8_t *bytes, size_t n, struct mst_node *out,
	struct error *err);

/* A root, of which nobody said anything. */
struct mst_child mst_root_child(const struct object_id *root);

void mst_step_child(struct mst_step *s, struct mst_child *child);
bool mst_step_item(struct mst_step *s, struct mst_item *item); /* false: the end */
