/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/nets.h"
#include "bin/monocore/output.h"

struct options {
	bool json;
};

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON, as always"},
	{NULL},
};

static int describe(
	struct cli *cli, const void *given, const char *group, char **json, struct monocore_error *err)
{
	(void)given;
	return monocore_network_inspect(cli->mc, group, json, err);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	return cli_open(cli) < 0 ? 1 : output_described(cli, describe, given, count, words);
}

const struct command net_inspect_command = {
	.name = "inspect",
	.arguments = "GROUP...",
	.summary = "show everything about groups: sandboxes, counters, connections",
	.help = "GROUP is a group's name, or that of a sandbox which is in none.",
	.examples = "monocore net inspect backend",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_NONE,
};
