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
		"how long what is made anew may take to end before it is killed; default: 10s"},
	{"parallel", 0, OPTION_NUMBER, "N", offsetof(struct change_options, parallel),
		"so many steps at once; default: as many as this host can do", .most = 64},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	(void)count;
	return project_change_run(cli, given, MONOCORE_PROJECT_UP, words);
}

const struct command up_command = {
	.name = "up",
	.arguments = "[NAME...]",
	.summary = "start the project's sandboxes in dependency order",
	.help = "Starts all sandboxes of the project, or those that are named and what they depend on, "
		"several "
		"at a time; one that depends on others when they run and, where they have a healthcheck, are "
		"healthy. What runs as the file says stays as it is. What the file, or the image, has "
		"changed "
		"since it was made is made anew: what it wrote to its own disk is lost, what it wrote to "
		"volumes is not. What it may reach, and its ports, change while it runs.\n\n"
		"Where one cannot be started, what depends on it is left out, all else is started, and the "
		"last lines of its log are shown. Ctrl-C begins nothing more: what is up stays up; a second "
		"Ctrl-C ends at once. The same command again does what is left.",
	.examples = "monocore up\nmonocore up web --wait\nmonocore up --dry-run",
	.options = options,
	.size = sizeof(struct change_options),
	.defaults = &defaults,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_COMPONENTS,
};
