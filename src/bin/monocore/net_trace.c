/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/monocore/nets.h"
#include "bin/monocore/output.h"

/* Lines hold what a guest has chosen: names that it asked for. */
static int print_line(void *context, const char *text)
{
	(void)context;
	for (; *text; text++)
		putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
	putchar('\n');
	return fflush(stdout) != 0;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct monocore_error err;

	(void)given;
	(void)count;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_network_trace(cli->mc, words[0], print_line, NULL, &err) < 0)
		return cli_fail(cli, &err);
	return output_finish();
}

const struct command net_trace_command = {
	.name = "trace",
	.arguments = "NAME",
	.summary = "follow the verdicts on what a sandbox wants to reach",
	.help = "A line for each new connection, with the rule that decided, until the sandbox stops.",
	.examples = "monocore net trace web",
	.least = 1,
	.most = 1,
	.run = run,
	.words = WORDS_SANDBOXES,
};
