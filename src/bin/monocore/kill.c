/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/bulk.h"
#include "bin/monocore/output.h"
#include "bin/monocore/signal_name.h"
#include "bin/monocore/verbs.h"

struct options {
	const char *signal;
	char **labels;
};

static const struct options defaults = {.signal = "KILL"};

static const struct option_spec options[] = {
	{"signal", 0, OPTION_STRING, "SIGNAL", offsetof(struct options, signal),
		"the signal, by name or number; default: KILL"},
	{"label", 'l', OPTION_LIST, "KEY=VALUE", offsetof(struct options, labels),
		"act on the sandboxes with this label that run"},
	{NULL},
};

static int act(
	struct monocore *mc, const char *name, const void *given, int *value, struct monocore_error *err)
{
	(void)value;
	return monocore_kill(mc, name, *(const int *)given, err);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	int number;
	struct bulk bulk = {.act = act, .options = &number, .states = STATES_ALIVE, .labels = o->labels};
	struct error err;

	if (signal_parse(o->signal, "--signal", &number, &err) < 0)
		return cli_complain(cli, &err);
	return bulk_run(cli, &bulk, count, words);
}

const struct command kill_command = {
	.name = "kill",
	.arguments = "NAME...",
	.summary = "send a signal to the command of sandboxes",
	.examples = "monocore kill --signal HUP web",
	.options = options,
	.size = sizeof(struct options),
	.defaults = &defaults,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_SANDBOXES,
};
