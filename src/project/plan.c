/* SPDX-License-Identifier: Apache-2.0 */
#include "project/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "project/digest.h"
#include "project/plan_parts.h"

const char *plan_verb(enum plan_action action)
{
	static const char *const verbs[] = {
		"build", "stop", "remove", "create", "update", "resume", "start", "wait for"};

	_Static_assert(ARRAY_SIZE(verbs) == PLAN_ACTIONS, "a verb for each action");
	return verbs[action];
}

int project_unknown(const struct project *p, const char *name, struct error *err)
{
	const char **names = calloc(p->sandbox_count + 1, sizeof *names), *nearest;

	for (size_t i = 0; names && i < p->sandbox_count; i++)
		names[i] = p->sandboxes[i].common.name;
	nearest = names ? text_nearest(name, names) : NULL;
	error_set(err, ERROR_NOT_FOUND, "the project has no sandbox '%s'%s%s%s", name,
		nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
	free(names);
	return -ERROR_NOT_FOUND;
}

void plan_free(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		free(plan->steps[i].sandbox);
	free(plan->steps);
	free(plan->edges);
	*plan = (struct plan){0};
}

/* ---- what is to become of each ------------------------------------------------------------------------ */

static bool lives(const struct plan_seen *s)
{
	return s && s->state != PLAN_CREATED && s->state != PLAN_STOPPED;
}

/* Why it cannot stay as it was made; NULL: it can. */
static int judge(const struct parts *parts, const struct part *part, const char **why, struct error *err)
{
	char digest[SHA256_HEX_SIZE];
	int r = project_digest(parts->project, part->sandbox, digest, err);

	*why = NULL;
	if (r < 0)
		return r;
	if (strcmp(digest, part->seen->digest) != 0)
		*why = "its configuration has changed";
	else if (part->seen->other_image)
		*why = "its image has changed";
	return 0;
}

static int decide(const struct parts *parts, struct part *part, struct error *err)
{
	const struct plan_seen *s = part->seen;
	int r = s ? judge(parts, part, &part->why, err) : 0;

	if (r < 0)
		return r;
	part->create = !s || part->why;
	part->remove = s && part->why;
	part->stop = part->remove && lives(s);
	if (!part->create) {
		part->network = s->other_network;
		part->resume = s->state == PLAN_PAUSED;
	}
	part->start = part->create || !lives(s);
	return 0;
}

static bool is_between(const struct plan_seen *s)
{
	return s->state == PLAN_STARTING || s->state == PLAN_RESTARTING;
}

/* Others wait until it is healthy, or the caller does; or it is somewhere between, and is waited for to know
 * what comes of it. */
static void decide_gates(struct parts *parts)
{
	for (size_t i = 0; i < parts->count; i++) {
		struct part *part = &parts->items[i];

		if (!part->chosen || !part->sandbox)
			continue;
		if (part->prepared)
			part->gate = false;
		else if (parts->request->wait || (!part->start && is_between(part->seen)))
			part->gate = true;
		for (size_t k = 0; (part->start || part->resume || part->prepared) && k < part->need_count;
			k++)
			parts->items[part->needs[k]].gate = true;
	}
}

static bool gate_is_open(const struct part *part)
{
	const struct plan_seen *s = part->seen;

	return !part->start && !part->resume && s->state == PLAN_RUNNING &&
	       (s->health == PLAN_UNCHECKED || s->health == PLAN_HEALTHY);
}

/* ---- steps and edges ---------------------------------------------------------------------------------- */

static int add_step(struct plan *plan, enum plan_action action, const char *component, const char *sandbox,
	const char *why, uint32_t *at, struct error *err)
{
	struct plan_step *more = reallocarray(plan->steps, plan->count + 1, sizeof *more), *s;

	if (!more || plan->count >= PART_NONE)
		return error_no_memory(err, "plan");
	plan->steps = more;
	s = &more[plan->count];
	*s = (struct plan_step){.action = action, .component = component, .why = why};
	if (sandbox && !(s->sandbox = text_copy(sandbox, err)))
		return -ERROR_NO_MEMORY;
	*at = (uint32_t)plan->count++;
	return 0;
}

/* Of the last step. They so are in the order of the steps that wait. */
static int add_edge(struct plan *plan, uint32_t before, bool needs, struct error *err)
{
	uint32_t step = (uint32_t)plan->count - 1;
	struct plan_edge *more;

	if (before == PART_NONE || before == step)
		return 0;
	more = reallocarray(plan->edges, plan->edge_count + 1, sizeof *more);
	if (!more)
		return error_no_memory(err, "plan");
	plan->edges = more;
	more[plan->edge_count++] = (struct plan_edge){before, step, needs};
	plan->steps[step].waits++;
	return 0;
}

/* One more step of a part, behind the one before it. */
static int add_part_step(
	struct plan *plan, enum plan_action action, struct part *part, const char *why, struct error *err)
{
	uint32_t before = part->last_step;
	int r = add_step(plan, action, part->common->name, part->name, why, &part->last_step, err);

	return r == 0 ? add_edge(plan, before, true, err) : r;
}

/* ---- stopping ----------------------------------------------------------------------------------------- */

/* What the file does not have any more may have what others want: ports. Returns how many. */
static int stop_strangers(const struct parts *parts, struct plan *plan, struct error *err)
{
	const struct plan_request *q = parts->request;
	uint32_t ignored;
	int r = 0;

	if (q->wish != PLAN_APPLY && (q->wish != PLAN_DOWN || (q->names && *q->names)))
		return 0;
	for (size_t i = 0; r == 0 && i < q->seen_count; i++) {
		const struct plan_seen *s = &q->seen[i];

		if (lives(s) && !parts_know(parts, s))
			r = add_step(plan, PLAN_STOP, s->component, s->sandbox, "the file does not have it",
				&ignored, err);
	}
	return r;
}

static bool needs_part(const struct parts *parts, const struct part *part, const struct part *other)
{
	for (size_t i = 0; i < part->need_count; i++)
		if (&parts->items[part->needs[i]] == other)
			return true;
	return false;
}

/* The last first; each behind those that depend on it. One that cannot be stopped does not keep others. */
static int stop_parts(struct parts *parts, struct plan *plan, struct error *err)
{
	int r = 0;

	for (size_t i = parts->count; r == 0 && i-- > 0;) {
		struct part *part = &parts->items[parts->order[i]];

		if (!part->chosen || !part->stop)
			continue;
		r = add_part_step(plan, PLAN_STOP, part, part->why, err);
		part->stop_step = part->last_step;
		for (size_t k = i + 1; r == 0 && k < parts->count; k++) {
			const struct part *other = &parts->items[parts->order[k]];

			if (other->stop_step != PART_NONE && needs_part(parts, other, part))
				r = add_edge(plan, other->stop_step, false, err);
		}
	}
	return r;
}

/* ---- making and starting ------------------------------------------------------------------------------ */

/* The builds that it needs have been built, or, where it is started, the sandboxes are ready. */
static int wait_for_needs(
	const struct parts *parts, struct plan *plan, const struct part *part, bool builds, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < part->need_count; i++) {
		const struct part *need = &parts->items[part->needs[i]];

		if (!need->sandbox == builds)
			r = add_edge(plan, need->last_step, true, err);
	}
	return r;
}

static int start_part(
	const struct parts *parts, struct plan *plan, struct part *part, size_t strangers, struct error *err)
{
	int r = add_part_step(plan, part->resume ? PLAN_RESUME : PLAN_START, part, NULL, err);

	if (r == 0)
		r = wait_for_needs(parts, plan, part, false, err);
	for (size_t i = 0; r == 0 && i < strangers; i++)
		r = add_edge(plan, (uint32_t)i, false, err);
	return r;
}

static int gate_part(struct plan *plan, struct part *part, struct error *err)
{
	bool checked = part->sandbox->healthcheck.command || (part->seen && part->seen->health);
	int r = add_part_step(plan, PLAN_HEALTH, part, NULL, err);

	if (r == 0)
		plan->steps[plan->count - 1].silent = !checked;
	return r;
}

static int make_part(
	const struct parts *parts, struct plan *plan, struct part *part, size_t strangers, struct error *err)
{
	int r = 0;

	if (part->remove)
		r = add_part_step(plan, PLAN_REMOVE, part, part->why, err);
	if (r == 0 && part->create)
		r = add_part_step(plan, PLAN_CREATE, part, part->why, err);
	if (r == 0 && part->create)
		r = wait_for_needs(parts, plan, part, true, err);
	if (r == 0 && part->network)
		r = add_part_step(plan, PLAN_NETWORK, part, "its network has changed", err);
	if (r == 0 && (part->start || part->resume))
		r = start_part(parts, plan, part, strangers, err);
	if (r == 0 && part->gate && !gate_is_open(part))
		r = gate_part(plan, part, err);
	return r;
}

/* Builds that sandboxes which are to be created are made of, and the builds that those are made of. */
static void choose_builds(struct parts *parts)
{
	bool all = parts->request->wish == PLAN_BUILDS;

	for (size_t i = 0; i < parts->count; i++)
		if (!parts->items[i].sandbox)
			parts->items[i].create = all && parts->items[i].chosen;
	for (size_t i = parts->count; i-- > 0;) {
		const struct part *part = &parts->items[parts->order[i]];

		for (size_t k = 0; part->chosen && part->create && k < part->need_count; k++)
			if (!parts->items[part->needs[k]].sandbox)
				parts->items[part->needs[k]].create = true;
	}
}

static int build_parts(struct parts *parts, struct plan *plan, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < parts->count; i++) {
		struct part *part = &parts->items[parts->order[i]];

		if (part->sandbox || !part->create)
			continue;
		r = add_part_step(plan, PLAN_BUILD, part, NULL, err);
		if (r == 0)
			r = wait_for_needs(parts, plan, part, true, err);
	}
	return r;
}

static bool is_left_alone(const struct part *part)
{
	return part->prepared && part->seen && lives(part->seen);
}

static int make(struct parts *parts, struct plan *plan, struct error *err)
{
	enum plan_wish wish = parts->request->wish;
	size_t strangers;
	int r = 0;

	for (size_t i = 0; r == 0 && i < parts->count; i++) {
		struct part *part = &parts->items[i];

		if (part->chosen && part->sandbox && wish == PLAN_DOWN)
			part->stop = lives(part->seen);
		else if (part->chosen && part->sandbox && wish != PLAN_BUILDS && !is_left_alone(part))
			r = decide(parts, part, err);
		if (part->prepared)
			part->start = part->resume = false;
	}
	if (r == 0)
		r = stop_strangers(parts, plan, err);
	strangers = plan->count;
	if (r == 0 && wish != PLAN_DOWN)
		choose_builds(parts);
	if (r == 0 && (wish == PLAN_UP || wish == PLAN_APPLY))
		decide_gates(parts);
	if (r == 0)
		r = build_parts(parts, plan, err);
	if (r == 0)
		r = stop_parts(parts, plan, err);
	for (size_t i = 0; r == 0 && i < parts->count; i++) {
		struct part *part = &parts->items[parts->order[i]];

		if (part->chosen && part->sandbox && (wish == PLAN_UP || wish == PLAN_APPLY))
			r = make_part(parts, plan, part, strangers, err);
	}
	return r;
}

int plan_make(
	const struct project *p, const struct plan_request *request, struct plan *plan, struct error *err)
{
	_cleanup_(parts_free) struct parts parts = {0};
	int r = parts_make(p, request, &parts, err);

	*plan = (struct plan){0};
	if (r == 0)
		r = parts_choose(&parts, err);
	if (r == 0)
		r = make(&parts, plan, err);
	if (r < 0)
		plan_free(plan);
	return r;
}

/* ---- execution ---------------------------------------------------------------------------------------- */

size_t plan_next(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->steps[i].progress == PLAN_WAITING && plan->steps[i].waits == 0) {
			plan->steps[i].progress = PLAN_WORKING;
			return i;
		}
	return plan->count;
}

static bool is_left_out_by(const struct plan_step *s, size_t step)
{
	return s->progress == PLAN_LEFT_OUT && s->failed == step;
}

/* Edges lead from earlier steps to later ones and are in the order of these: one pass sees all. */
void plan_finish(struct plan *plan, size_t step, bool done)
{
	plan->steps[step].progress = done ? PLAN_DONE : PLAN_FAILED;
	for (size_t i = 0; i < plan->edge_count; i++) {
		const struct plan_edge *e = &plan->edges[i];
		struct plan_step *waiting = &plan->steps[e->step];
		bool over = e->before == step || is_left_out_by(&plan->steps[e->before], step);

		if (!over)
			continue;
		waiting->waits--;
		if (!done && e->needs && waiting->progress == PLAN_WAITING) {
			waiting->progress = PLAN_LEFT_OUT;
			waiting->failed = step;
		}
	}
}
