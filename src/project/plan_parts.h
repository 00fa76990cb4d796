/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a plan in the making: what the project's components are to become, in which order. */
#pragma once

#include "project/plan.h"

#define PART_NONE UINT32_MAX

/* A build or a sandbox of the project. */
struct part {
	const struct project_common *common;
	const struct project_sandbox *sandbox; /* NULL: a build */
	const struct plan_seen *seen;          /* NULL: there is none yet */
	char *name;                            /* of the sandbox */
	uint32_t *needs;                       /* parts that come before it */
	size_t need_count;
	bool chosen;
	bool prepared;   /* made, and started by somebody else */
	unsigned colour; /* while the order is found */

	/* What is to be done, and why. */
	bool stop, remove, create, network, resume, start, gate;
	const char *why;

	/* The steps of it: what dependents, and what comes next, wait for. */
	uint32_t stop_step, last_step;
};

struct parts {
	const struct project *project;
	const struct plan_request *request;
	struct part *items; /* builds, then sandboxes */
	size_t count;
	uint32_t *order; /* all, each behind what it needs */
};
void parts_free(struct parts *parts);

/* All of a project, with what each needs, in their order. INVALID: they need each other in a circle. */
int parts_make(
	const struct project *p, const struct plan_request *request, struct parts *parts, struct error *err);

/* Marks those that the request is about. NOT_FOUND. */
int parts_choose(struct parts *parts, struct error *err);

/* Whether it is a sandbox that a part stands for; else the file does not have it any more. */
bool parts_know(const struct parts *parts, const struct plan_seen *seen);
