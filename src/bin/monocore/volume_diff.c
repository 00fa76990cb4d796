/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/output.h"
#include "bin/monocore/volumes.h"

struct options {
	bool json;
};

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_volume_change *list;
	const char *const *paths;
	struct monocore_error err;
	const char *sandbox;
	size_t size;

	(void)count;
	volume_words(words, &sandbox, &paths);
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_volume_diff(cli->mc, sandbox, paths, &list, &size, &err) < 0)
		return cli_fail(cli, &err);
	return volume_print_changes(cli, list, size, o->json);
}

const struct command volume_diff_command = {
	.name = "diff",
	.arguments = "[SANDBOX] [PATH]...",
	.summary = "show what a sandbox has changed in its staged volumes",
	.help = VOLUME_WORDS_HELP
	"A line for each path that is not as the host has it: A added, M modified, D deleted, T of another "
	"type. What was deleted with a directory is named file by file. In brackets: names that programs of "
	"the host run, or are led by, without being asked (hooks and configuration of git, .envrc, "
	".vscode, package.json and others), files that become executable, links that lead out of the "
	"volume. CONFLICT: the host has changed the file since the sandbox may have seen it.",
	.examples = "monocore volume diff web\n"
		    "monocore volume diff /app/src --json",
	.options = options,
	.size = sizeof(struct options),
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_SANDBOX,
};
