/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/monocore/output.h"
#include "bin/monocore/volumes.h"

static int run(struct cli *cli, const void *given, int count, char **words)
{
	int status = 0;

	(void)given;
	if (cli_open(cli) < 0)
		return 1;
	for (int i = 0; i < count; i++) {
		struct monocore_error err;

		if (monocore_volume_remove(cli->mc, words[i], &err) < 0)
			status = cli_fail(cli, &err);
		else
			printf("%s\n", words[i]);
	}
	return output_finish() ? 1 : status;
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
