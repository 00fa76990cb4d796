/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/monocore/nets.h"
#include "bin/monocore/output.h"

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct monocore_error err;
	char **published;

	(void)given;
	(void)count;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_ports_add(cli->mc, words[0], (const char *const *)words + 1, &published, &err) < 0)
		return cli_fail(cli, &err);
	for (char **p = published; *p; p++)
		printf("%s\n", *p);
	monocore_free_strings(published);
	return output_finish();
}

const struct command port_add_command = {
	.name = "add",
	.arguments = "NAME [ADDRESS:][PORT:]PORT...",
	.summary = "lead more ports of this host to a sandbox, also while it runs",
	.help = "PORT may be a range; /udp and ,proxy=2 (a PROXY header, so that the sandbox sees from where "
		"a connection comes) may follow. ADDRESS is 127.0.0.1 where none is given. Where the host's "
		"port is 0, or missing, one that is free is taken. The ports are printed as they are.",
	.examples = "monocore port add web 8080:80 5353:53/udp",
	.least = 2,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_SANDBOX,
};
