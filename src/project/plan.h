/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a project's file says and what there is of it to steps that make the one of the other. A core
 * without I/O.
 *
 * A plan is a graph: a step waits for others, and is left out where one that it needs has failed. Whoever
 * executes it asks plan_next() for steps that may be worked on now, as many at a time as he likes, and says
 * what came of each by plan_finish(). Nothing of a plan is kept: whatever stops it, wherever, the next one is
 * made of what there is then, and does the rest.
 *
 * The order: what depends on others is created when it may be (its image may take long), started once they
 * run and, where they have a healthcheck, are healthy; and stopped before them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "project/project.h"

enum plan_state { PLAN_CREATED, PLAN_STARTING, PLAN_RUNNING, PLAN_PAUSED, PLAN_RESTARTING, PLAN_STOPPED };
enum plan_health { PLAN_UNCHECKED, PLAN_CHECKING, PLAN_HEALTHY, PLAN_UNHEALTHY };

/* A sandbox that was made for the project. */
struct plan_seen {
	const char *sandbox;   /* its name */
	const char *component; /* that it was made for */
	const char *digest;    /* project_digest() of then */
	enum plan_state state;
	enum plan_health health;
	bool other_image;   /* the image's name leads to another one by now */
	bool other_network; /* it may reach something else, or has other ports, than the file says */
};

enum plan_wish {
	PLAN_UP,    /* the named and all that they depend on run as the file has them */
	PLAN_DOWN,  /* the named, and nothing else, are stopped; no names: all that there is of the project */
	PLAN_APPLY, /* as UP, and what the file does not have any more is stopped */
	PLAN_BUILDS /* the builds that the named, and all that they depend on, are made of */
};

struct plan_request {
	enum plan_wish wish;
	char *const *names; /* of components; NULL or empty: all */
	bool wait;          /* UP, APPLY: until all are healthy */
	bool prepare; /* UP: the named are not started, only made, and what lives of them is left alone */
	const char *project; /* its name: a component's sandbox is PROJECT-COMPONENT */
	const struct plan_seen *seen;
	size_t seen_count;
};

enum plan_action {
	PLAN_BUILD,  /* component: the build's name; no sandbox */
	PLAN_STOP,   /* a sandbox that lives */
	PLAN_REMOVE, /* one that does not */
	PLAN_CREATE,
	PLAN_NETWORK, /* what it may reach, and its ports */
	PLAN_RESUME,
	PLAN_START,
	PLAN_HEALTH, /* waits until it is healthy; what has no healthcheck is as soon as it runs */
	PLAN_ACTIONS
};
const char *plan_verb(enum plan_action action); /* "create" */

enum plan_progress { PLAN_WAITING, PLAN_WORKING, PLAN_DONE, PLAN_FAILED, PLAN_LEFT_OUT };

struct plan_step {
	enum plan_action action;
	const char *component; /* of the project, or of what was seen */
	char *sandbox;         /* its name; NULL: none */
	const char *why;       /* "its image has changed"; NULL: there is no more to say than the verb */
	enum plan_progress progress;
	size_t failed;  /* of one that was left out: the step that had to be done before it */
	uint32_t waits; /* for steps that are not over */
	bool silent;    /* there may be nothing to do: not worth showing before */
};

struct plan_edge { /* `step` waits for `before` */
	uint32_t before, step;
	bool needs; /* and is left out where that has failed; else it is only the order */
};

struct plan {
	struct plan_step *steps; /* in an order in which they may be done one after the other */
	size_t count;
	struct plan_edge *edges;
	size_t edge_count;
};
void plan_free(struct plan *plan);

/* Borrows from the project and from what was seen. Errors: NOT_FOUND (a name that is none of the project's
 * sandboxes, with the nearest), INVALID (a circle, which a checked project has not). */
int plan_make(
	const struct project *p, const struct plan_request *request, struct plan *plan, struct error *err);

/* A step to be worked on now, which is WORKING from then on; plan->count: none is, at present or at all. */
size_t plan_next(struct plan *plan);

/* What came of a step that plan_next() gave; where it failed, those that need it are left out. */
void plan_finish(struct plan *plan, size_t step, bool done);

/* NOT_FOUND: "the project has no sandbox 'wbe'; did you mean 'web'?" */
int project_unknown(const struct project *p, const char *name, struct error *err);

/* The name of the sandbox of a component; the caller's. */
char *plan_sandbox_name(const char *project, const char *component, struct error *err);
