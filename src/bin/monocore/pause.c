/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/bulk.h"
#include "bin/monocore/verbs.h"

struct options {
	char **labels;
};

static const struct option_spec options[] = {
	{"label", 'l', OPTION_LIST, "KEY=VALUE", offsetof(struct options, labels),
		"act on the running sandboxes with this label"},
	{NULL},
};

static int act(
	struct monocore *mc, const char *name, const void *given, int *value, struct monocore_error *err)
{
	(void)given;
	(void)value;
	return monocore_pause(mc, name, err);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct bulk bulk = {.act = act, .states = 1u << MONOCORE_RUNNING, .labels = o->labels};

	return bulk_run(cli, &bulk, count, words);
}

const struct command pause_command = {
	.name = "pause",
	.arguments = "NAME...",
	.summary = "freeze running sandboxes",
	.help = "The virtual machine stands still until 'monocore resume'; its memory stays as it is.",
	.options = options,
	.size = sizeof(struct options),
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_SANDBOXES,
};
