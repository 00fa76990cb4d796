/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the objects of a tree promise of each other: the content and the identity map of each directory have
 * the same names, only directories have an identity map, and each ENTRY_LINK leads to what it may lead to.
 *
 * Maps of the same names have the same shape, so both are gone through side by side, and two nodes that were
 * met side by side before are not looked into again, in whatever revision. Where a link leads depends on the
 * revision: nodes with links in or beneath them are looked into once for each. That is enough of a revision
 * that has a node at several paths: where a link leads does not depend on its own path but in that it is
 * later, and the first path that is met is the earliest.
 *
 * Not looked at: whether all names of an object have the same id. What lies beneath nodes that cannot be read
 * is judged when they can.
 */
#pragma once

#include "monofs/commit.h"
#include "monofs/id_set.h"
#include "monofs/tree_links.h"

struct check_frame;
struct check_tree {
	struct repository *r;
	void (*wrong)(void *context, const char *path, const char *why);
	/* A node that cannot be read there; *err says why. */
	void (*unreadable)(void *context, const struct object_id *id, const char *path, struct error *err);
	void *context;
	/* its own */
	struct id_set pairs;  /* hashes of two nodes met side by side */
	struct id_set linked; /* content nodes with links in or beneath them */
	struct id_set again;  /* those of them that were looked into again in this revision */
	struct tree_links links;
	struct buffer path;
	uint64_t pairs_most;
	bool too_many;
	struct check_frame *top;
	unsigned depth;
};

/* The tree of a revision. nodes_most: how many objects all trees are known to have so far; pairs of them that
 * are many times more were made to harm, and are told. err: not NULL. 0 also where something is wrong. */
int check_tree(struct check_tree *t, const struct commit *c, uint64_t nodes_most, struct error *err);
void check_tree_free(struct check_tree *t);
