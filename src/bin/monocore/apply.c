/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/grants.h"
#include "bin/monocore/project_change.h"
#include "bin/monocore/verbs.h"

static const struct change_options defaults = {.grace = UINT64_MAX};

static const struct option_spec options[] = {
	{"dry-run", 0, OPTION_FLAG, NULL, offsetof(struct change_options, dry_run),
		"show what would be done, and do nothing"},
	GRANT_OPTION(struct change_options, grant),
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct change_options, json), "with --dry-run: print JSON"},
	{"wait", 0, OPTION_FLAG, NULL, offsetof(struct change_options, wait),
		"until all that have a healthcheck are healthy"},
	{"build", 0, OPTION_FLAG, NULL, offsetof(struct change_options, build),
		"build images of the project again first, as far as something in them has changed"},
	{"time", 't', OPTION_DURATION, "TIME", offsetof(struct change_options, grace),
		"how long what is stopped may take to end before it is killed; default: 10s"},
	{"parallel", 0, OPTION_NUMBER, "N", offsetof(struct change_options, parallel),
		"so many steps at once; default: as many as this host can do", .most = 64},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	(void)count;
	(void)words;
	return project_change_run(cli, given, MONOCORE_PROJECT_APPLY, NULL);
}

const struct command apply_command = {
	.name = "apply",
	.summary = "make what runs match the project's file",
	.help = "As 'monocore up', and what was started for the project and is not in its file any more is "
		"stopped. It is not removed: 'monocore clean' does that.",
	.examples = "monocore apply --dry-run\nmonocore apply",
	.options = options,
	.size = sizeof(struct change_options),
	.defaults = &defaults,
	.run = run,
};
