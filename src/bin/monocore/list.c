/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "bin/cli/json.h"
#include "bin/cli/table.h"
#include "bin/monocore/output.h"
#include "bin/monocore/project.h"
#include "bin/monocore/section.h"
#include "bin/monocore/verbs.h"

CLEANUP_DEFINE(project, struct monocore_project, monocore_project_close);

struct options {
	struct section_options section;
	bool json;
};

static const struct option_spec options[] = {
	SECTION_ROWS(struct options, section),
	{"group", 'g', OPTION_FLAG, NULL, offsetof(struct options, section.group), "groups"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

static const char *const kinds[] = {"sandbox", "build", "group"};

/* What is known of a sandbox that was made. */
static const struct monocore_sandbox_info *info_of(
	const struct monocore_project_component *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!list[i].removed && !strcmp(list[i].name, name))
			return list[i].info;
	return NULL;
}

struct listing {
	struct table table;
	struct buffer json;
	bool names; /* alone */
};

static void put(
	struct listing *l, const struct monocore_project_entry *e, const struct monocore_sandbox_info *i)
{
	const char *state = i ? monocore_state_name(i->state) : "";
	const char *address = i && i->addresses && *i->addresses ? *i->addresses : "";

	if (l->names)
		printf("%s\n", e->name);
	table_row(&l->table);
	table_cell(&l->table, 0, e->name, 0, COLOUR_NONE);
	table_cell(&l->table, 1, kinds[e->section], 0, COLOUR_NONE);
	table_cell(&l->table, 2, *e->image ? e->image : "-", 0, COLOUR_NONE);
	table_cell(&l->table, 3, *state ? state : "-", 0, COLOUR_NONE);
	table_cell(&l->table, 4, *address ? address : "-", 0, COLOUR_NONE);
	json_put_open(&l->json, '{');
	json_put_key(&l->json, "name");
	json_put_string(&l->json, e->name);
	json_put_key(&l->json, "kind");
	json_put_string(&l->json, kinds[e->section]);
	json_put_key(&l->json, "image");
	json_put_string(&l->json, *e->image ? e->image : NULL);
	json_put_key(&l->json, "depends_on");
	json_put_list(&l->json, e->depends_on);
	json_put_key(&l->json, "state");
	json_put_string(&l->json, i ? state : NULL);
	json_put_key(&l->json, "addresses");
	json_put_list(&l->json, i ? i->addresses : NULL);
	json_put_close(&l->json, '}');
}

static int print(struct cli *cli, const struct monocore_project *project,
	enum monocore_project_section section, bool json)
{
	static const char *const titles[] = {"NAME", "KIND", "IMAGE", "STATE", "ADDRESS"};
	struct listing l = {.table = {.columns = ARRAY_SIZE(titles)}, .names = cli->global.quiet && !json};
	struct monocore_project_component *made = NULL;
	struct monocore_project_entry *entries = NULL;
	struct monocore_error err;
	size_t made_count = 0, count = 0;
	int status = 0;

	if (monocore_project_entries(project, &entries, &count, &err) < 0 ||
		monocore_project_status(cli->mc, project, NULL, &made, &made_count, &err) < 0)
		status = cli_fail(cli, &err);
	table_titles(&l.table, titles);
	json_put_open(&l.json, '[');
	for (size_t i = 0; status == 0 && i < count; i++)
		if (section == MONOCORE_SECTION_ANY || section == entries[i].section)
			put(&l, &entries[i],
				entries[i].section == MONOCORE_SECTION_SANDBOXES
					? info_of(made, made_count, entries[i].name)
					: NULL);
	json_put_close(&l.json, ']');
	if (status == 0)
		status = json      ? output_json(cli, &l.json)
			 : l.names ? output_finish()
				   : output_table(cli, &l.table);
	table_free(&l.table);
	buffer_free(&l.json);
	monocore_project_status_free(made, made_count);
	monocore_project_entries_free(entries, count);
	return status;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_(cleanup_project) struct monocore_project *project = NULL;
	enum monocore_project_section section;
	struct error err;
	int status;

	(void)count;
	(void)words;
	if (section_of(&o->section, MONOCORE_SECTION_ANY, &section, &err) < 0)
		return cli_complain(cli, &err);
	status = cli_open_project(cli, &project);
	if (status == 0 && cli_open(cli) < 0)
		status = 1;
	return status ? status : print(cli, project, section, o->json);
}

const struct command list_command = {
	.name = "list",
	.summary = "list the project's components",
	.help = "Shows the sandboxes, builds and groups of the project, those of modules with them: of which "
		"image "
		"each is made and, of a sandbox, its state and address. With --quiet, names alone.",
	.examples = "monocore list\nmonocore list -b --json",
	.options = options,
	.size = sizeof(struct options),
	.run = run,
};
