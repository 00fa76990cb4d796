/* SPDX-License-Identifier: Apache-2.0 */
/* Environments: lists and mappings in the file, and files of variables. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "project/load_parts.h"
#include "project/scalar.h"

static const char *const sections[] = {"sandboxes", "builds", "groups"};

static void set(struct load *l, struct env *e, const char *name, size_t n, const char *value)
{
	size_t size = n + strlen(value) + 2;

	if (size > l->left)
		load_fail(l, -ERROR_LIMIT, "the project's texts are too much altogether");
	if (l->failed)
		return;
	l->left -= size;
	if (env_set(e, name, n, value, l->err) < 0)
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
}

/* A name alone: the value that is set for it outside, if any. */
static void pass(struct load *l, struct env *e, const struct yaml_node *at, uint32_t file)
{
	const char *value;

	l->place = yaml_place(at, file);
	value = load_variable(l, at->text);
	if (value)
		set(l, e, at->text, strlen(at->text), value);
}

static void resolve_variables(
	struct load *l, struct component *c, const struct yaml_node *node, struct env *e)
{
	for (size_t i = 0; i < node->count && !l->failed; i++) {
		bool list = node->kind == YAML_LIST;
		const struct yaml_node *key = list ? node->items[i] : node->pairs[i].key;
		const struct yaml_node *value = list ? NULL : node->pairs[i].value;
		size_t n = list ? strcspn(key->text ? key->text : "", "=") : strlen(key->text);

		if (key->broken || (value && value->broken))
			continue;
		if (list && key->text[n])
			set(l, e, key->text, n, key->text + n + 1);
		else if (list || (value->plain && scalar_kind(value->text) == SCALAR_NULL))
			pass(l, e, key, c->file->number);
		else
			set(l, e, key->text, n, value->text);
	}
}

void resolve_env(struct load *l, struct component *c, const struct yaml_node *node, struct env *e)
{
	char component[PROJECT_NAME_MAX * 2 + 16];

	if (!node || node->kind == YAML_SCALAR)
		return;
	snprintf(component, sizeof component, "%s.%s", sections[c->part], c->name);
	l->component = component;
	resolve_variables(l, c, node, e);
	l->component = NULL;
}

void resolve_env_files(struct load *l, struct component *c, const struct yaml_node *node, struct env *e)
{
	for (size_t i = 0; i < resolve_count(node) && !l->failed; i++) {
		struct project_place place = {0};
		const char *text = resolve_item(node, i, &place);
		_cleanup_free_ char *path = NULL;
		const struct env *env;

		place.file = c->file->number;
		if (!text)
			continue;
		path = load_path_reach(l, c, text, REACH_ENV_FILE, "", place);
		if (!path || load_read_env_file(l, path, place, &env) < 0)
			continue;
		for (size_t k = 0; k < env->count && !l->failed; k++) {
			size_t n = strcspn(env->list[k], "=");

			set(l, e, env->list[k], n, env->list[k] + n + 1);
		}
	}
}
