/* SPDX-License-Identifier: Apache-2.0 */
#include "project/edit_check.h"

#include <string.h>

#include "project/scalar.h"

/* What stands for nothing: no node, null, {}. */
static bool is_empty(const struct yaml_node *node)
{
	return !node || (node->kind == YAML_SCALAR ? node->plain && scalar_kind(node->text) == SCALAR_NULL
						   : node->count == 0);
}

static bool same(const struct yaml_node *a, const struct yaml_node *b);

static bool same_pair(const struct yaml_pair *a, const struct yaml_pair *b)
{
	return a->merged == b->merged && same(a->key, b->key) && same(a->value, b->value);
}

/* The depth is that of the file, the number of nodes YAML_EXPANDED_MAX at most: yaml.h bounds both. */
static bool same(const struct yaml_node *a, const struct yaml_node *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == YAML_SCALAR)
		return a->plain == b->plain && !strcmp(a->text, b->text);
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->kind == YAML_LIST ? !same(a->items[i], b->items[i])
					 : !same_pair(&a->pairs[i], &b->pairs[i]))
			return false;
	return true;
}

static size_t count_of(const struct yaml_node *mapping)
{
	return is_empty(mapping) ? 0 : mapping->count;
}

/* Whether two mappings have the same pairs but for `key`, in the same order. */
static bool same_but(const struct yaml_node *a, const struct yaml_node *b, const char *key)
{
	size_t i = 0, j = 0, a_count = count_of(a), b_count = count_of(b);

	for (;;) {
		while (i < a_count && !strcmp(a->pairs[i].key->text, key))
			i++;
		while (j < b_count && !strcmp(b->pairs[j].key->text, key))
			j++;
		if (i == a_count || j == b_count)
			return i == a_count && j == b_count;
		if (!same_pair(&a->pairs[i++], &b->pairs[j++]))
			return false;
	}
}

static bool is_value(const struct yaml_node *node, const char *value)
{
	if (!node || !value)
		return node && node->kind == YAML_MAPPING && node->count == 0;
	return node->kind == YAML_SCALAR && !strcmp(node->text, value);
}

static bool has_setting(
	const struct yaml_node *component, const struct edit_setting *settings, size_t count, size_t at)
{
	const struct edit_setting *s = &settings[at];
	const struct yaml_node *value = yaml_get(component, s->key);
	size_t index = 0, all = 0;

	for (size_t i = 0; i < count; i++)
		if (!strcmp(settings[i].key, s->key)) {
			index += i < at;
			all++;
		}
	if (!value || (!s->list && !s->name))
		return is_value(value, s->value);
	if (value->count != all || value->kind != (s->list ? YAML_LIST : YAML_MAPPING))
		return false;
	return s->list ? is_value(value->items[index], s->value)
		       : is_value(yaml_get(value, s->name), s->value);
}

static bool is_wanted(const struct yaml_node *component, const struct edit_setting *settings, size_t count)
{
	size_t keys = 0;

	if (!component || component->kind != YAML_MAPPING)
		return false;
	for (size_t i = 0; i < count; i++) {
		size_t before = 0;

		while (before < i && strcmp(settings[before].key, settings[i].key) != 0)
			before++;
		keys += before == i;
		if (!has_setting(component, settings, count, i))
			return false;
	}
	return component->count == keys;
}

static bool is_mapping(const struct yaml_node *node)
{
	return is_empty(node) || node->kind == YAML_MAPPING;
}

bool edit_check(const struct yaml_node *without, const struct yaml_node *with, enum edit_section section,
	const char *name, const struct edit_setting *settings, size_t count)
{
	const char *key = edit_section_keys[section];
	const struct yaml_node *less = yaml_get(without, key), *more = yaml_get(with, key);
	const struct yaml_pair *pair = yaml_pair(more, name);

	if (!is_mapping(without) || !is_mapping(with) || !is_mapping(less) || !pair || pair->merged ||
		yaml_pair(less, name))
		return false;
	return same_but(without, with, key) && same_but(less, more, name) &&
	       (!settings || is_wanted(pair->value, settings, count));
}
