/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/monocore/nets.h"
#include "bin/monocore/output.h"

struct options {
	bool json;
};

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct monocore_error err;
	char *json;

	(void)given;
	(void)count;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_network_why(cli->mc, words[0], &json, &err) < 0)
		return cli_fail(cli, &err);
	printf("%s\n", json);
	monocore_free(json);
	return output_finish();
}

const struct command net_why_command = {
	.name = "why",
	.arguments = "NAME",
	.summary = "tell what was denied to a sandbox of late, and why",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = 1,
	.run = run,
	.words = WORDS_SANDBOXES,
};
