/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/output.h"
#include "bin/monocore/volumes.h"

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const char *const *paths;
	struct monocore_error err;
	const char *sandbox;

	(void)given;
	(void)count;
	volume_words(words, &sandbox, &paths);
	if (cli_open(cli) < 0)
		return 1;
	return monocore_volume_discard(cli->mc, sandbox, paths, &err) < 0 ? cli_fail(cli, &err) : 0;
}

const struct command volume_discard_command = {
	.name = "discard",
	.arguments = "[SANDBOX] [PATH]...",
	.summary = "forget what a sandbox has changed in its staged volumes",
	.help = VOLUME_WORDS_HELP
	"The sandbox has there again what this host has. In one that runs, its processes see that at "
	"once.\n\n"
	"A throw-away sandbox (monocore tmp) that has ended is removed once nothing is staged in it.",
	.examples = "monocore volume discard web /app/node_modules",
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_SANDBOX,
};
