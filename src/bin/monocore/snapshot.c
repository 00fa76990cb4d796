/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/cli/progress.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"
#include "monocore_snapshot.h"

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct monocore_error err;
	char *tag = NULL;

	(void)given;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_snapshot(cli->mc, words[0], count > 1 ? words[1] : NULL, &tag, &err) < 0)
		return cli_fail(cli, &err);
	progress_clear(cli->progress);
	puts(tag);
	monocore_free(tag);
	return output_finish();
}

const struct command snapshot_command = {
	.name = "snapshot",
	.arguments = "SANDBOX [TAG]",
	.summary = "save a running sandbox's memory and disk",
	.help = "SANDBOX is saved as it is at this moment, with the memory of all its processes, and goes "
		"on: it "
		"stands still for a fraction of a second. The snapshot is called TAG, by default the "
		"sandbox's "
		"name and a number; its name is printed. 'monocore restore' brings it back as often as "
		"wanted, and "
		"'monocore snapshots' lists and removes what there is.\n\n"
		"Volumes are not saved: what comes of a snapshot has the same directories, and refuses to "
		"start where one is "
		"not there any more. Sandboxes that booted (--no-template), and those that have staged "
		"volumes, or volumes by "
		"virtiofs or NFS, cannot be saved.",
	.examples = "monocore snapshot web\n"
		    "monocore snapshot web before-upgrade",
	.least = 1,
	.most = 2,
	.run = run,
	.words = WORDS_SANDBOX,
};
