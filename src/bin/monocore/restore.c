/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/cli/progress.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"
#include "monocore_snapshot.h"

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct monocore_error err;

	(void)given;
	(void)count;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_restore(cli->mc, words[0], words[1], &err) < 0)
		return cli_fail(cli, &err);
	progress_clear(cli->progress);
	puts(words[1]);
	return output_finish();
}

const struct command restore_command = {
	.name = "restore",
	.arguments = "TAG NAME",
	.summary = "bring a snapshot back to life",
	.help = "A new sandbox NAME goes on where the snapshot TAG was made: its processes with their "
		"memory, on a copy "
		"of its disk. It has a host name, addresses, a clock and random numbers of its own, and the "
		"same "
		"published ports; connections over the network that were open are gone. Where anything of "
		"the "
		"snapshot is missing, or this host is not like the one that it was made on, nothing is "
		"started.",
	.examples = "monocore restore web-1 web2",
	.least = 2,
	.most = 2,
	.run = run,
	.words = WORDS_SNAPSHOT,
};
