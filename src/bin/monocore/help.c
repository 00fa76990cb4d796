/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/cli/help_page.h"
#include "bin/monocore/verbs.h"

const struct command help_command = {
	.name = "help",
	.arguments = "[COMMAND]...",
	.summary = "explain a command",
	.examples = "monocore help tmp\nmonocore help self kernel install",
	.most = WORDS_ANY,
	.run = help_run,
	.group = GROUP_HOST,
	.words = WORDS_COMMANDS,
};
