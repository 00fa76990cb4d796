/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/bulk.h"
#include "bin/monocore/verbs.h"

struct options {
	bool force;
	char **labels;
};

static const struct option_spec options[] = {
	{"force", 'f', OPTION_FLAG, NULL, offsetof(struct options, force), "stop those that run, at once"},
	{"label", 'l', OPTION_LIST, "KEY=VALUE", offsetof(struct options, labels),
		"act on the sandboxes with this label"},
	{NULL},
};

static int act(
	struct monocore *mc, const char *name, const void *given, int *value, struct monocore_error *err)
{
	const struct options *o = given;

	(void)value;
	return monocore_remove(mc, name, o->force, err);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct bulk bulk = {.act = act, .options = o, .states = STATES_ALL, .labels = o->labels};

	return bulk_run(cli, &bulk, count, words);
}

const struct command rm_command = {
	.name = "rm",
	.arguments = "NAME...",
	.summary = "remove stopped sandboxes with their disks and logs",
	.examples = "monocore rm -f web\nmonocore rm --label job=nightly",
	.options = options,
	.size = sizeof(struct options),
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_SANDBOXES,
};
