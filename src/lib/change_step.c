/* SPDX-License-Identifier: Apache-2.0 */
/* One step of a plan. Each may have been done already, by a command that was killed behind it. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "lib/build.h"
#include "lib/change.h"

#define LOOK_FIRST    MILLISECONDS(10)
#define LOOK_LAST     MILLISECONDS(200)
#define RESTARTS_MOST 3u /* of what others wait for: then it is given up */

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

static int create(const struct change *c, const struct plan_step *step, struct error *err)
{
	_cleanup_component_ struct component component = {0};
	struct monocore_error error;
	char *name = NULL;
	int r = make_component(c, step, &component, err);

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

struct glance {
	enum monocore_state state;
	bool interrupted, checked;
	struct status status;
};

static int look(const struct change *c, const char *name, struct glance *g, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	int r = directory_find(&c->mc->home, name, &d, err);

	if (r == 0)
		r = record_read(d.fd, &record, err);
	if (r == 0)
		r = status_read(d.fd, &g->status, err);
	if (r == 0)
		g->state = sandbox_state(&d, &g->status, &g->interrupted);
	g->checked = record.health_command != NULL;
	return r;
}

/* 1: ready; 0: not yet. What has no healthcheck and came to a good end was ready, too. */
static int judge(const struct glance *g, struct error *err)
{
	const char *health = g->status.health ? g->status.health : "";
	unsigned status = g->interrupted ? 128 + SIGKILL : (unsigned)g->status.exit_status;

	switch (g->state) {
	case MONOCORE_RUNNING:
		if (!strcmp(health, "unhealthy"))
			return error_set(err, ERROR_START, "it is unhealthy");
		return !strcmp(health, "healthy") || !g->checked;
	case MONOCORE_STOPPED:
		if (!g->checked && !status)
			return 1;
		return error_set(err, ERROR_START, "it has ended, with status %u%s%s", status,
			g->status.reason && *g->status.reason ? ": " : "",
			g->status.reason ? g->status.reason : "");
	case MONOCORE_RESTARTING:
		if (g->status.restarts < RESTARTS_MOST)
			return 0;
		return error_set(err, ERROR_START, "it ends again and again, with status %u", status);
	case MONOCORE_CREATED:
		return error_set(err, ERROR_START, "it was not started");
	case MONOCORE_PAUSED:
		return error_set(err, ERROR_START, "it is paused");
	default:
		return 0;
	}
}

static int wait_until_healthy(const struct change *c, const struct plan_step *step, struct error *err)
{
	uint64_t pause = LOOK_FIRST;

	for (;;) {
		struct glance g = {0};
		int r = look(c, step->sandbox, &g, err);

		if (r == 0)
			r = judge(&g, err);
		status_free(&g.status);
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

	return build_of_project(c->mc, c->project->project, c->identity.name, names, &options, NULL, err);
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
