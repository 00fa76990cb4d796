/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"

struct options {
	bool read_only;
};

static const struct option_spec options[] = {
	{"read-only", 0, OPTION_FLAG, NULL, offsetof(struct options, read_only), "nothing can be changed"},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_error err;

	(void)count;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_fs_mount(cli->mc, words[0], words[1], o->read_only, &err) < 0)
		return cli_fail(cli, &err);
	return 0;
}

static const struct command mount_command = {
	.name = "mount",
	.arguments = "SOURCE DIR",
	.summary = "mount a directory of this host on another, by the file system that serves volumes",
	.help = "The mount stands until 'fusermount3 -u DIR'. What other programs do to SOURCE shows within "
		"a second.",
	.examples = "monocore fs mount ./src ./view\nfusermount3 -u ./view",
	.options = options,
	.size = sizeof(struct options),
	.least = 2,
	.most = 2,
	.run = run,
	.words = WORDS_FILES,
};

static const struct command *const children[] = {&mount_command, NULL};

const struct command fs_command = {
	.name = "fs",
	.summary = "try the file systems of monocore",
	.children = children,
	.group = GROUP_HOST,
};
