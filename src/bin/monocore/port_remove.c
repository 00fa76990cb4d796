/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/nets.h"
#include "bin/monocore/output.h"

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct monocore_error err;

	(void)given;
	(void)count;
	if (cli_open(cli) < 0)
		return 1;
	return monocore_ports_remove(cli->mc, words[0], (const char *const *)words + 1, &err) < 0
		       ? cli_fail(cli, &err)
		       : 0;
}

const struct command port_remove_command = {
	.name = "remove",
	.arguments = "NAME [ADDRESS:]PORT[:PORT]...",
	.summary = "lead ports of this host to a sandbox no longer",
	.help = "PORT alone is the host's. Connections that came through it end.",
	.examples = "monocore port remove web 8080",
	.least = 2,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_SANDBOX,
};
