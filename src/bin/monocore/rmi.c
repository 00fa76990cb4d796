/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/monocore/images.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"

struct options {
	bool force;
};

static const struct option_spec options[] = {
	{"force", 'f', OPTION_FLAG, NULL, offsetof(struct options, force),
		"also where sandboxes are made of it, and all names of an ID"},
	{NULL},
};

static void print(const struct cli *cli, const struct monocore_image_removed *removed)
{
	for (char **n = removed->names; n && *n; n++)
		printf("%s%s\n", cli->global.quiet ? "" : "Untagged: ", *n);
	for (char **d = removed->digests; !cli->global.quiet && d && *d; d++)
		printf("Deleted: %s\n", *d);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	int status = 0;

	if (cli_open(cli) < 0)
		return 1;
	for (int i = 0; i < count; i++) {
		struct monocore_image_removed *removed;
		struct monocore_error err;

		if (monocore_image_remove(cli->mc, words[i], o->force, &removed, &err) < 0) {
			status = cli_fail(cli, &err);
			continue;
		}
		print(cli, removed);
		monocore_image_removed_free(removed);
	}
	return output_finish() ? 1 : status;
}

/* Under both of its names. */
#define REMOVE_COMMAND(own_name) \
	{ \
		.name = own_name, .arguments = "IMAGE...", .summary = "remove images", \
		.help = "IMAGE is a name, NAME@DIGEST, or an id or a start of it. A name goes; when it was " \
			"the " \
			"last one of its image, so does what no other image and no sandbox needs. An image " \
			"that sandboxes are made of is kept unless it has other names, and so is one that " \
			"is " \
			"named by an ID and has several names; with --force the names go, and what " \
			"sandboxes " \
			"use stays until they are removed.", \
		.examples = "monocore rmi alpine:3\nmonocore rmi -f 4f2e", .options = options, \
		.size = sizeof(struct options), .least = 1, .most = WORDS_ANY, .run = run, \
		.words = WORDS_IMAGES, .group = GROUP_IMAGES, \
	}

const struct command rmi_command = REMOVE_COMMAND("rmi");
const struct command image_rm_command = REMOVE_COMMAND("rm");
