/* SPDX-License-Identifier: Apache-2.0 */
/* What goes with a component. */
#include <string.h>

#include "project/edit_parts.h"

static bool is_newline_missing(const struct edit *e)
{
	return e->t.size && e->t.bytes[e->t.size - 1] != '\n';
}

/* Of the blank lines around it one goes, and at the end of the file all. */
static void trim(const struct edit *e, bool first, size_t *from, size_t *to)
{
	size_t before = *from ? edit_line_start(&e->t, *from - 1) : 0;

	if (*to < e->t.size) {
		if (edit_line_blank(&e->t, *to) && (first || edit_line_blank(&e->t, before)))
			*to = edit_line_next(&e->t, *to);
		return;
	}
	while (*from && before < *from && edit_line_blank(&e->t, before)) {
		*from = before;
		before = *from ? edit_line_start(&e->t, *from - 1) : 0;
	}
	if (is_newline_missing(e) && *from > strlen(e->t.newline))
		*from -= strlen(e->t.newline);
}

/* The last one leaves {} behind, so that the section keeps its place. */
static int remove_block(const struct edit *e, const struct yaml_pair *section, const struct yaml_pair *pair,
	struct error *err)
{
	const struct yaml_node *mapping = section->value;
	size_t from = edit_line_start(&e->t, pair->key->start), indent, to, colon;

	if (!edit_line_indent(&e->t, pair->key->start, &indent))
		return edit_refuse(e, err);
	to = edit_behind(e, pair->value, edit_pair_end(e, pair), indent + 1);
	if (e->tidy)
		trim(e, pair == mapping->pairs && mapping->count > 1, &from, &to);
	if (mapping->count > 1) {
		edit_copy(e, 0, from);
	} else {
		colon = edit_skip_space(&e->t, section->key->end);
		if (colon >= from || e->t.bytes[colon] != ':')
			return edit_refuse(e, err);
		edit_copy(e, 0, colon + 1);
		buffer_append_text(e->out, " {}");
		edit_copy(e, colon + 1, from);
	}
	edit_copy(e, to, e->t.size);
	return 0;
}

/* Of what stands before `at`: where the comma is, or `at`. */
static size_t comma_before(const struct edit *e, size_t at)
{
	size_t comma = at;

	while (comma && strchr(" \t\r\n", e->t.bytes[comma - 1]) && e->t.bytes[comma - 1])
		comma--;
	return comma && e->t.bytes[comma - 1] == ',' ? comma - 1 : at;
}

static bool ends_line(const struct edit *e, size_t at)
{
	size_t indent;

	return edit_line_blank(&e->t, at) || edit_line_comment(&e->t, at, &indent);
}

static void remove_flow(const struct edit *e, const struct yaml_pair *pair)
{
	size_t from = pair->key->start, to = edit_pair_end(e, pair), at = edit_skip_space(&e->t, to), indent;
	bool comma = at < e->t.size && e->t.bytes[at] == ',', last = !comma;
	size_t before;

	if (comma)
		to = at + 1;
	before = last ? comma_before(e, from) : from;
	if (edit_line_indent(&e->t, from, &indent) && ends_line(e, to)) {
		from = edit_line_start(&e->t, from);
		to = edit_line_next(&e->t, to);
		edit_copy(e, 0, before < from ? before : from);
		if (before < from)
			edit_copy(e, before + 1, from);
	} else {
		while (comma && to < e->t.size && e->t.bytes[to] == ' ')
			to++;
		edit_copy(e, 0, before);
	}
	edit_copy(e, to, e->t.size);
}

int edit_remove_text(const struct edit *e, const struct yaml_pair *section, const struct yaml_pair *pair,
	struct error *err)
{
	if (!section->value->flow)
		return remove_block(e, section, pair, err);
	remove_flow(e, pair);
	return 0;
}
