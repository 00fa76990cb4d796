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

int mst_cursor_item(struct mst_cursor *c, uint64_t *skip, struct error *err)
{
	while (c->next != MST_END) {
		int r;

		if (c->next == MST_ITEM) {
			if (*skip == 0)
				return 1;
			--*skip;
			mst_cursor_skip(c);
		} else if (c->depth && c->child.count <= *skip) {
			*skip -= c->child.count;
			mst_cursor_skip(c);
		} else {
			r = mst_cursor_open(c, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int mst_cursor_seek(struct mst_cursor *c, const char *name, size_t name_size, struct error *err)
{
	struct mst_item behind;

	while (c->next != MST_END) {
		int order = -1, r;

		if (c->next == MST_ITEM) {
			order = mst_compare(name, name_size, c->item.name, c->item.name_size);
			if (order <= 0)
				return order == 0;
		} else if (mst_cursor_peek(c, &behind)) {
			order = mst_compare(name, name_size, behind.name, behind.name_size);
		}
		if (order >= 0) {
			mst_cursor_skip(c);
			continue;
		}
		r = mst_cursor_open(c, err);
		if (r < 0)
			return r;
	}
	return 0;
}

void mst_difference_begin(
	struct mst_difference *d, const struct mst *t, const struct object_id *a, const struct object_id *b)
{
	mst_cursor_begin(&d->left, t, a);
	mst_cursor_begin(&d->right, t, b);
	d->a = d->b = NULL;
}

void mst_difference_end(struct mst_difference *d)
{
	mst_cursor_end(&d->left);
	mst_cursor_end(&d->right);
}

/* Both are at items or at their ends. 1: these differ; 0: they are the same, and left behind. */
static int compare_items(struct mst_difference *d)
{
	const struct mst_item *a = d->left.next == MST_ITEM ? &d->left.item : NULL;
	const struct mst_item *b = d->right.next == MST_ITEM ? &d->right.item : NULL;
	int order = !a ? 1 : !b ? -1 : mst_compare(a->name, a->name_size, b->name, b->name_size);

	if (order == 0 && a->value_size == b->value_size && memcmp(a->value, b->value, a->value_size) == 0) {
		mst_cursor_skip(&d->left);
		mst_cursor_skip(&d->right);
		return 0;
	}
	d->a = order <= 0 ? a : NULL;
	d->b = order >= 0 ? b : NULL;
	return 1;
}

/* At least one is at a child: the higher one is opened, so that they come to the same, unless they did. */
static int open_children(struct mst_cursor *a, struct mst_cursor *b, struct error *err)
{
	if (a->next != MST_CHILD || b->next != MST_CHILD)
		return mst_cursor_open(a->next == MST_CHILD ? a : b, err);
	if (!object_id_equal(&a->child.id, &b->child.id))
		return mst_cursor_open(a->child.level >= b->child.level ? a : b, err);
	mst_cursor_skip(a);
	mst_cursor_skip(b);
	return 0;
}

int mst_difference_next(struct mst_difference *d, struct error *err)
{
	if (d->a)
		mst_cursor_skip(&d->left);
	if (d->b)
		mst_cursor_skip(&d->right);
	d->a = d->b = NULL;
	while (d->left.next != MST_END || d->right.next != MST_END) {
		int r;

		if (d->left.next != MST_CHILD && d->right.next != MST_CHILD) {
			if (compare_items(d))
				return 1;
			continue;
		}
		r = open_children(&d->left, &d->right, err);
		if (r < 0)
			return r;
	}
	return 0;
}
