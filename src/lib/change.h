/* SPDX-License-Identifier: Apache-2.0 */
/* A project's change while it is made: the plan, and who works on it. */
#pragma once

#include "lib/component.h"

struct change {
	struct monocore *mc;
	const struct monocore_project *project;
	const struct monocore_project_change_options *options;
	struct project_identity identity;
	struct seen_list seen;
	char **names; /* of components, in place of those in the options */
	struct plan plan;
};

/* Does one step of the plan. Called by several threads. */
int change_step(const struct change *c, const struct plan_step *step, struct error *err);

/* The user wants no more. */
static inline bool change_is_stopped(const struct change *c)
{
	return c->options->stopped && c->options->stopped(c->options->context);
}
