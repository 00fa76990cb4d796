/* SPDX-License-Identifier: Apache-2.0 */
/* Maps are read, compared and gone through. */
#include "monofs/mst_cursor.h"

int mst_count(const struct mst *t, const struct object_id *root, uint64_t *count, struct error *err)
{
	struct mst_child child = mst_root_child(root);
	struct mst_node node = {0};
	int r;

	*count = 0;
	if (object_id_is_none(root))
		return 0;
	r = mst_node_load(t, &child, NULL, &node, err);
	if (r == 0)
		*count = node.count;
	mst_node_release(t, &node);
	return r;
}

int mst_get(const struct mst *t, const struct object_id *root, const char *name, size_t name_size,
	struct buffer *value, struct error *err)
{
	_cleanup_mst_cursor_ struct mst_cursor c;
	int r;

	mst_cursor_begin(&c, t, root);
	r = mst_cursor_seek(&c, name, name_size, err);
	if (r == 1 && !buffer_append(value, c.item.value, c.item.value_size))
		return error_no_memory(err, "read a map");
	return r;
}

int mst_walk(const struct mst *t, const struct object_id *root, uint64_t from, mst_take *take, void *context,
	struct error *err)
{
	_cleanup_mst_cursor_ struct mst_cursor c;
	uint64_t skip = from;
	int r;

	mst_cursor_begin(&c, t, root);
	while ((r = mst_cursor_item(&c, &skip, err)) == 1) {
		r = take(context, from++, &c.item, err);
		if (r != 0)
			return r;
		mst_cursor_skip(&c);
	}
	return r;
}

int mst_diff(const struct mst *t, const struct object_id *a, const struct object_id *b, mst_differ *differ,
	void *context, struct error *err)
{
	struct mst_difference d;
	int r;

	mst_difference_begin(&d, t, a, b);
	while ((r = mst_difference_next(&d, err)) == 1) {
		r = differ(context, d.a, d.b, err);
		if (r != 0)
			break;
	}
	mst_difference_end(&d);
	return r;
}

static int visit_node(struct mst_cursor *c, const struct mst_visitor *v, struct error *err)
{
	struct object_id id = c->child.id;
	int r = v->node(v->context, &id, err);

	if (r == 0)
		r = mst_cursor_open(c, err);
	else if (r == 1)
		mst_cursor_skip(c);
	if (r < 0 && v->broken) {
		r = v->broken(v->context, &id, err);
		mst_cursor_skip(c);
	}
	return r < 0 ? r : 0;
}

/* Who visits may visit another map from within: the cursor does not lie on the stack. */
int mst_visit(
	const struct mst *t, const struct object_id *root, const struct mst_visitor *v, struct error *err)
{
	struct mst_cursor *c = malloc(sizeof *c);
	int r = 0;

	if (!c)
		return error_no_memory(err, "read a map");
	mst_cursor_begin(c, t, root);
	while (r == 0 && c->next != MST_END) {
		if (c->next == MST_CHILD) {
			r = visit_node(c, v, err);
			continue;
		}
		r = v->take(v->context, 0, &c->item, err);
		mst_cursor_skip(c);
	}
	mst_cursor_end(c);
	free(c);
	return r;
}
