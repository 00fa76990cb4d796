/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/project_change.h"
#include "bin/monocore/verbs.h"

static const struct option_spec options[] = {
	{"time", 't', OPTION_DURATION, "TIME", offsetof(struct change_options, grace),
		"how long each may take to end before it is killed; default: 10s"},
	{"dry-run", 0, OPTION_FLAG, NULL, offsetof(struct change_options, dry_run),
		"show what would be done, and do nothing"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct change_options, json), "with --dry-run: print JSON"},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	(void)count;
	return project_change_run(cli, given, MONOCORE_PROJECT_DOWN, words);
}

const struct command down_command = {
	.name = "down",
	.arguments = "[NAME...]",
	.summary = "stop the project's sandboxes in dependency order",
	.help = "Stops all that was started for the project, or the sandboxes that are named: each before "
		"what "
		"it depends on. They stay, with their disks, for 'monocore up'; 'monocore clean' removes "
		"them.",
	.examples = "monocore down\nmonocore down web",
	.options = options,
	.size = sizeof(struct change_options),
	.defaults = &change_defaults,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_COMPONENTS,
};
