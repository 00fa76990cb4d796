/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/fs.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"

struct options {
	char **lowers;
	bool read_only;
};

static const struct option_spec options[] = {
	{"lower", 0, OPTION_LIST, "DIR", offsetof(struct options, lowers),
		"mount the union of SOURCE and this directory below it, which is not changed; several: the "
		"topmost "
		"first"},
	{"read-only", 0, OPTION_FLAG, NULL, offsetof(struct options, read_only), "nothing can be changed"},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_fs_mount_options m = MONOCORE_FS_MOUNT_OPTIONS_INIT;
	struct monocore_error err;

	(void)count;
	if (cli_open(cli) < 0)
		return 1;
	m.read_only = o->read_only;
	m.lowers = (const char *const *)o->lowers;
	if (monocore_fs_mount(cli->mc, words[0], words[1], &m, &err) < 0)
		return cli_fail(cli, &err);
	return 0;
}

static const struct command mount_command = {
	.name = "mount",
	.arguments = "SOURCE DIR",
	.summary = "mount a directory of this host on another, by the file systems that serve volumes",
	.help = "The mount stands until 'fusermount3 -u DIR'. What other programs do to SOURCE shows within "
		"a second. With --lower, DIR has what is in SOURCE and in the directories below it, all "
		"changes go to SOURCE, and what is removed is marked there as in a layer of an image; leave "
		"these directories alone as long as it is mounted. SOURCE/.wh..wh.work is the union's own.",
	.examples = "monocore fs mount ./src ./view\nmonocore fs mount --lower ./base ./changes ./view\n"
		    "fusermount3 -u ./view",
	.options = options,
	.size = sizeof(struct options),
	.least = 2,
	.most = 2,
	.run = run,
	.words = WORDS_FILES,
};

static const struct command *const children[] = {&mount_command, &fs_serve_command, NULL};

const struct command fs_command = {
	.name = "fs",
	.summary = "mount and serve directories by the file systems of monocore",
	.children = children,
	.group = GROUP_HOST,
};
