/* SPDX-License-Identifier: Apache-2.0 */
#include "project/plan_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

void parts_free(struct parts *parts)
{
	for (size_t i = 0; i < parts->count; i++) {
		free(parts->items[i].name);
		free(parts->items[i].needs);
	}
	free(parts->items);
	free(parts->order);
	*parts = (struct parts){0};
}

char *plan_sandbox_name(const char *project, const char *component, struct error *err)
{
	return text_format(err, "%s-%s", project, component);
}

/* ---- what needs what ---------------------------------------------------------------------------------- */

static uint32_t find_part(const struct parts *parts, const char *name, bool sandbox)
{
	for (size_t i = 0; i < parts->count; i++)
		if (!parts->items[i].sandbox == !sandbox && !strcmp(parts->items[i].common->name, name))
			return (uint32_t)i;
	return PART_NONE;
}

static int add_need(struct part *part, uint32_t need, struct error *err)
{
	uint32_t *more;

	for (size_t i = 0; i < part->need_count; i++)
		if (part->needs[i] == need)
			return 0;
	more = need == PART_NONE ? NULL : reallocarray(part->needs, part->need_count + 1, sizeof *more);
	if (need == PART_NONE)
		return 0;
	if (!more)
		return error_no_memory(err, "plan");
	part->needs = more;
	part->needs[part->need_count++] = need;
	return 0;
}

static int find_needs(struct parts *parts, struct part *part, struct error *err)
{
	const struct project_common *c = part->common;
	const struct project_build *build =
		part->sandbox ? NULL : (const struct project_build *)(const void *)c;
	int r = c->image_is_build ? add_need(part, find_part(parts, c->image, false), err) : 0;

	for (char **d = c->depends_on; r == 0 && d && *d; d++) {
		uint32_t other = part->sandbox ? find_part(parts, *d, true) : PART_NONE;

		r = add_need(part, other == PART_NONE ? find_part(parts, *d, false) : other, err);
	}
	for (size_t i = 0; r == 0 && build && i < build->step_count; i++)
		if (build->steps[i].from)
			r = add_need(part, find_part(parts, build->steps[i].from, false), err);
	return r;
}

/* Behind all that it needs; grey while its needs are looked at. */
static int put_in_order(struct parts *parts, uint32_t at, size_t *count, struct error *err)
{
	enum { WHITE, GREY, BLACK };
	struct part *part = &parts->items[at];
	int r = 0;

	if (part->colour == BLACK)
		return 0;
	if (part->colour == GREY)
		return error_set(err, ERROR_INVALID, "'%s' depends on itself", part->common->name);
	part->colour = GREY;
	for (size_t i = 0; r == 0 && i < part->need_count; i++)
		r = put_in_order(parts, part->needs[i], count, err);
	part->colour = BLACK;
	parts->order[(*count)++] = at;
	return r;
}

/* ---- all of them -------------------------------------------------------------------------------------- */

static bool is_of(const struct plan_seen *seen, const struct part *part)
{
	return part->sandbox && !strcmp(seen->component, part->common->name) &&
	       !strcmp(seen->sandbox, part->name);
}

static int fill(struct parts *parts, struct error *err)
{
	const struct project *p = parts->project;
	const struct plan_request *q = parts->request;

	for (size_t i = 0; i < parts->count; i++) {
		struct part *part = &parts->items[i];

		part->stop_step = part->last_step = PART_NONE;
		if (i < p->build_count) {
			part->common = &p->builds[i].common;
			continue;
		}
		part->sandbox = &p->sandboxes[i - p->build_count];
		part->common = &part->sandbox->common;
		part->name = plan_sandbox_name(q->project, part->common->name, err);
		if (!part->name)
			return -ERROR_NO_MEMORY;
		for (size_t k = 0; k < q->seen_count && !part->seen; k++)
			if (is_of(&q->seen[k], part))
				part->seen = &q->seen[k];
	}
	return 0;
}

int parts_make(
	const struct project *p, const struct plan_request *request, struct parts *parts, struct error *err)
{
	size_t count = p->build_count + p->sandbox_count, ordered = 0;
	int r;

	*parts = (struct parts){.project = p, .request = request, .count = count};
	parts->items = calloc(count + 1, sizeof *parts->items);
	parts->order = calloc(count + 1, sizeof *parts->order);
	if (!parts->items || !parts->order) {
		parts->count = 0;
		return error_no_memory(err, "plan");
	}
	r = fill(parts, err);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = find_needs(parts, &parts->items[i], err);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = put_in_order(parts, (uint32_t)i, &ordered, err);
	return r;
}

bool parts_know(const struct parts *parts, const struct plan_seen *seen)
{
	for (size_t i = 0; i < parts->count; i++)
		if (parts->items[i].seen == seen)
			return true;
	return false;
}

/* ---- which of them ------------------------------------------------------------------------------------ */

int parts_choose(struct parts *parts, struct error *err)
{
	const struct plan_request *q = parts->request;
	bool all = !q->names || !*q->names;

	for (size_t i = 0; i < parts->count; i++)
		parts->items[i].chosen = all && parts->items[i].sandbox;
	for (char *const *name = q->names; name && *name; name++) {
		uint32_t at = find_part(parts, *name, true);

		if (at == PART_NONE)
			return project_unknown(parts->project, *name, err);
		parts->items[at].chosen = true;
		parts->items[at].prepared = q->prepare;
	}
	/* From the last to the first: what is needed comes along. */
	for (size_t i = parts->count; q->wish != PLAN_DOWN && i-- > 0;) {
		const struct part *part = &parts->items[parts->order[i]];

		for (size_t k = 0; part->chosen && k < part->need_count; k++)
			parts->items[part->needs[k]].chosen = true;
	}
	return 0;
}
