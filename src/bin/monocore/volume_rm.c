/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/output.h"
#include "bin/monocore/volumes.h"

static int run(struct cli *cli, const void *given, int count, char **words)
{
	(void)given;
	return cli_each(cli, count, words, monocore_volume_remove);
}

const struct command volume_rm_command = {
	.name = "rm",
	.arguments = "NAME...",
	.summary = "remove volumes with all that is in them",
	.help = "A volume that a sandbox has, running or not, is in use and stays.",
	.examples = "monocore volume rm data",
	.least = 1,
	.most = WORDS_ANY,
	.run = run,
};
