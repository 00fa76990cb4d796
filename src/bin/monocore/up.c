/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/project_change.h"
#include "bin/monocore/verbs.h"

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
	.options = change_up_rows,
	.size = sizeof(struct change_options),
	.defaults = &change_defaults,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_COMPONENTS,
};
