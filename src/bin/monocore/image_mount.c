/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/images.h"
#include "bin/monocore/output.h"

struct options {
	const char *platform;
};

static const struct option_spec options[] = {
	{"platform", 0, OPTION_STRING, "OS/ARCH", offsetof(struct options, platform),
		"which of the image's platforms; default: this host's"},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_error err;

	(void)count;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_image_mount(cli->mc, words[0], o->platform, words[1], &err) < 0)
		return cli_fail(cli, &err);
	return 0;
}

const struct command image_mount_command = {
	.name = "mount",
	.arguments = "IMAGE DIR",
	.summary = "mount an image's files on a directory of this host, read-only",
	.help = "The mount stands until 'fusermount3 -u DIR', and keeps the image from being removed as "
		"long.",
	.examples = "monocore image mount debian:12 ./files\nfusermount3 -u ./files",
	.options = options,
	.size = sizeof(struct options),
	.least = 2,
	.most = 2,
	.run = run,
	.group = GROUP_IMAGES,
};
