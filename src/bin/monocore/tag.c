/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct monocore_error err;

	(void)given;
	(void)count;
	if (cli_open(cli) < 0)
		return 1;
	return monocore_image_tag(cli->mc, words[0], words[1], &err) < 0 ? cli_fail(cli, &err) : 0;
}

const struct command tag_command = {
	.name = "tag",
	.arguments = "IMAGE NAME",
	.summary = "give an image another name",
	.help = "NAME leads to IMAGE from now on, whatever it led to before. What it led to is kept while it "
		"has another name or sandboxes are made of it.",
	.examples = "monocore tag alpine:3 localhost:5000/base:1\nmonocore tag 4f2e acme/web:stable",
	.least = 2,
	.most = 2,
	.run = run,
	.words = WORDS_IMAGES,
	.group = GROUP_IMAGES,
};
