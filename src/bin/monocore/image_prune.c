/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/monocore/images.h"
#include "bin/monocore/output.h"

struct options {
	bool all, dry_run, force, json;
};

static const struct option_spec options[] = {
	{"all", 'a', OPTION_FLAG, NULL, offsetof(struct options, all),
		"images that no sandbox is made of, too"},
	{"dry-run", 0, OPTION_FLAG, NULL, offsetof(struct options, dry_run),
		"remove nothing, only tell what would go"},
	{"force", 'f', OPTION_FLAG, NULL, offsetof(struct options, force), "as always: nothing is asked"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

static int print_json(const struct monocore_image_removed *removed, bool dry_run)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '{');
	json_put_key(&b, "removed");
	json_put_bool(&b, !dry_run);
	json_put_key(&b, "names");
	json_put_open(&b, '[');
	for (char **n = removed->names; n && *n; n++)
		json_put_string(&b, *n);
	json_put_close(&b, ']');
	json_put_key(&b, "blobs");
	json_put_number(&b, (int64_t)removed->blobs);
	json_put_key(&b, "roots");
	json_put_number(&b, (int64_t)removed->roots);
	json_put_key(&b, "bytes");
	json_put_number(&b, (int64_t)removed->bytes);
	json_put_close(&b, '}');
	buffer_u8(&b, '\n');
	fwrite(b.data, 1, b.size, stdout);
	return b.failed;
}

static void print(const struct cli *cli, const struct monocore_image_removed *removed, bool dry_run)
{
	char size[32];

	for (char **n = removed->names; n && *n; n++)
		printf("%s%s\n", cli->global.quiet ? "" : dry_run ? "Would be untagged: " : "Untagged: ", *n);
	if (!cli->global.quiet)
		printf("%s: %llu layers and documents, %llu root file systems, %s\n",
			dry_run ? "Would be removed" : "Removed", (unsigned long long)removed->blobs,
			(unsigned long long)removed->roots,
			text_human_size(removed->bytes, size, sizeof size));
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct monocore_image_prune_options prune = MONOCORE_IMAGE_PRUNE_OPTIONS_INIT;
	struct monocore_image_removed *removed;
	const struct options *o = given;
	struct monocore_error err;
	int status = 0;

	(void)count;
	(void)words;
	prune.all = o->all;
	prune.dry_run = o->dry_run;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_image_prune(cli->mc, &prune, &removed, &err) < 0)
		return cli_fail(cli, &err);
	if (o->json)
		status = print_json(removed, o->dry_run);
	else
		print(cli, removed, o->dry_run);
	monocore_image_removed_free(removed);
	return output_finish() ? 1 : status;
}

const struct command image_prune_command = {
	.name = "prune",
	.summary = "remove what no image and no sandbox needs",
	.help = "That is: layers of images that were removed or replaced, halves of downloads, and root file "
		"systems. What is in use this moment stays.",
	.examples = "monocore image prune\nmonocore image prune --all --dry-run",
	.options = options,
	.size = sizeof(struct options),
	.run = run,
	.group = GROUP_IMAGES,
};
