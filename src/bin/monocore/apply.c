/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/project_change.h"
#include "bin/monocore/verbs.h"

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
	.options = change_up_rows,
	.size = sizeof(struct change_options),
	.defaults = &change_defaults,
	.run = run,
};
