/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/bulk.h"
#include "bin/monocore/verbs.h"

struct options {
	char **labels;
};

static const struct option_spec options[] = {
	{"label", 'l', OPTION_LIST, "KEY=VALUE", offsetof(struct options, labels),
		"wait for the sandboxes with this label that run"},
	{NULL},
};

static int act(
	struct monocore *mc, const char *name, const void *given, int *value, struct monocore_error *err)
{
	(void)given;
	return monocore_wait(mc, name, value, err);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct bulk bulk = {.act = act, .print_value = true, .states = STATES_ALIVE, .labels = o->labels};

	return bulk_run(cli, &bulk, count, words);
}

const struct command wait_command = {
	.name = "wait",
	.arguments = "NAME...",
	.summary = "wait until sandboxes have stopped, and print their exit statuses",
	.help = "Prints a number for each sandbox, in the order in which they were named: the exit status of "
		"its "
		"command, 128+N where signal N ended it.",
	.options = options,
	.size = sizeof(struct options),
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_SANDBOXES,
};
