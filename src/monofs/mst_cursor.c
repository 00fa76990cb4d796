/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/mst_cursor.h"

void mst_cursor_begin(struct mst_cursor *c, const struct mst *t, const struct object_id *root)
{
	c->t = t;
	c->depth = 0;
	c->child = mst_root_child(root);
	c->next = object_id_is_none(root) ? MST_END : MST_CHILD;
}

void mst_cursor_end(struct mst_cursor *c)
{
	while (c->depth)
		mst_node_release(c->t, &c->places[--c->depth].node);
	c->next = MST_END;
}

void mst_cursor_skip(struct mst_cursor *c)
{
	while (c->depth) {
		struct mst_place *p = &c->places[c->depth - 1];

		if (!p->item_next) {
			mst_step_child(&p->step, &c->child);
			p->item_next = true;
			if (object_id_is_none(&c->child.id))
				continue;
			c->next = MST_CHILD;
			return;
		}
		if (mst_step_item(&p->step, &c->item)) {
			p->item_next = false;
			p->last = c->item;
			c->next = MST_ITEM;
			return;
		}
		mst_node_release(c->t, &p->node);
		c->depth--;
	}
	c->next = MST_END;
}

bool mst_cursor_peek(const struct mst_cursor *c, struct mst_item *item)
{
	struct mst_step step;

	if (!c->depth)
		return false;
	step = c->places[c->depth - 1].step;
	return mst_step_item(&step, item);
}

int mst_cursor_open(struct mst_cursor *c, struct error *err)
{
	/* Each level is lower than the one above, so there is room. */
	struct mst_place *p = &c->places[c->depth];
	struct mst_bounds bounds = {0};
	int r;

	p->low = p->high = p->last = (struct mst_item){0};
	if (c->depth) {
		const struct mst_place *above = p - 1;

		p->low = above->last.name ? above->last : above->low;
		if (!mst_cursor_peek(c, &p->high))
			p->high = above->high;
		bounds.low = p->low.name ? &p->low : NULL;
		bounds.high = p->high.name ? &p->high : NULL;
	}
	r = mst_node_load(c->t, &c->child, &bounds, &p->node, err);
	if (r < 0) {
		mst_node_release(c->t, &p->node);
		return r;
	}
	p->step = p->node.step;
	p->item_next = false;
	c->depth++;
	mst_cursor_skip(c);
	return 0;
}
