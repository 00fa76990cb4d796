/* SPDX-License-Identifier: Apache-2.0 */
/* Where a new component comes in, and in which style. */
#include <string.h>

#include "project/edit_parts.h"
#include "project/edit_text.h"

#define STEP 2

/* ---- blocks ----------------------------------------------------------------------------------------- */

/* By how much the file indents: what is in the first section, or in the first component, that is a block. */
static size_t step_of(const struct edit *e, const struct yaml_node *mapping)
{
	for (size_t i = 0; mapping && mapping->kind == YAML_MAPPING && !mapping->flow && i < mapping->count;
		i++) {
		const struct yaml_node *key = mapping->pairs[i].key, *value = mapping->pairs[i].value;
		size_t outer, inner;

		if (value->kind == YAML_MAPPING && !value->flow && value->count && value->start > key->end &&
			!value->pairs[0].merged && edit_line_indent(&e->t, key->start, &outer) &&
			edit_line_indent(&e->t, value->pairs[0].key->start, &inner) && inner > outer)
			return inner - outer;
	}
	return 0;
}

/* Whether blank lines stand between the mapping's pairs, or before the comments above them. */
static bool is_spaced(const struct edit *e, const struct yaml_node *mapping)
{
	for (size_t i = 1; i < mapping->count && !mapping->pairs[i].merged; i++) {
		size_t at = edit_line_start(&e->t, mapping->pairs[i].key->start), indent;

		while (at > 0) {
			at = edit_line_start(&e->t, at - 1);
			if (!edit_line_comment(&e->t, at, &indent))
				break;
		}
		if (edit_line_blank(&e->t, at))
			return true;
	}
	return false;
}

/* Lines come in before the line at `at`; what stands from `cut` to `cut_end`, before them, goes. */
static void put_lines(
	const struct edit *e, size_t cut, size_t cut_end, size_t at, bool spaced, const struct buffer *lines)
{
	size_t last = edit_line_start(&e->t, at), size = lines->size;
	bool unended = at == e->t.size && last < at;
	size_t before = unended || at == last ? last : at;

	edit_copy(e, 0, cut);
	edit_copy(e, cut_end, at);
	if (unended) {
		buffer_append_text(e->out, e->t.newline);
		size -= strlen(e->t.newline);
	} else if (before > 0) {
		before = edit_line_start(&e->t, before - 1);
	}
	if (spaced && at > edit_line_start(&e->t, 0) && !edit_line_blank(&e->t, before))
		buffer_append_text(e->out, e->t.newline);
	buffer_append(e->out, lines->data, size);
	edit_copy(e, at, e->t.size);
}

static int put_block(
	const struct edit *e, struct buffer *lines, size_t indent, size_t step, struct error *err)
{
	struct edit_style style = {.newline = e->t.newline, .indent = indent, .step = step};
	int r = edit_put_block(lines, &style, e->name, e->settings, e->count, err);

	return r == 0 && lines->failed ? error_no_memory(err, "edit a project") : r;
}

static int add_to_block(const struct edit *e, const struct yaml_node *section, size_t step, struct error *err)
{
	_cleanup_buffer_ struct buffer lines = {0};
	size_t indent, inner = step_of(e, section), at;
	int r;

	if (!edit_last_pair(section) || !edit_line_indent(&e->t, section->pairs[0].key->start, &indent))
		return edit_refuse(e, err);
	r = put_block(e, &lines, indent, inner ? inner : step, err);
	if (r < 0)
		return r;
	at = edit_behind(e, section, section->end, indent);
	put_lines(e, at, at, at, is_spaced(e, section), &lines);
	return 0;
}

/* "sandboxes:" with nothing behind it, or null, or {}: the component becomes a block below it. */
static int add_to_empty(const struct edit *e, const struct yaml_pair *pair, size_t step, struct error *err)
{
	_cleanup_buffer_ struct buffer lines = {0};
	size_t indent, cut = pair->value->start, end = pair->value->end, at;
	int r;

	if (!edit_line_indent(&e->t, pair->key->start, &indent))
		return edit_refuse(e, err);
	if (cut == end)
		cut = end = edit_line_next(&e->t, pair->key->end);
	else if (strchr("&!", e->t.bytes[cut]))
		return edit_refuse(e, err);
	else if (e->t.bytes[cut - 1] == ' ')
		cut--;
	r = put_block(e, &lines, indent + step, step, err);
	if (r < 0)
		return r;
	at = cut == end ? end : edit_line_next(&e->t, end);
	at = edit_skip_comments(&e->t, at, indent + 1);
	put_lines(e, cut, end, at, false, &lines);
	return 0;
}

static int add_section(const struct edit *e, const struct yaml_node *root, size_t step, struct error *err)
{
	_cleanup_buffer_ struct buffer lines = {0};
	size_t indent = 0, at = e->t.size;
	int r;

	if (root) {
		if (!edit_last_pair(root) || !edit_line_indent(&e->t, root->pairs[0].key->start, &indent))
			return edit_refuse(e, err);
		at = edit_behind(e, root, root->end, indent);
	}
	for (size_t i = 0; i < indent; i++)
		buffer_u8(&lines, ' ');
	buffer_format(&lines, "%s:%s", e->key, e->t.newline);
	r = put_block(e, &lines, indent + step, step, err);
	if (r == 0)
		put_lines(e, at, at, at, true, &lines);
	return r;
}

/* ---- flows ------------------------------------------------------------------------------------------ */

static void put_behind(
	const struct edit *e, size_t at, const char *before, const struct buffer *text, const char *behind)
{
	edit_copy(e, 0, at);
	buffer_append_text(e->out, before);
	buffer_append(e->out, text->data, text->size);
	buffer_append_text(e->out, behind);
	edit_copy(e, at, e->t.size);
}

/* In a flow whose pairs have lines of their own the new one gets one, too. */
static void put_own_line(
	const struct edit *e, size_t end, size_t indent, bool comma, const struct buffer *text)
{
	size_t next = edit_line_next(&e->t, end);

	edit_copy(e, 0, end);
	if (!comma)
		buffer_u8(e->out, ',');
	edit_copy(e, end, next);
	for (size_t i = 0; i < indent; i++)
		buffer_u8(e->out, ' ');
	buffer_append(e->out, text->data, text->size);
	buffer_append_text(e->out, comma ? "," : "");
	buffer_append_text(e->out, e->t.newline);
	edit_copy(e, next, e->t.size);
}

static int put_in_flow(
	const struct edit *e, const struct yaml_node *mapping, const struct buffer *text, struct error *err)
{
	const struct yaml_pair *last = edit_last_pair(mapping);
	size_t close = mapping->end - 1, end, at, indent, next;
	bool comma;

	if (!last) {
		put_behind(e, close, "", text, "");
		return 0;
	}
	end = edit_pair_end(e, last);
	at = edit_skip_space(&e->t, end);
	comma = at < e->t.size && e->t.bytes[at] == ',';
	if (!comma && at != close)
		return edit_refuse(e, err);
	next = edit_line_next(&e->t, end);
	if (edit_line_indent(&e->t, last->key->start, &indent) && next <= close && (!comma || at < next) &&
		mapping->start < edit_line_start(&e->t, last->key->start))
		put_own_line(e, end, indent, comma, text);
	else if (comma)
		put_behind(e, at + 1, " ", text, ",");
	else
		put_behind(e, end, ", ", text, "");
	return 0;
}

static int add_to_flow(const struct edit *e, const struct yaml_node *mapping, bool section, struct error *err)
{
	const struct yaml_pair *last = edit_last_pair(mapping ? mapping : e->root);
	struct edit_style style = {.quoted = last && e->t.bytes[last->key->start] == '"'};
	_cleanup_buffer_ struct buffer text = {0};
	int r;

	if (!last && e->root->flow && (last = edit_last_pair(e->root)))
		style.quoted = e->t.bytes[last->key->start] == '"';
	if (section)
		buffer_format(&text, style.quoted ? "\"%s\": {" : "%s: {", e->key);
	r = edit_put_flow(&text, &style, e->name, e->settings, e->count, err);
	if (section)
		buffer_u8(&text, '}');
	if (r == 0 && text.failed)
		r = error_no_memory(err, "edit a project");
	return r < 0 ? r : put_in_flow(e, mapping, &text, err);
}

/* ---- which ------------------------------------------------------------------------------------------ */

static bool is_nothing(const struct yaml_node *node)
{
	return node->kind == YAML_SCALAR && node->plain && node->start == node->end;
}

int edit_add_text(const struct edit *e, struct error *err)
{
	const struct yaml_node *root = e->root && is_nothing(e->root) ? NULL : e->root;
	const struct yaml_pair *pair = yaml_pair(root, e->key);
	size_t step = step_of(e, root);

	if (step == 0)
		step = STEP;
	if (root && root->kind != YAML_MAPPING)
		return edit_refuse(e, err);
	if (!pair)
		return root && root->flow ? add_to_flow(e, root, true, err) : add_section(e, root, step, err);
	if (pair->value->kind == YAML_MAPPING && pair->value->count)
		return pair->value->flow ? add_to_flow(e, pair->value, false, err)
					 : add_to_block(e, pair->value, step, err);
	if (pair->value->kind == YAML_LIST || (pair->value->kind == YAML_SCALAR && !pair->value->plain))
		return edit_refuse(e, err);
	if (root->flow && pair->value->kind == YAML_MAPPING)
		return add_to_flow(e, pair->value, false, err);
	return root->flow ? edit_refuse(e, err) : add_to_empty(e, pair, step, err);
}
