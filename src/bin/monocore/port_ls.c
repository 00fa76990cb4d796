/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/cleanup.h"
#include "bin/cli/json.h"
#include "bin/monocore/nets.h"
#include "bin/monocore/output.h"

struct options {
	bool json;
};

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

static int print_json(struct cli *cli, char *const *list)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_list(&b, list);
	return output_json(cli, &b);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_error err;
	char **list;
	int status = 0;

	(void)count;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_ports(cli->mc, words[0], &list, &err) < 0)
		return cli_fail(cli, &err);
	if (o->json)
		status = print_json(cli, list);
	else
		for (char **p = list; *p; p++)
			printf("%s\n", *p);
	monocore_free_strings(list);
	return output_finish() ? 1 : status;
}

const struct command port_ls_command = {
	.name = "ls",
	.arguments = "NAME",
	.summary = "list a sandbox's ports",
	.help = "A line for each: ADDRESS:PORT:PORT/PROTOCOL, the host's port before the sandbox's.",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = 1,
	.run = run,
	.words = WORDS_SANDBOXES,
};
