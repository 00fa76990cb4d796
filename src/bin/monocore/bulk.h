/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One action on many sandboxes: those that are named, and those that carry a label. They are worked on at
 * once, told about in order; one that fails does not keep the others from it.
 */
#pragma once

#include "bin/monocore/command.h"

struct bulk {
	int (*act)(struct monocore *mc, const char *name, const void *options, int *value,
		struct monocore_error *err);
	const void *options; /* passed to act */
	bool print_value;    /* what act stored, instead of the name */
	unsigned states;     /* bits (1 << MONOCORE_RUNNING) that a label selects; the named are not asked */
	char *const *labels; /* "key=value", or "key"; NULL: none */
};

/* Whether all of `wanted` are among `have`. */
bool labels_match(char *const *have, char *const *wanted);

/* Returns the exit status: 0, 1 where one failed, 2 where nothing was named. */
int bulk_run(struct cli *cli, const struct bulk *bulk, int count, char **names);

#define STATES_ALIVE \
	((1u << MONOCORE_STARTING) | (1u << MONOCORE_RUNNING) | (1u << MONOCORE_PAUSED) | \
		(1u << MONOCORE_RESTARTING))
#define STATES_ALL (STATES_ALIVE | (1u << MONOCORE_CREATED) | (1u << MONOCORE_STOPPED))
