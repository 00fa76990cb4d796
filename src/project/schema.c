/* SPDX-License-Identifier: Apache-2.0 */
/* A tree of YAML against the tables. */
#include "project/schema.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "project/env.h"
#include "project/scalar.h"

#define KEYS_SHOWN 64

struct check {
	const struct project_checks *checks;
	struct mistakes *m;
	uint32_t file;
};

static void check_node(struct check *c, struct yaml_node *node, const struct schema *s, const char *key);

static size_t shown_length(const struct yaml_node *node)
{
	return node->kind == YAML_SCALAR && !node->block ? strlen(node->text) : 1;
}

static const char *expected(const struct schema *s)
{
	return s->what ? s->what : schema_expected[s->scalar];
}

static const struct schema_member *find_member(const struct schema *s, const char *key)
{
	for (const struct schema_member *m = s->members; m->key; m++)
		if (!strcmp(m->key, key) || (m->alias && !strcmp(m->alias, key)))
			return m;
	return NULL;
}

static const char *find_stranger(const struct schema *s, const char *key)
{
	char first[32];

	for (const struct schema_stranger *x = schema_strangers; x->key; x++) {
		snprintf(first, sizeof first, "%.*s", (int)strcspn(x->ours, ":"), x->ours);
		if (!strcmp(x->key, key) && find_member(s, first))
			return x->ours;
	}
	return NULL;
}

static void unknown_key(struct check *c, const struct yaml_node *key, const struct schema *s)
{
	const char *known[KEYS_SHOWN] = {NULL}, *nearest = find_stranger(s, key->text);
	char list[512] = "";
	size_t n = 0, used = 0;

	for (const struct schema_member *m = s->members; m->key && n + 1 < ARRAY_SIZE(known); m++) {
		int w = snprintf(list + used, sizeof list - used, "%s%s", n ? ", " : "", m->key);

		used += w > 0 && (size_t)w < sizeof list - used ? (size_t)w : 0;
		known[n++] = m->key;
	}
	if (nearest) {
		mistake_add(c->m, yaml_place(key, c->file), strlen(key->text),
			"unknown key '%s'; it is '%s' here", key->text, nearest);
		return;
	}
	nearest = text_nearest(key->text, known);
	if (nearest)
		mistake_add(c->m, yaml_place(key, c->file), strlen(key->text),
			"unknown key '%s'; did you mean '%s'?", key->text, nearest);
	else
		mistake_add(c->m, yaml_place(key, c->file), strlen(key->text),
			"unknown key '%s'; there are %s", key->text, list);
}

static void check_required(struct check *c, const struct yaml_node *node, const struct schema *s,
	const char *name, const struct yaml_node *key)
{
	for (const struct schema_member *m = s->members; m->key; m++)
		if (m->required && !yaml_pair(node, m->key))
			mistake_add(c->m, yaml_place(key ? key : node, c->file), key ? strlen(key->text) : 1,
				"'%s' lacks '%s'", name, m->key);
}

static void check_members(struct check *c, struct yaml_node *node, const struct schema *s)
{
	for (size_t i = 0; i < node->count; i++) {
		const struct yaml_pair *pair = &node->pairs[i];
		const struct schema_member *m = find_member(s, pair->key->text);

		if (!m) {
			/* A mapping that is there to be merged may stand at the top, as compose has it. */
			if (!(s == &schema_file && text_starts(pair->key->text, "x-")))
				unknown_key(c, pair->key, s);
		} else if (m->later) {
			mistake_add(c->m, yaml_place(pair->key, c->file), strlen(m->key),
				"'%s' is not yet available in this version", m->key);
		} else {
			check_node(c, pair->value, m->schema, pair->key->text);
			if (m->alias && !strcmp(pair->key->text, m->alias) && yaml_pair(node, m->key))
				mistake_add(c->m, yaml_place(pair->key, c->file), strlen(m->alias),
					"'%s' is another word for '%s', which stands here too", m->alias,
					m->key);
		}
	}
}

int schema_check_name(const char *text, struct error *err)
{
	size_t n = strlen(text);

	if (n == 0 || n > PROJECT_NAME_MAX || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") != n ||
		strchr("_-", text[0]) || strchr("_-", text[n - 1]))
		return error_set(err, ERROR_INVALID,
			"'%s' cannot be a name: a-z, 0-9, '-' and '_', a letter or digit at both ends, at "
			"most %d",
			text, PROJECT_NAME_MAX);
	return 0;
}

static bool is_word(const char *text)
{
	size_t n = strlen(text);

	return n && n <= 64 && !strchr("._-", *text) &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == n;
}

static bool check_key(struct check *c, const struct yaml_node *key, enum schema_keys keys)
{
	struct project_place place = yaml_place(key, c->file);
	struct error err;
	size_t n = strlen(key->text);

	if (keys == KEYS_COMPONENT && schema_check_name(key->text, &err) < 0)
		mistake_add(c->m, place, n, "%s", err.text);
	else if (keys == KEYS_VARIABLE && !env_is_name(key->text, n))
		mistake_add(c->m, place, n, "'%s' cannot be the name of a variable", key->text);
	else if (keys == KEYS_WORD && (!is_word(key->text) || strchr(key->text, '.')))
		mistake_add(c->m, place, n, "'%s' cannot be a name: letters, digits, '-' and '_', at most 64",
			key->text);
	else if (n == 0)
		mistake_add(c->m, place, 1, "expected a name");
	else
		return true;
	return false;
}

static void check_values(struct check *c, struct yaml_node *node, const struct schema *s)
{
	for (size_t i = 0; i < node->count; i++) {
		struct yaml_pair *pair = &node->pairs[i];
		const struct schema *v = s->value;

		if (!check_key(c, pair->key, s->keys))
			pair->key->broken = true;
		if (v->members && pair->value->kind == YAML_MAPPING && !pair->value->broken)
			check_required(c, pair->value, v, pair->key->text, pair->key);
		check_node(c, pair->value, v, pair->key->text);
	}
}

static bool too_many(struct check *c, struct yaml_node *node, const struct schema *s, const char *key)
{
	if (!s->items_most || node->count <= s->items_most)
		return false;
	mistake_add(c->m, yaml_place(node, c->file), 1, "'%s' has %zu entries, and may have %zu", key,
		node->count, s->items_most);
	node->broken = true;
	return true;
}

static void wrong_shape(struct check *c, struct yaml_node *node, const struct schema *s, const char *key)
{
	const char *got = node->kind == YAML_LIST      ? "a list"
			  : node->kind == YAML_MAPPING ? "a mapping"
						       : NULL;

	node->broken = true;
	if (got)
		mistake_add(c->m, yaml_place(node, c->file), 1, "'%s': expected %s, got %s", key, expected(s),
			got);
	else if (node->plain && scalar_kind(node->text) == SCALAR_NULL)
		mistake_add(c->m, yaml_place(node, c->file), shown_length(node),
			"'%s': expected %s, got nothing", key, expected(s));
	else
		mistake_add(c->m, yaml_place(node, c->file), shown_length(node),
			"'%s': expected %s, got '%.80s'", key, expected(s), node->text);
}

static void check_scalar(struct check *c, struct yaml_node *node, const struct schema *s, const char *key)
{
	struct error err;
	bool nothing = node->plain && scalar_kind(node->text) == SCALAR_NULL;
	int r;

	if (nothing && (s->shapes & SHAPE_NOTHING))
		return;
	if (nothing || !(s->shapes & SHAPE_SCALAR)) {
		wrong_shape(c, node, s, key);
		return;
	}
	r = schema_check_scalar(s, node->text, c->checks, &err);
	if (r == -ERROR_NO_MEMORY)
		c->m->failed = true;
	else if (r < 0)
		mistake_add(c->m, yaml_place(node, c->file), shown_length(node), "'%s': %s", key, err.text);
	node->broken = r < 0;
}

static void check_node(struct check *c, struct yaml_node *node, const struct schema *s, const char *key)
{
	if (node->broken)
		return;
	if (node->kind == YAML_SCALAR) {
		check_scalar(c, node, s, key);
	} else if (!(s->shapes & (node->kind == YAML_LIST ? SHAPE_LIST : SHAPE_MAPPING))) {
		wrong_shape(c, node, s, key);
	} else if (too_many(c, node, s, key)) {
		return;
	} else if (node->kind == YAML_LIST) {
		for (size_t i = 0; i < node->count; i++)
			check_node(c, node->items[i], s->item, key);
	} else if (s->members) {
		check_members(c, node, s);
	} else {
		check_values(c, node, s);
	}
}

void schema_check(
	struct yaml_node *root, const struct project_checks *checks, struct mistakes *m, uint32_t file)
{
	struct check c = {.checks = checks, .m = m, .file = file};

	if (root->kind == YAML_SCALAR && root->plain && scalar_kind(root->text) == SCALAR_NULL)
		return;
	if (root->kind != YAML_MAPPING) {
		mistake_add(m, yaml_place(root, file), 1, "expected %s", schema_file.what);
		root->broken = true;
		return;
	}
	check_node(&c, root, &schema_file, "the file");
}
