/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/cli/table.h"
#include "bin/monocore/images.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"
#include "codec/when.h"

#define CREATED_BY_COLUMNS 60
#define COMMENT_COLUMNS    30

struct options {
	const char *platform;
	bool no_trunc, json;
};

static const struct option_spec options[] = {
	{"platform", 0, OPTION_STRING, "OS/ARCH", offsetof(struct options, platform),
		"which of the image's platforms; default: this host's"},
	{"no-trunc", 0, OPTION_FLAG, NULL, offsetof(struct options, no_trunc), "cut nothing"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

static void write_row(
	struct table *t, const struct monocore_image_step *s, const struct options *o, uint64_t now)
{
	char size[32], span[16], digest[SHORT_DIGEST_SIZE];

	table_row(t);
	table_cell(t, 0, o->no_trunc && *s->digest ? s->digest : short_digest(s->digest, digest), 0,
		COLOUR_NONE);
	table_cell(t, 1, s->created ? when_span(now > s->created ? now - s->created : 0, span) : "-", 0,
		COLOUR_NONE);
	table_cell(t, 2, s->created_by, o->no_trunc ? 0 : CREATED_BY_COLUMNS, COLOUR_NONE);
	table_cell(t, 3, text_human_size(s->size, size, sizeof size), 0, COLOUR_NONE);
	table_cell(t, 4, s->comment, o->no_trunc ? 0 : COMMENT_COLUMNS, COLOUR_NONE);
}

static int print_table(
	struct cli *cli, const struct monocore_image_step *list, size_t count, const struct options *o)
{
	static const char *const titles[] = {"LAYER", "AGE", "CREATED BY", "SIZE", "COMMENT"};
	struct table t = {.columns = ARRAY_SIZE(titles)};
	uint64_t now = clock_realtime();

	table_titles(&t, titles);
	for (size_t i = 0; i < count; i++)
		write_row(&t, &list[i], o, now);
	return output_table(cli, &t);
}

static int print_json(struct cli *cli, const struct monocore_image_step *list, size_t count)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '[');
	for (size_t i = 0; i < count; i++) {
		json_put_open(&b, '{');
		json_put_key(&b, "created");
		json_put_time(&b, list[i].created);
		json_put_key(&b, "created_by");
		json_put_string(&b, list[i].created_by);
		json_put_key(&b, "comment");
		json_put_string(&b, list[i].comment);
		json_put_key(&b, "layer");
		json_put_string(&b, *list[i].digest ? list[i].digest : NULL);
		json_put_key(&b, "size");
		json_put_number(&b, (int64_t)list[i].size);
		json_put_close(&b, '}');
	}
	json_put_close(&b, ']');
	return output_json(cli, &b);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_image_step *list;
	struct monocore_error err;
	size_t size;
	int status = 0;

	(void)count;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_image_history(cli->mc, words[0], o->platform, &list, &size, &err) < 0)
		return cli_fail(cli, &err);
	if (o->json)
		status = print_json(cli, list, size);
	else if (!cli->global.quiet)
		status = print_table(cli, list, size, o);
	for (size_t i = 0; cli->global.quiet && !o->json && i < size; i++)
		if (*list[i].digest)
			printf("%s\n", list[i].digest);
	monocore_image_history_free(list, size);
	return output_finish() ? 1 : status;
}

const struct command history_command = {
	.name = "history",
	.arguments = "IMAGE",
	.summary = "show how an image was made",
	.help = "The newest step first, each with the layer that it made, as it is kept. With --quiet, the "
		"layers' digests alone.",
	.examples = "monocore history alpine:3\nmonocore history --no-trunc --json acme/web",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = 1,
	.run = run,
	.words = WORDS_IMAGES,
	.group = GROUP_IMAGES,
};
