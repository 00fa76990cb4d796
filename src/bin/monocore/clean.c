/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/cli/prompt.h"
#include "bin/monocore/output.h"
#include "bin/monocore/project.h"
#include "bin/monocore/verbs.h"
#include "monocore_observe.h"

struct options {
	bool all, dry_run, force, json;
};

static const struct option_spec options[] = {
	{"all", 'a', OPTION_FLAG, NULL, offsetof(struct options, all),
		"images that no sandbox is made of, too, all steps of builds, and templates that none that "
		"runs was "
		"made of"},
	{"dry-run", 0, OPTION_FLAG, NULL, offsetof(struct options, dry_run),
		"remove nothing, only tell what would go"},
	{"force", 'f', OPTION_FLAG, NULL, offsetof(struct options, force), "ask nothing"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

struct printer {
	const struct cli *cli;
	const struct options *options;
	uint64_t total;
	struct buffer json;
};

static void put_json(struct buffer *b, const struct monocore_cleaned *what, bool removed)
{
	json_put_open(b, '{');
	json_put_key(b, "kind");
	json_put_string(b, what->kind);
	json_put_key(b, "name");
	json_put_string(b, what->name);
	json_put_key(b, "bytes");
	json_put_number(b, (int64_t)what->size);
	json_put_key(b, "removed");
	json_put_bool(b, removed && !what->kept);
	json_put_key(b, "kept");
	json_put_string(b, what->kept);
	json_put_close(b, '}');
}

static void print(void *context, const struct monocore_cleaned *what)
{
	struct printer *p = context;
	char size[32];

	if (!what->kept)
		p->total += what->size;
	if (p->options->json)
		put_json(&p->json, what, !p->options->dry_run);
	else if (what->kept)
		complain("monocore: clean: %s %s is kept: %s", what->kind, what->name, what->kept);
	else if (p->cli->global.quiet)
		printf("%s\n", what->name);
	else
		printf("%-8s  %9s  %s\n", what->kind,
			what->size ? text_human_size(what->size, size, sizeof size) : "", what->name);
}

/* Whatever is not asked about can be had again by starting it. */
static bool is_agreed(const struct options *o, bool project)
{
	char *answer;
	bool yes;

	if (!o->all || o->force || o->dry_run || !isatty(STDIN_FILENO))
		return true;
	fprintf(stderr,
		"This removes %s, all images that no sandbox is made of, of whatever project, and unused "
		"templates.\n",
		project ? "the project's sandboxes that do not run"
			: "all sandboxes that do not run and are of no project");
	if (prompt_line("Go on? [y/N]", false, &answer, NULL) < 0)
		return false;
	yes = !strcasecmp(answer, "y") || !strcasecmp(answer, "yes");
	free(answer);
	return yes;
}

static int clean(struct cli *cli, const struct options *o, const char *const *names)
{
	struct printer p = {.cli = cli, .options = o};
	struct monocore_clean_options what = MONOCORE_CLEAN_OPTIONS_INIT;
	struct monocore_error err;
	char size[32];
	int r, status;

	what.sandboxes = what.templates = true;
	what.names = names;
	what.images = o->all;
	what.dry_run = o->dry_run;
	if (o->json)
		json_put_open(&p.json, '[');
	r = monocore_clean(cli->mc, &what, print, &p, &err);
	if (r < 0)
		status = cli_fail(cli, &err);
	else if (o->json) {
		json_put_close(&p.json, ']');
		status = output_json(cli, &p.json);
	} else {
		if (!cli->global.quiet)
			printf("%s: %s\n", o->dry_run ? "Would be freed" : "Freed",
				text_human_size(p.total, size, sizeof size));
		status = output_finish();
	}
	buffer_free(&p.json);
	return status;
}

/* The project's sandboxes, also of what its file does not have any more. */
static int clean_project(struct cli *cli, const struct options *o, const struct monocore_project *project)
{
	_cleanup_text_list_ char **names = calloc(1, sizeof *names);
	struct monocore_project_component *list;
	struct monocore_error failure;
	struct error err;
	size_t count;
	int r = 0;

	if (monocore_project_status(cli->mc, project, NULL, &list, &count, &failure) < 0)
		return cli_fail(cli, &failure);
	for (size_t i = 0; r == 0 && i < count; i++)
		if (list[i].info)
			r = text_list_add(&names, list[i].info->id, &err);
	monocore_project_status_free(list, count);
	if (r < 0)
		return cli_complain(cli, &err);
	return names && is_agreed(o, true) ? clean(cli, o, (const char *const *)names) : 1;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct monocore_project *project = NULL;
	const struct options *o = given;
	struct error err;
	int status = cli_find_project(cli, &project);

	(void)count;
	(void)words;
	if (status)
		return status;
	if (!project && !o->all) {
		error_set(&err, ERROR_USAGE,
			"there is no monocore.yaml here or above; --all cleans what is of no project");
		return cli_complain(cli, &err);
	}
	if (cli_open(cli) < 0)
		status = 1;
	else if (project)
		status = clean_project(cli, o, project);
	else
		status = is_agreed(o, false) ? clean(cli, o, NULL) : 1;
	monocore_project_close(project);
	return status;
}

const struct command clean_command = {
	.name = "clean",
	.summary = "remove what this project left",
	.help = "That is: sandboxes of the project that do not run, with their disks and logs, also of "
		"components "
		"that its file does not have any more; templates and steps of builds that nothing has used "
		"for 30 days; and what 'build --snapshot' saved of images that are not there any more. "
		"Volumes stay, and so do a sandbox with staged volumes and what 'monocore snapshot' "
		"saved.\n\n"
		"With --all, images that no sandbox is made of go, too, of whatever project, with what was "
		"saved of them, and all steps of builds. Outside of a project "
		"--all is needed, and the sandboxes are those that are of no project. On a terminal --all "
		"asks "
		"first.",
	.examples = "monocore clean --dry-run\nmonocore down && monocore clean --all",
	.options = options,
	.size = sizeof(struct options),
	.run = run,
};
