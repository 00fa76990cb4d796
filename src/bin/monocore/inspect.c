/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "bin/monocore/images.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"

struct options {
	bool json;
	const char *type, *platform;
};

static const char *const types[] = {"sandbox", "image", NULL};

#define JSON_ROW \
	{ \
		"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON, as always" \
	}
#define PLATFORM_ROW \
	{ \
		"platform", 0, OPTION_STRING, "OS/ARCH", offsetof(struct options, platform), \
			"which of an image's platforms; default: this host's" \
	}

static const struct option_spec options[] = {
	JSON_ROW,
	{"type", 0, OPTION_CHOICE, "TYPE", offsetof(struct options, type), "what NAME is", types},
	PLATFORM_ROW,
	{NULL},
};

static const struct option_spec image_options[] = {
	JSON_ROW,
	PLATFORM_ROW,
	{NULL},
};

static const struct options image_defaults = {.type = "image"};

static bool is_no_such(const struct monocore_error *err)
{
	return err->code == MONOCORE_NOT_FOUND || err->code == MONOCORE_INVALID;
}

/* An error that says how to go on: "did you mean …", "write more of it". */
static bool says_more(const struct monocore_error *err)
{
	return is_no_such(err) &&
	       (strstr(err->text, "did you mean") || strstr(err->text, "write more of it"));
}

static void choose_error(const char *name, const struct monocore_error *sandbox, struct monocore_error *image)
{
	if (!is_no_such(image) || says_more(image))
		return;
	if (says_more(sandbox)) {
		*image = *sandbox;
		return;
	}
	image->code = MONOCORE_NOT_FOUND;
	snprintf(image->text, sizeof image->text, "there is no sandbox and no image '%s'", name);
}

/* Without a type a sandbox goes first. */
static int describe(
	struct cli *cli, const void *given, const char *name, char **json, struct monocore_error *err)
{
	const struct options *o = given;
	struct monocore_error sandbox;
	int r;

	if (o->type && !strcmp(o->type, "image"))
		return monocore_image_inspect(cli->mc, name, o->platform, json, err);
	r = monocore_inspect(cli->mc, name, json, err);
	if (r == 0 || o->type || !is_no_such(err))
		return r;
	sandbox = *err;
	r = monocore_image_inspect(cli->mc, name, o->platform, json, err);
	if (r < 0)
		choose_error(name, &sandbox, err);
	return r;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	return cli_open(cli) < 0 ? 1 : output_described(cli, describe, given, count, words);
}

const struct command inspect_command = {
	.name = "inspect",
	.arguments = "NAME...",
	.summary = "show everything about sandboxes and images",
	.help = "Prints a JSON array with an object for each sandbox or image. Where a sandbox and an image "
		"have "
		"the same name, the sandbox is meant; --type says otherwise. What docker tells about an "
		"image "
		"is where docker has it; beside it Source is where it was pulled from, Target what its name "
		"leads to, Platforms those that are here.",
	.examples = "monocore inspect web\nmonocore inspect --type image alpine:3",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_NAMES,
};

const struct command image_inspect_command = {
	.name = "inspect",
	.arguments = "IMAGE...",
	.summary = "show everything about images",
	.options = image_options,
	.size = sizeof(struct options),
	.defaults = &image_defaults,
	.least = 1,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_IMAGES,
	.group = GROUP_IMAGES,
};
