/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/images.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/cli/table.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"
#include "codec/when.h"

#define NAME_COLUMNS      48
#define PLATFORM_COLUMNS  32
#define SHORT_ID          12
#define DIGEST_START_SIZE sizeof "sha256:" - 1

struct options {
	bool digests, no_trunc, json;
};

static const struct option_spec options[] = {
	{"digests", 0, OPTION_FLAG, NULL, offsetof(struct options, digests),
		"show the digests that names lead to"},
	{"no-trunc", 0, OPTION_FLAG, NULL, offsetof(struct options, no_trunc), "cut nothing"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

const char *short_digest(const char *digest, char out[SHORT_DIGEST_SIZE])
{
	if (!text_starts(digest, "sha256:"))
		return "-";
	snprintf(out, SHORT_DIGEST_SIZE, "%.*s", SHORT_ID, digest + DIGEST_START_SIZE);
	return out;
}

/* ---- which ------------------------------------------------------------------------------------------ */

/* The whole name, or the name without its tag. */
static bool matches_name(const char *name, const char *pattern)
{
	const char *slash = strrchr(name, '/'), *last = slash ? slash : name;
	_cleanup_free_ char *repository =
		text_format(NULL, "%.*s", (int)(last - name) + (int)strcspn(last, ":@"), name);

	return fnmatch(pattern, name, 0) == 0 || (repository && fnmatch(pattern, repository, 0) == 0);
}

static bool is_wanted(const struct monocore_image_info *i, int count, char **patterns)
{
	for (int n = 0; n < count; n++)
		if (matches_name(i->short_name, patterns[n]) || matches_name(i->name, patterns[n]))
			return true;
	return count == 0;
}

/* Moves those that are wanted to the front; returns how many. */
static size_t choose(struct monocore_image_info *list, size_t size, int count, char **patterns)
{
	size_t kept = 0;

	for (size_t i = 0; i < size; i++) {
		struct monocore_image_info t = list[i];

		if (!is_wanted(&t, count, patterns))
			continue;
		memmove(&list[kept + 1], &list[kept], (i - kept) * sizeof *list);
		list[kept++] = t;
	}
	return kept;
}

/* ---- how -------------------------------------------------------------------------------------------- */

static void join(char *const *list, struct buffer *b)
{
	for (size_t i = 0; list[i]; i++)
		buffer_format(b, "%s%s", i ? ", " : "", list[i]);
	if (!list[0])
		buffer_u8(b, '-');
	buffer_u8(b, 0);
}

static void write_row(
	struct table *t, const struct monocore_image_info *i, const struct options *o, uint64_t now)
{
	_cleanup_buffer_ struct buffer platforms = {0};
	char size[32], span[16], id[SHORT_DIGEST_SIZE];
	size_t column = 0;

	join(i->platforms, &platforms);
	table_row(t);
	table_cell(t, column++, i->short_name, o->no_trunc ? 0 : NAME_COLUMNS, COLOUR_NONE);
	table_cell(t, column++, o->no_trunc && *i->id ? i->id : short_digest(i->id, id), 0, COLOUR_NONE);
	if (o->digests)
		table_cell(t, column++, i->digest, 0, COLOUR_NONE);
	table_cell(t, column++, platforms.failed ? "?" : (const char *)platforms.data,
		o->no_trunc ? 0 : PLATFORM_COLUMNS, COLOUR_NONE);
	table_cell(t, column++, i->created ? when_span(now > i->created ? now - i->created : 0, span) : "-",
		0, COLOUR_NONE);
	table_cell(t, column++, text_human_size(i->size, size, sizeof size), 0, COLOUR_NONE);
	table_cell(t, column, i->root_size ? text_human_size(i->root_size, size, sizeof size) : "-", 0,
		COLOUR_NONE);
}

static int print_table(
	struct cli *cli, const struct monocore_image_info *list, size_t count, const struct options *o)
{
	const char *const titles[] = {"NAME", "ID", "DIGEST", "PLATFORM", "AGE", "SIZE", "UNPACKED"};
	struct table t = {.columns = ARRAY_SIZE(titles) - !o->digests};
	uint64_t now = clock_realtime();
	size_t column = 0;

	table_row(&t);
	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		if (o->digests || strcmp(titles[i], "DIGEST") != 0)
			table_cell(&t, column++, titles[i], 0, COLOUR_NONE);
	for (size_t i = 0; i < count; i++)
		write_row(&t, &list[i], o, now);
	return output_table(cli, &t);
}

static void put(struct buffer *b, const char *key, const char *text)
{
	json_put_key(b, key);
	json_put_string(b, text);
}

static void write_json(struct buffer *b, const struct monocore_image_info *i)
{
	json_put_open(b, '{');
	put(b, "name", i->short_name);
	put(b, "full_name", i->name);
	put(b, "id", i->id);
	put(b, "digest", i->digest);
	put(b, "platform", i->platform);
	json_put_key(b, "platforms");
	json_put_list(b, i->platforms);
	put(b, "source", i->source);
	json_put_key(b, "size");
	json_put_number(b, (int64_t)i->size);
	json_put_key(b, "root_size");
	json_put_number(b, (int64_t)i->root_size);
	json_put_key(b, "created");
	json_put_time(b, i->created);
	json_put_key(b, "updated");
	json_put_time(b, i->updated);
	json_put_close(b, '}');
}

static int print_json(struct cli *cli, const struct monocore_image_info *list, size_t count)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '[');
	for (size_t i = 0; i < count; i++)
		write_json(&b, &list[i]);
	json_put_close(&b, ']');
	return output_json(cli, &b);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_image_info *list;
	struct monocore_error err;
	size_t size, kept;
	int status = 0;

	if (cli_open(cli) < 0)
		return 1;
	if (monocore_image_list(cli->mc, &list, &size, &err) < 0)
		return cli_fail(cli, &err);
	kept = choose(list, size, count, words);
	if (o->json)
		status = print_json(cli, list, kept);
	else if (!cli->global.quiet)
		status = print_table(cli, list, kept, o);
	for (size_t i = 0; cli->global.quiet && !o->json && i < kept; i++)
		printf("%s\n", list[i].short_name);
	monocore_image_list_free(list, size);
	return output_finish() ? 1 : status;
}

/* Under both of its names. */
#define LIST_COMMAND(own_name) \
	{ \
		.name = own_name, .arguments = "[NAME...]", .summary = "list the images that are here", \
		.help = "NAME is a name with or without its tag, and may hold * and ?. SIZE is what an " \
			"image's layers take as they are kept, which images share; UNPACKED its root file " \
			"system. ID is the digest of its config, the same for the same content. With " \
			"--quiet, " \
			"names alone.", \
		.examples = "monocore images\nmonocore images 'quay.io/acme/*'\nmonocore images -q", \
		.options = options, .size = sizeof(struct options), .most = WORDS_ANY, .run = run, \
		.words = WORDS_IMAGES, .group = GROUP_IMAGES, \
	}

const struct command images_command = LIST_COMMAND("images");
const struct command image_ls_command = LIST_COMMAND("ls");
