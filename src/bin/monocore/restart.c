/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/bulk.h"
#include "bin/monocore/verbs.h"

struct options {
	uint64_t grace;
	char **labels;
};

static const struct options defaults = {.grace = UINT64_MAX};

static const struct option_spec options[] = {
	{"time", 't', OPTION_DURATION, "TIME", offsetof(struct options, grace),
		"how long the command may take to end before it is killed; default: 10s"},
	{"label", 'l', OPTION_LIST, "KEY=VALUE", offsetof(struct options, labels),
		"act on the sandboxes with this label"},
	{NULL},
};

static int act(
	struct monocore *mc, const char *name, const void *given, int *value, struct monocore_error *err)
{
	const struct options *o = given;

	(void)value;
	return monocore_restart(mc, name, o->grace, err);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct bulk bulk = {.act = act, .options = o, .states = STATES_ALL, .labels = o->labels};

	return bulk_run(cli, &bulk, count, words);
}

const struct command restart_command = {
	.name = "restart",
	.arguments = "NAME...",
	.summary = "stop sandboxes and start them again",
	.help = "The disk is kept. What was running is stopped as 'monocore stop' does it; the sandbox comes "
		"up in the "
		"background.",
	.options = options,
	.size = sizeof(struct options),
	.defaults = &defaults,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_SANDBOXES,
};
