/* SPDX-License-Identifier: Apache-2.0 */
/* The user's word for what reaches out of a project, before anything of it is started. */
#pragma once

#include "bin/monocore/command.h"
#include "monocore_project.h"

#define GRANT_OPTION(type, member) \
	{ \
		"grant", 0, OPTION_FLAG, NULL, offsetof(type, member), \
			"allow what the project reaches outside of its directory, without a question" \
	}

/* What was not granted before is shown, and asked for on a terminal, or granted where `grant` is set
 * (--grant). After cli_open(). Returns 0, or the exit status of what was told. */
int cli_grants(struct cli *cli, const struct monocore_project *project, bool grant);
