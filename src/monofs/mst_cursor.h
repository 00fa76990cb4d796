/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A way through a map in order that sees nodes before it opens them: what is next is an item, or a child that
 * is opened or left out as a whole.
 */
#pragma once

#include "monofs/mst_node.h"

enum mst_next_kind { MST_END, MST_CHILD, MST_ITEM };

struct mst_cursor {
	const struct mst *t;
	enum mst_next_kind next;
	struct mst_child child; /* where next is MST_CHILD */
	struct mst_item item;   /* where it is MST_ITEM */
	struct mst_place {
		struct mst_node node;
		struct mst_step step;
		bool item_next;                  /* of step: an item; otherwise a child */
		struct mst_item low, high, last; /* bounds, and the last item given; no name: none */
	} places[MST_LEVELS];
	unsigned depth;
};

/* At a map's beginning: its root is a child. An empty map: MST_END. */
void mst_cursor_begin(struct mst_cursor *c, const struct mst *t, const struct object_id *root);
void mst_cursor_end(struct mst_cursor *c); /* also behind an error */
static inline void cleanup_mst_cursor(struct mst_cursor *c)
{
	mst_cursor_end(c);
}
#define _cleanup_mst_cursor_ __attribute__((cleanup(cleanup_mst_cursor)))

/* Leaves out the child, or goes behind the item. */
void mst_cursor_skip(struct mst_cursor *c);

/* What is first in the child is next. On an error the child is still there to be left out. */
int mst_cursor_open(struct mst_cursor *c, struct error *err);

/* The item behind the child that is next; false: none in the same node. */
bool mst_cursor_peek(const struct mst_cursor *c, struct mst_item *item);

/* Opens what is next until it is an item, without the first *skip items, which it counts down. 1: there is
 * one, 0: the end. */
int mst_cursor_item(struct mst_cursor *c, uint64_t *skip, struct error *err);

/* Goes on to an item, over what is before it: names are asked for in order. 1: it is next, 0: it is not
 * there. */
int mst_cursor_seek(struct mst_cursor *c, const char *name, size_t name_size, struct error *err);

/* What two maps differ in, in order. */
struct mst_difference {
	struct mst_cursor left, right;
	const struct mst_item *a, *b; /* NULL: not there */
};
void mst_difference_begin(
	struct mst_difference *d, const struct mst *t, const struct object_id *a, const struct object_id *b);
void mst_difference_end(struct mst_difference *d);
int mst_difference_next(struct mst_difference *d, struct error *err); /* 1: a and b are set, 0: the end */
