/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of builds. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "project/load_parts.h"

static const char *const kinds[] = {"run", "copy", "env", "workdir", "user"};

static char *keep_text(struct load *l, const struct yaml_node *node)
{
	return node->kind == YAML_SCALAR ? load_keep(l, node->text) : NULL;
}

static const struct component *build_at(const struct component *c, const struct yaml_node *at)
{
	for (size_t i = 0; i < c->reference_count; i++)
		if (c->references[i].role == ROLE_FROM && c->references[i].at == at)
			return c->references[i].to;
	return NULL;
}

/* Of the project: paths of the host. Of another build: paths in its image. */
static void resolve_copy(struct load *l, struct component *c, const struct yaml_node *node,
	const struct yaml_node *from, struct project_step *step)
{
	const struct component *build = from ? build_at(c, from) : NULL;
	struct project_place place = {.file = c->file->number};

	if (node->count < 2) {
		mistake_add(l->m, yaml_place(node, c->file->number), 1,
			"'copy': expected what to copy and, last, where to");
		return;
	}
	step->from = build ? load_keep(l, build->name) : NULL;
	for (size_t i = 0; i + 1 < node->count && !l->failed; i++) {
		const char *text = resolve_item(node, i, &place);
		_cleanup_free_ char *path = NULL;

		if (!text)
			continue;
		if (from && *text != '/')
			mistake_add(l->m, place, strlen(text),
				"'copy': expected a path in the image of '%s', got '%s'", from->text, text);
		else if (!from)
			path = load_path_reach(l, c, text, REACH_COPY, "", place);
		if (from || path)
			load_list_add(l, &step->sources, from ? text : path);
	}
	if (resolve_item(node, node->count - 1, &place))
		step->target = load_keep(l, resolve_item(node, node->count - 1, &place));
}

static void resolve_step_env(
	struct load *l, struct component *c, const struct yaml_node *node, struct project_step *step)
{
	struct env e = {0};

	resolve_env(l, c, node, &e);
	step->env = env_take(&e);
}

static void resolve_kind(struct load *l, struct component *c, const struct yaml_node *node,
	const struct yaml_node *from, struct project_step *step)
{
	switch (step->kind) {
	case STEP_RUN:
		step->command = keep_text(l, node);
		if (node->kind == YAML_LIST)
			step->argv = resolve_words(l, node);
		if (node->kind == YAML_LIST && !step->argv)
			mistake_add(l->m, yaml_place(node, c->file->number), 1,
				"'run': expected a command, got an empty list");
		break;
	case STEP_COPY:
		resolve_copy(l, c, node, from, step);
		break;
	case STEP_ENV:
		resolve_step_env(l, c, node, step);
		break;
	case STEP_WORKDIR:
	case STEP_USER:
		step->target = keep_text(l, node);
		break;
	}
}

static void resolve_mapping(
	struct load *l, struct component *c, const struct yaml_node *node, struct project_step *step)
{
	const struct yaml_node *from = resolve_member(node, "from"), *value = NULL;
	size_t found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (yaml_pair(node, kinds[i])) {
			step->kind = (enum project_step_kind)i;
			value = resolve_member(node, kinds[i]);
			found++;
		}
	if (found > 1)
		mistake_add(l->m, step->place, 1,
			"a step is one of run, copy, env, workdir and user; here are several");
	else if (!found && !node->count) /* otherwise its keys were told */
		mistake_add(l->m, step->place, 1,
			"a step is one of run, copy, env, workdir and user; here is none");
	else if (from && step->kind != STEP_COPY)
		mistake_add(l->m, yaml_place(from, c->file->number), strlen(from->text),
			"'from' belongs to 'copy'");
	else if (found && value)
		resolve_kind(l, c, value, from, step);
}

void resolve_steps(struct load *l, struct component *c, struct project_build *b)
{
	const struct yaml_node *steps = resolve_member(c->node, "steps");

	if (!steps || !steps->count)
		return;
	b->steps = calloc(steps->count, sizeof *b->steps);
	if (!b->steps)
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
	for (size_t i = 0; i < steps->count && !l->failed; i++) {
		const struct yaml_node *node = steps->items[i];
		struct project_step *step = &b->steps[b->step_count];

		if (node->broken)
			continue;
		b->step_count++;
		step->place = yaml_place(node, c->file->number);
		if (node->kind == YAML_SCALAR)
			step->command = load_keep(l, node->text);
		else
			resolve_mapping(l, c, node, step);
	}
}
