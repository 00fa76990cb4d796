/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/monocore/help_page.h"
#include "bin/monocore/output.h"
#include "bin/monocore/root.h"
#include "bin/monocore/verbs.h"

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct command *command = &monocore_root;
	char path[128] = "";
	struct error err;
	size_t n = 0;

	(void)given;
	for (int i = 0; i < count; i++) {
		const struct command *child = command_find(command, words[i]);

		if (!child && !command->children)
			break; /* `help volume ls`: what is known of volume */
		if (!child) {
			command_unknown(command, path, words[i], &err);
			return cli_complain(cli, &err);
		}
		command = child;
		n += (size_t)snprintf(path + n, sizeof path - n, "%s%s", n ? " " : "", command->name);
	}
	return help_print(command, path);
}

const struct command help_command = {
	.name = "help",
	.arguments = "[COMMAND]...",
	.summary = "explain a command",
	.examples = "monocore help tmp\nmonocore help self kernel install",
	.most = WORDS_ANY,
	.run = run,
	.group = GROUP_HOST,
	.words = WORDS_COMMANDS,
};
