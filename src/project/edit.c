/* SPDX-License-Identifier: Apache-2.0 */
#include "project/edit.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "project/edit_check.h"
#include "project/edit_parts.h"

CLEANUP_DEFINE(yaml, struct yaml_document, yaml_release);

const char *const edit_section_keys[] = {
	[EDIT_SANDBOXES] = "sandboxes", [EDIT_BUILDS] = "builds", [EDIT_GROUPS] = "groups"};

int edit_refuse(const struct edit *e, struct error *err)
{
	return error_set(err, ERROR_UNAVAILABLE,
		"%s.%s: the file is written in a way that this cannot be done in without changing more: "
		"edit it by hand",
		e->key, e->name);
}

void edit_copy(const struct edit *e, size_t from, size_t to)
{
	buffer_append(e->out, e->t.bytes + from, to - from);
}

size_t edit_pair_end(const struct edit *e, const struct yaml_pair *pair)
{
	size_t at = pair->key->end;

	if (pair->value->start >= at)
		return pair->value->end;
	at = edit_skip_space(&e->t, at);
	if (at < e->t.size && e->t.bytes[at] == ':')
		at = edit_skip_space(&e->t, at + 1);
	while (at < e->t.size && e->t.bytes[at] && !strchr(" \t\r\n,]}", e->t.bytes[at]))
		at++;
	return at;
}

/* Whether a block scalar ends there that keeps the blank lines behind it ("|+"). */
static bool keeps_blank(const struct edit *e, const struct yaml_node *node, size_t end)
{
	if (node->end != end)
		return false;
	if (node->kind == YAML_SCALAR)
		return node->block && memchr(e->t.bytes + node->start, '+',
					      edit_line_next(&e->t, node->start) - node->start);
	for (size_t i = 0; i < node->count; i++)
		if (keeps_blank(e, node->kind == YAML_LIST ? node->items[i] : node->pairs[i].value, end))
			return true;
	return false;
}

size_t edit_behind(const struct edit *e, const struct yaml_node *node, size_t end, size_t indent)
{
	size_t at = edit_line_next(&e->t, end ? end - 1 : 0);

	if (keeps_blank(e, node, end))
		at = edit_skip_blank(&e->t, at);
	return edit_skip_comments(&e->t, at, indent);
}

const struct yaml_pair *edit_last_pair(const struct yaml_node *mapping)
{
	for (size_t i = mapping->count; i-- > 0;)
		if (!mapping->pairs[i].merged)
			return &mapping->pairs[i];
	return NULL;
}

/* ---- both ways -------------------------------------------------------------------------------------- */

static int read_text(const void *text, size_t n, struct mistakes *m, uint32_t file,
	struct yaml_document **document, struct error *err)
{
	int r = yaml_parse(text, n, m, file, document, err);

	if (r == 0 && m->count) {
		mistakes_sort(m);
		return error_set(err, ERROR_INVALID, "line %u: %s", m->list[0].place.line, m->list[0].text);
	}
	return r;
}

/* Whether what came out is the component more, or less, than what went in. */
static int check_out(const struct edit *e, enum edit_section section, bool added, struct error *err)
{
	_cleanup_(cleanup_yaml) struct yaml_document *document = NULL;
	_cleanup_(mistakes_free) struct mistakes m = {0};
	const struct yaml_node *root;
	int r = 0;

	if (e->out->failed)
		return error_no_memory(err, "edit a project");
	r = yaml_parse(
		e->out->data ? e->out->data : (const uint8_t *)"", e->out->size, &m, 0, &document, err);
	if (r < 0)
		return r;
	root = yaml_root(document);
	if (m.count || !(added ? edit_check(e->root, root, section, e->name, e->settings, e->count)
			       : edit_check(root, e->root, section, e->name, NULL, 0)))
		return edit_refuse(e, err);
	return 0;
}

static bool is_mapping_here(const struct yaml_pair *pair)
{
	return pair && !pair->merged && pair->value->start >= pair->key->end;
}

int edit_add(const void *text, size_t n, struct mistakes *m, uint32_t file, enum edit_section section,
	const char *name, const struct edit_setting *settings, size_t count, struct buffer *out,
	struct error *err)
{
	_cleanup_(cleanup_yaml) struct yaml_document *document = NULL;
	struct edit e = {.t = edit_text_of(text, n),
		.key = edit_section_keys[section],
		.name = name,
		.settings = settings,
		.count = count,
		.out = out};
	const struct yaml_pair *in, *there;
	int r = read_text(text, n, m, file, &document, err);

	if (r < 0)
		return r;
	e.root = yaml_root(document);
	in = yaml_pair(e.root, e.key);
	there = in ? yaml_pair(in->value, name) : NULL;
	if (there)
		return error_set(err, ERROR_EXISTS, "%s.%s is there already, in line %u", e.key, name,
			there->key->line);
	if (in && !is_mapping_here(in))
		return edit_refuse(&e, err);
	r = edit_add_text(&e, err);
	return r < 0 ? r : check_out(&e, section, true, err);
}

static int not_there(const struct edit *e, const struct yaml_node *section, struct error *err)
{
	_cleanup_text_list_ char **names = NULL;
	const char *nearest;
	int r = 0;

	for (size_t i = 0; r == 0 && section && section->kind == YAML_MAPPING && i < section->count; i++)
		r = text_list_add(&names, section->pairs[i].key->text, err);
	if (r < 0)
		return r;
	nearest = names ? text_nearest(e->name, (const char *const *)names) : NULL;
	return error_set(err, ERROR_NOT_FOUND, "%s has no '%s'%s%s%s", e->key, e->name,
		nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

int edit_remove(const void *text, size_t n, struct mistakes *m, uint32_t file, enum edit_section section,
	const char *name, struct buffer *out, struct error *err)
{
	_cleanup_(cleanup_yaml) struct yaml_document *document = NULL;
	struct edit e = {
		.t = edit_text_of(text, n), .key = edit_section_keys[section], .name = name, .out = out};
	const struct yaml_pair *in, *pair;
	int r = read_text(text, n, m, file, &document, err);

	if (r < 0)
		return r;
	e.root = yaml_root(document);
	in = yaml_pair(e.root, e.key);
	pair = in ? yaml_pair(in->value, name) : NULL;
	if (!pair)
		return not_there(&e, in ? in->value : NULL, err);
	if (!is_mapping_here(in) || pair->merged)
		return edit_refuse(&e, err);
	/* Blank lines may be part of a text before or behind it: then they stay. */
	for (int tidy = 1; tidy >= 0; tidy--) {
		e.tidy = tidy;
		buffer_clear(out);
		r = edit_remove_text(&e, in, pair, err);
		if (r == 0)
			r = check_out(&e, section, false, err);
		if (r != -ERROR_UNAVAILABLE)
			break;
	}
	return r;
}
