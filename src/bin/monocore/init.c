/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/cli/prompt.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"
#include "monocore_project.h"
#include "os/terminal.h"

struct options {
	bool yes;
};

static const struct option_spec options[] = {
	{"yes", 0, OPTION_FLAG, NULL, offsetof(struct options, yes), "ask nothing and take the defaults"},
	{NULL},
};

struct answers {
	char *image, *script, *memory;
};

static void answers_free(struct answers *a)
{
	free(a->image);
	free(a->script);
	free(a->memory);
}

static int ask(const char *question, const char *otherwise, bool asks, char **answer, struct error *err)
{
	_cleanup_free_ char *line = NULL;
	char text[256];
	int r = 0;

	snprintf(text, sizeof text, "%s [%s]", question, otherwise);
	if (asks)
		r = prompt_line(text, false, &line, err);
	if (r < 0)
		return r;
	*answer = text_copy(line && *line ? line : otherwise, err);
	return *answer ? 0 : -ERROR_NO_MEMORY;
}

static int ask_all(bool asks, struct answers *a, struct error *err)
{
	int r = ask("Image", "docker.io/library/debian:12-slim", asks, &a->image, err);

	if (r == 0)
		r = ask("What it runs", "sleep infinity", asks, &a->script, err);
	return r == 0 ? ask("Memory", "512M", asks, &a->memory, err) : r;
}

static int print_result(struct cli *cli, const char *path)
{
	if (!cli->global.quiet)
		complain("monocore: wrote %s; 'monocore up' starts what is in it", path);
	return 0;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_(answers_free) struct answers a = {0};
	struct monocore_project_init_options init = MONOCORE_PROJECT_INIT_OPTIONS_INIT;
	struct monocore_error failure;
	struct error err;
	char *path;

	if (monocore_project_init_check(count ? words[0] : NULL, &failure) < 0)
		return cli_fail(cli, &failure);
	if (ask_all(!o->yes && terminal_is(STDIN_FILENO) && terminal_is(STDERR_FILENO), &a, &err) < 0)
		return cli_complain(cli, &err);
	init.directory = count ? words[0] : NULL;
	init.image = a.image;
	init.script = a.script;
	init.memory = a.memory;
	if (monocore_project_init(&init, &path, &failure) < 0)
		return cli_fail(cli, &failure);
	print_result(cli, path);
	monocore_free(path);
	return 0;
}

const struct command init_command = {
	.name = "init",
	.arguments = "[DIR]",
	.summary = "write a commented monocore.yaml",
	.help = "Makes a project of the directory, by default the one that we are in; DIR is made where it "
		"is "
		"missing. On a terminal it asks for an image, what is to run in it, and how much memory it "
		"gets; "
		"with --yes, or elsewhere, the defaults are taken. A file that is there is never "
		"overwritten.",
	.examples = "monocore init\nmonocore init shop --yes",
	.options = options,
	.size = sizeof(struct options),
	.most = 1,
	.run = run,
	.words = WORDS_FILES,
};
