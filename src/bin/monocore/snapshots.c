/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/cli/table.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"
#include "codec/when.h"
#include "monocore_snapshot.h"

#define IMAGE_COLUMNS 40

struct options {
	bool json;
};

static const struct option_spec rows[] = {
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

/* ---- ls ----------------------------------------------------------------------------------------------- */

static int print_table(struct cli *cli, const struct monocore_snapshot_info *list, size_t count)
{
	static const char *const titles[] = {"TAG", "SANDBOX", "IMAGE", "AGE", "MEMORY", "SIZE"};
	struct table t = {.columns = ARRAY_SIZE(titles)};
	uint64_t now = clock_realtime();

	table_titles(&t, titles);
	for (size_t i = 0; i < count; i++) {
		const struct monocore_snapshot_info *s = &list[i];
		char text[32];

		table_row(&t);
		table_cell(&t, 0, s->tag, 0, COLOUR_NONE);
		table_cell(&t, 1, s->sandbox, 0, COLOUR_NONE);
		table_cell(&t, 2, s->image, IMAGE_COLUMNS, COLOUR_NONE);
		table_cell(&t, 3, when_span(now > s->created ? now - s->created : 0, text), 0, COLOUR_NONE);
		table_cell(&t, 4, text_human_size(s->memory, text, sizeof text), 0, COLOUR_NONE);
		table_cell(&t, 5, text_human_size(s->size, text, sizeof text), 0, COLOUR_NONE);
	}
	return output_table(cli, &t);
}

static int print_json(struct cli *cli, const struct monocore_snapshot_info *list, size_t count)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '[');
	for (size_t i = 0; i < count; i++) {
		json_put_open(&b, '{');
		json_put_key(&b, "tag");
		json_put_string(&b, list[i].tag);
		json_put_key(&b, "sandbox");
		json_put_string(&b, list[i].sandbox);
		json_put_key(&b, "image");
		json_put_string(&b, list[i].image);
		json_put_key(&b, "created");
		json_put_time(&b, list[i].created);
		json_put_key(&b, "memory");
		json_put_number(&b, (int64_t)list[i].memory);
		json_put_key(&b, "size");
		json_put_number(&b, (int64_t)list[i].size);
		json_put_close(&b, '}');
	}
	json_put_close(&b, ']');
	return output_json(cli, &b);
}

static int list_run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_snapshot_info *list;
	struct monocore_error err;
	size_t size;
	int status;

	(void)count;
	(void)words;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_snapshots(cli->mc, &list, &size, &err) < 0)
		return cli_fail(cli, &err);
	if (o->json) {
		status = print_json(cli, list, size);
	} else if (cli->global.quiet) {
		for (size_t i = 0; i < size; i++)
			puts(list[i].tag);
		status = output_finish();
	} else {
		status = print_table(cli, list, size);
	}
	monocore_snapshots_free(list, size);
	return status;
}

static const struct command snapshot_ls_command = {
	.name = "ls",
	.summary = "list snapshots",
	.help = "SIZE is what a snapshot holds on this host's disk, some of which it may share with others.",
	.examples = "monocore snapshots ls --json",
	.options = rows,
	.size = sizeof(struct options),
	.run = list_run,
};

/* ---- rm ----------------------------------------------------------------------------------------------- */

static int remove_run(struct cli *cli, const void *given, int count, char **words)
{
	(void)given;
	return cli_each(cli, count, words, monocore_snapshot_remove);
}

static const struct command snapshot_rm_command = {
	.name = "rm",
	.arguments = "TAG...",
	.summary = "remove snapshots",
	.help = "Sandboxes that were brought back from them run on.",
	.examples = "monocore snapshots rm web-1",
	.least = 1,
	.most = WORDS_ANY,
	.run = remove_run,
	.words = WORDS_SNAPSHOTS,
};

static const struct command *const children[] = {&snapshot_ls_command, &snapshot_rm_command, NULL};

const struct command snapshots_command = {
	.name = "snapshots",
	.summary = "list and remove snapshots of sandboxes",
	.help = "'monocore snapshot' makes one of a running sandbox, and 'monocore restore' brings it back.",
	.children = children,
};
