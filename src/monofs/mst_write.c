/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps are made. The builder is given a map's contents in order, as items or as whole nodes of an old map. A
 * node is taken over as it is where both its neighbours are items of higher levels, which cut it off; where
 * one is not, the node is opened, and what it has is given to the builder in its place. So the result is the
 * one that the same items would have given, each by itself.
 */
#include "monofs/mst_node.h"

struct mst_builder {
	struct mst t;
	struct store_writer *w;
	/* The node of each level that is not closed yet: encoded but for its last child; empty: no items. */
	struct open_node {
		struct buffer bytes;
		uint64_t count;
	} levels[MST_LEVELS];
	struct mst_child pending; /* an old node that nothing has followed yet; all open nodes are higher */
	char last[MST_NAME_MAX];  /* the last item's name */
	size_t last_size;
};

static void builder_free(struct mst_builder *b)
{
	for (unsigned i = 0; i < MST_LEVELS; i++)
		buffer_free(&b->levels[i].bytes);
}
#define _cleanup_builder_ _cleanup_(builder_free)

/* A node that was not looked into may say that it has any number of names. */
static int add_count(struct open_node *n, uint64_t more, struct error *err)
{
	return __builtin_add_overflow(n->count, more, &n->count)
		       ? error_set(err, ERROR_CORRUPT, "make a map: more names than can be counted")
		       : 0;
}

static int append_child(struct open_node *n, unsigned level, const struct mst_child *child, struct error *err)
{
	if (level == 0)
		return 0;
	if (object_id_is_none(&child->id)) {
		buffer_u8(&n->bytes, 0);
		return 0;
	}
	buffer_u8(&n->bytes, (uint8_t)(child->level + 1));
	buffer_append(&n->bytes, child->id.bytes, OBJECT_ID_SIZE);
	buffer_u64(&n->bytes, child->count);
	return add_count(n, child->count, err);
}

/* Closes the nodes below `level`. *child is what then stands before the next item of that level. */
static int close_below(struct mst_builder *b, unsigned level, struct mst_child *child, struct error *err)
{
	*child = b->pending;
	b->pending = (struct mst_child){0};
	for (unsigned i = 0; i < level; i++) {
		struct open_node *n = &b->levels[i];
		int r;

		if (n->bytes.size == 0)
			continue;
		r = append_child(n, i, child, err);
		if (r < 0)
			return r;
		if (n->bytes.failed)
			return error_no_memory(err, "make a map");
		r = store_put(b->w, b->t.type, n->bytes.data, n->bytes.size, &child->id, NULL, err);
		if (r < 0)
			return r;
		child->count = n->count;
		child->level = i;
		n->count = 0;
		buffer_clear(&n->bytes);
	}
	return 0;
}

static int open_pending(struct mst_builder *b, struct error *err);

static int add_item(struct mst_builder *b, unsigned level, const struct mst_item *item, struct error *err)
{
	struct open_node *n = &b->levels[level];
	struct mst_child child;
	int r = 0;

	if (b->last_size && mst_compare(b->last, b->last_size, item->name, item->name_size) >= 0)
		return error_set(err, ERROR_INVALID, "make a map: names out of order");
	while (r == 0 && !object_id_is_none(&b->pending.id) && b->pending.level >= level)
		r = open_pending(b, err);
	if (r == 0)
		r = close_below(b, level, &child, err);
	if (r < 0)
		return r;
	if (n->bytes.size == 0)
		buffer_u8(&n->bytes, (uint8_t)level);
	r = append_child(n, level, &child, err);
	if (r == 0)
		r = add_count(n, 1, err);
	if (r < 0)
		return r;
	if (n->bytes.size + item->name_size + item->value_size + 64 > object_type_most(b->t.type))
		return error_set(err, ERROR_LIMIT, "make a map: too many names and values in one node");
	buffer_u8(&n->bytes, (uint8_t)item->name_size);
	buffer_append(&n->bytes, item->name, item->name_size);
	buffer_bytes(&n->bytes, item->value, item->value_size);
	memcpy(b->last, item->name, item->name_size);
	b->last_size = item->name_size;
	return n->bytes.failed ? error_no_memory(err, "make a map") : 0;
}

static int add_child(struct mst_builder *b, const struct mst_child *child, struct error *err);

/* Gives what a node has instead of it. */
static int add_contents(struct mst_builder *b, const struct mst_child *child, struct error *err)
{
	struct mst_node node;
	struct mst_child below;
	struct mst_item item;
	int r = mst_node_load(&b->t, child, NULL, &node, err);

	if (r == 0) {
		mst_step_child(&node.step, &below);
		r = add_child(b, &below, err);
	}
	while (r == 0 && mst_step_item(&node.step, &item)) {
		r = add_item(b, node.level, &item, err);
		if (r < 0)
			break;
		mst_step_child(&node.step, &below);
		r = add_child(b, &below, err);
	}
	mst_node_release(&b->t, &node);
	return r;
}

static int open_pending(struct mst_builder *b, struct error *err)
{
	struct mst_child child = b->pending;

	b->pending = (struct mst_child){0};
	return add_contents(b, &child, err);
}

/* Whether an item without an end stands before a node of this level, which would belong into it or it into
 * the item's. */
static bool meets_items(const struct mst_builder *b, unsigned level)
{
	for (unsigned i = 0; i <= level; i++) {
		if (b->levels[i].bytes.size)
			return true;
	}
	return false;
}

static int add_child(struct mst_builder *b, const struct mst_child *child, struct error *err)
{
	int r = 0;

	if (object_id_is_none(&child->id))
		return 0;
	while (r == 0 && !object_id_is_none(&b->pending.id) && b->pending.level >= child->level)
		r = open_pending(b, err);
	if (r < 0)
		return r;
	if (!object_id_is_none(&b->pending.id) || meets_items(b, child->level))
		return add_contents(b, child, err);
	b->pending = *child;
	return 0;
}

static int finish(struct mst_builder *b, struct object_id *root, uint64_t *count, struct error *err)
{
	struct mst_child child;
	int r = close_below(b, MST_LEVELS, &child, err);

	if (r < 0)
		return r;
	*root = child.id;
	if (count)
		*count = child.count;
	return 0;
}

static int add_new(struct mst_builder *b, const struct mst_item *item, struct error *err)
{
	const char *fault = mst_name_fault(item->name, item->name_size);
	unsigned level;
	int r;

	if (fault)
		return error_set(err, ERROR_INVALID, "make a map: %s", fault);
	if (item->value_size > MST_VALUE_MAX)
		return error_set(err, ERROR_LIMIT, "make a map: a value of %zu bytes", item->value_size);
	r = mst_level(b->t.crypt, item->name, item->name_size, &level, err);
	return r < 0 ? r : add_item(b, level, item, err);
}

int mst_builder_new(const struct mst *t, struct store_writer *w, struct mst_builder **out, struct error *err)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return error_no_memory(err, "make a map");
	(*out)->t = *t;
	(*out)->w = w;
	return 0;
}

void mst_builder_free(struct mst_builder *b)
{
	if (!b)
		return;
	builder_free(b);
	free(b);
}

int mst_builder_add(struct mst_builder *b, const struct mst_item *item, struct error *err)
{
	return add_new(b, item, err);
}

int mst_builder_finish(struct mst_builder *b, struct object_id *root, uint64_t *count, struct error *err)
{
	return finish(b, root, count, err);
}

int mst_build(const struct mst *t, struct store_writer *w, mst_next *next, void *context,
	struct object_id *root, uint64_t *count, struct error *err)
{
	_cleanup_builder_ struct mst_builder b = {.t = *t, .w = w};
	struct mst_item item;
	int r;

	while ((r = next(context, &item, err)) == 1) {
		r = add_new(&b, &item, err);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : finish(&b, root, count, err);
}

/* Changes of what lies between two names. */
struct changes {
	const struct mst_item *list;
	size_t count;
};

/* Those before an item are taken off. */
static struct changes changes_before(struct changes *c, const struct mst_item *item)
{
	struct changes out = {.list = c->list};

	while (out.count < c->count && mst_compare(c->list[out.count].name, c->list[out.count].name_size,
					       item->name, item->name_size) < 0)
		out.count++;
	c->list += out.count;
	c->count -= out.count;
	return out;
}

static int add_changes(struct mst_builder *b, struct changes c, struct error *err)
{
	for (size_t i = 0; i < c.count; i++) {
		int r = c.list[i].value ? add_new(b, &c.list[i], err) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* An item of the old map, unless it is changed. */
static int add_old(struct mst_builder *b, unsigned level, const struct mst_item *item, struct changes *c,
	struct error *err)
{
	const struct mst_item *change = c->list;

	if (c->count == 0 || mst_compare(change->name, change->name_size, item->name, item->name_size) != 0)
		return add_item(b, level, item, err);
	c->list++;
	c->count--;
	return change->value ? add_new(b, change, err) : 0;
}

static int add_changed(
	struct mst_builder *b, const struct mst_child *child, struct changes c, struct error *err)
{
	struct mst_child below;
	struct mst_item item;
	struct mst_node node;
	int r;

	if (object_id_is_none(&child->id))
		return add_changes(b, c, err);
	if (c.count == 0)
		return add_child(b, child, err);
	r = mst_node_load(&b->t, child, NULL, &node, err);
	if (r == 0)
		mst_step_child(&node.step, &below);
	while (r == 0 && mst_step_item(&node.step, &item)) {
		r = add_changed(b, &below, changes_before(&c, &item), err);
		if (r == 0)
			r = add_old(b, node.level, &item, &c, err);
		mst_step_child(&node.step, &below);
	}
	if (r == 0)
		r = add_changed(b, &below, c, err);
	mst_node_release(&b->t, &node);
	return r;
}

int mst_update(const struct mst *t, struct store_writer *w, const struct object_id *root,
	const struct mst_item *changes, size_t change_count, struct object_id *new_root, uint64_t *count,
	struct error *err)
{
	_cleanup_builder_ struct mst_builder b = {.t = *t, .w = w};
	struct mst_child child = mst_root_child(root);
	int r;

	for (size_t i = 1; i < change_count; i++) {
		if (mst_compare(changes[i - 1].name, changes[i - 1].name_size, changes[i].name,
			    changes[i].name_size) >= 0)
			return error_set(err, ERROR_INVALID, "change a map: names out of order");
	}
	if (change_count == 0) {
		*new_root = *root;
		return count ? mst_count(t, root, count, err) : 0;
	}
	r = add_changed(&b, &child, (struct changes){.list = changes, .count = change_count}, err);
	return r < 0 ? r : finish(&b, new_root, count, err);
}
