/* SPDX-License-Identifier: Apache-2.0 */
/* What depends on what: no circle, and not too deep. A component's depth counts itself. */
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "project/load_parts.h"

struct walk {
	struct load *l;
	struct component *path[PROJECT_DEPENDS_MAX + 2];
	size_t length;
};

static void tell_circle(struct walk *w, const struct component *from, const struct reference *closing)
{
	_cleanup_buffer_ struct buffer names = {0};
	_cleanup_free_ char *text = NULL;
	size_t first = w->length;

	while (first && w->path[first - 1] != closing->to)
		first--;
	for (size_t i = first ? first - 1 : 0; i < w->length; i++)
		buffer_format(&names, "%s → ", w->path[i]->name);
	buffer_append_text(&names, closing->to->name);
	text = buffer_take_text(&names);
	mistake_add(w->l->m, yaml_place(closing->at, from->file->number), strlen(closing->at->text),
		"this is a circle: %s", text ? text : "?");
}

static void visit(struct walk *w, struct component *c)
{
	unsigned depth = 0;

	c->seen = c->on_path = true;
	w->path[w->length++] = c;
	for (size_t i = 0; i < c->reference_count; i++) {
		const struct reference *r = &c->references[i];

		if (r->role == ROLE_GROUP)
			continue;
		if (r->to->on_path)
			tell_circle(w, c, r);
		else if (!r->to->seen && w->length <= PROJECT_DEPENDS_MAX + 1)
			visit(w, r->to);
		if (r->to->depth >= depth)
			depth = r->to->seen ? r->to->depth : 1;
	}
	w->length--;
	c->on_path = false;
	c->depth = depth + 1;
	if (c->depth == PROJECT_DEPENDS_MAX + 2)
		mistake_add(w->l->m, yaml_place(c->key, c->file->number), strlen(c->name),
			"'%s' depends on others more than %d deep", c->name, PROJECT_DEPENDS_MAX);
}

void load_order(struct load *l, const struct scope *s)
{
	struct walk w = {.l = l};

	for (size_t i = 0; i < s->count; i++)
		if (!s->list[i]->seen)
			visit(&w, s->list[i]);
}
