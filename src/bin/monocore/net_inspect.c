/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/monocore/nets.h"
#include "bin/monocore/output.h"

struct options {
	bool json;
};

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON, as always"},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct monocore_error err;
	const char *before = "[";
	int status = 0;

	(void)given;
	if (cli_open(cli) < 0)
		return 1;
	for (int i = 0; i < count; i++) {
		char *json;

		if (monocore_network_inspect(cli->mc, words[i], &json, &err) < 0) {
			status = cli_fail(cli, &err);
			continue;
		}
		printf("%s%s", before, json);
		before = ",\n";
		monocore_free(json);
	}
	printf("%s]\n", *before == '[' ? "[" : "");
	return output_finish() || status;
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
	.words = WORDS_SANDBOXES,
};
