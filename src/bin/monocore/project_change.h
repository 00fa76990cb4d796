/* SPDX-License-Identifier: Apache-2.0 */
/* What up, down, apply, and others that bring a project's sandboxes up, have in common. */
#pragma once

#include "bin/monocore/command.h"
#include "monocore_project.h"

#define STATUS_INTERRUPTED 130

struct change_options {
	bool dry_run, json, wait, build, grant;
	uint64_t grace, parallel;
};

extern const struct change_options change_defaults;
extern const struct option_spec change_up_rows[]; /* of up and apply */

/* Opens the project, asks for what reaches out of it, and shows or does what is to be done. Returns the exit
 * status: 130 where the user has ended it. */
int project_change_run(
	struct cli *cli, const struct change_options *o, enum monocore_project_wish wish, char **names);

/* The doing alone, shown as it is done. Takes over tell, stopped, waits and context. */
int project_change(struct cli *cli, const struct monocore_project *project,
	struct monocore_project_change_options *options);
