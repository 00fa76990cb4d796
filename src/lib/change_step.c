/* SPDX-License-Identifier: Apache-2.0 */
/* One step of a plan. Each may have been done already, by a command that was killed behind it. */
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "lib/build.h"
#include "lib/change.h"
#include "lib/glance.h"

#define LOOK_FIRST MILLISECONDS(10)
#define LOOK_LAST  MILLISECONDS(200)

static int take_error(int r, const struct monocore_error *error, struct error *err)
{
	return r < 0 ? error_set(err, (enum error_code)error->code, "%s", error->text) : 0;
}

static int make_component(
	const struct change *c, const struct plan_step *step, struct component *component, struct error *err)
{
	const struct project *p = c->project->project;

	return component_make(p, &c->identity, project_sandbox(p, step->component), component, err);
}

static int own_volumes(const struct change *c, const struct project_sandbox *s, struct error *err)
{
	int r = project_own_volumes(c->mc, &c->identity, s->common.volumes, s->common.volume_count, err);

	for (size_t i = 0; r == 0 && i < s->group_count; i++)
		r = project_own_volumes(
			c->mc, &c->identity, s->groups[i].volumes, s->groups[i].volume_count, err);
	return r;
}

static int create(const struct change *c, const struct plan_step *step, struct error *err)
{
	_cleanup_component_ struct component component = {0};
	struct monocore_error error;
	char *name = NULL;
	int r = make_component(c, step, &component, err);

	if (r == 0)
		r = component_guard(c->project, &component, err);
	if (r == 0)
		r = own_volumes(c, project_sandbox(c->project->project, step->component), err);
	if (r == 0)
		r = take_error(monocore_create(c->mc, &component.options, &name, &error), &error, err);
	monocore_free(name);
	return r;
}

static int change_network(const struct change *c, const struct plan_step *step, struct error *err)
{
	_cleanup_component_ struct component component = {0};
	int r = make_component(c, step, &component, err);

	return r == 0 ? component_network_change(c->mc, &component, err) : r;
}

/* ---- until it is healthy ------------------------------------------------------------------------------ */

static int wait_until_healthy(const struct change *c, const struct plan_step *step, struct error *err)
{
	uint64_t pause = LOOK_FIRST;

	for (;;) {
		_cleanup_glance_ struct glance g = {0};
		int r = glance(c->mc, step->sandbox, &g, err);

		if (r == 0)
			r = glance_judge(&g, err);
		if (r)
			return r < 0 ? r : 0;
		if (change_is_stopped(c))
			return error_set(err, ERROR_CLOSED, "it was not waited for any longer");
		nanosleep(&(struct timespec){.tv_nsec = (long)pause}, NULL);
		pause = pause * 2 < LOOK_LAST ? pause * 2 : LOOK_LAST;
	}
}

/* ---- each --------------------------------------------------------------------------------------------- */

/* With what it needs, which most often has been built in steps of its own, and is found in the cache. */
static int build(const struct change *c, const struct plan_step *step, struct error *err)
{
	const struct monocore_build_options options = MONOCORE_BUILD_OPTIONS_INIT;
	const char *const names[] = {step->component, NULL};

	return build_of_project(c->mc, c->project, &c->identity, names, &options, NULL, err);
}

int change_step(const struct change *c, const struct plan_step *step, struct error *err)
{
	struct monocore_error error;
	int r;

	switch (step->action) {
	case PLAN_BUILD:
		return build(c, step, err);
	case PLAN_CREATE:
		return create(c, step, err);
	case PLAN_NETWORK:
		return change_network(c, step, err);
	case PLAN_HEALTH:
		return wait_until_healthy(c, step, err);
	case PLAN_STOP:
		r = monocore_stop(c->mc, step->sandbox, c->options->grace, &error);
		break;
	case PLAN_REMOVE:
		r = monocore_remove(c->mc, step->sandbox, false, &error);
		break;
	case PLAN_RESUME:
		r = monocore_resume(c->mc, step->sandbox, &error);
		break;
	default:
		r = monocore_start(c->mc, step->sandbox, NULL, NULL, &error);
		break;
	}
	return take_error(r, &error, err);
}
