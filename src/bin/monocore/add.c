/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/monocore/output.h"
#include "bin/monocore/project.h"
#include "bin/monocore/section.h"
#include "bin/monocore/verbs.h"

struct options {
	struct section_options section;
	const char *image, *ram, *cpus, *disk, *workdir, *shell, *reach, *restart, *env_file, *subnet;
	char **volumes, **ports, **envs, **depends_on, **scripts, **imports, **exports, **groups;
};

#define FIELD(name) offsetof(struct options, name)

/* As the schema has them, which judges what is given. */
static const char *const reaches[] = {"none", "local", "public", "any", NULL};
static const char *const restarts[] = {"no", "on-failure", "always", "unless-stopped", NULL};

static const struct option_spec options[] = {
	SECTION_ROWS(struct options, section),
	{"as-group", 'g', OPTION_FLAG, NULL, FIELD(section.group), "groups"},
	{"image", 0, OPTION_STRING, "IMAGE", FIELD(image),
		"of which it is made: an image's name, a path or the name of a build"},
	{"ram", 0, OPTION_STRING, "SIZE", FIELD(ram), "memory, such as 512M or 1G; a bare number counts MiB"},
	{"cpus", 0, OPTION_STRING, "N", FIELD(cpus), "processors"},
	{"disk", 0, OPTION_STRING, "SIZE", FIELD(disk), "the most that can be written to its disk"},
	{"volume", 'v', OPTION_LIST, "SOURCE:TARGET[:ro]", FIELD(volumes),
		"mount a directory, or a named volume; of a group: NAME:SOURCE"},
	{"port", 'p', OPTION_LIST, "[ADDRESS:]HOST:PORT", FIELD(ports), "publish a port on this host"},
	{"env", 'e', OPTION_LIST, "KEY=VALUE", FIELD(envs), "set a variable"},
	{"env-file", 0, OPTION_STRING, "FILE", FIELD(env_file), "set the variables of FILE"},
	{"depends-on", 0, OPTION_LIST, "NAME", FIELD(depends_on), "what has to run before it"},
	{"workdir", 'w', OPTION_STRING, "DIR", FIELD(workdir), "where its commands run"},
	{"shell", 0, OPTION_STRING, "PATH", FIELD(shell), "what runs its scripts"},
	{"script", 0, OPTION_LIST, "NAME=COMMAND", FIELD(scripts),
		"a script; that of the name start is what runs"},
	{"import", 0, OPTION_LIST, "NAME=PATH", FIELD(imports), "copy in what a build exports by this name"},
	{"export", 0, OPTION_LIST, "NAME=PATH", FIELD(exports),
		"give a file or directory to others by this name"},
	{"group", 0, OPTION_LIST, "GROUP", FIELD(groups), "put the sandbox into a group"},
	{"reach", 0, OPTION_STRING, "REACH", FIELD(reach), "what it may reach", reaches},
	{"restart", 0, OPTION_STRING, "POLICY", FIELD(restart),
		"when it is started again; on-failure:N at most N times", restarts},
	{"subnet", 0, OPTION_STRING, "RANGE", FIELD(subnet), "of a group: its network, such as 10.0.1.0/24"},
	{NULL},
};

/* What was given, as settings; names of pairs are cut out of copies. */
struct settings {
	struct monocore_project_setting *list;
	size_t count;
	char **names;
	bool failed;
};

static void settings_free(struct settings *s)
{
	text_list_free(s->names);
	free(s->list);
}

static void put(struct settings *s, struct monocore_project_setting setting)
{
	struct monocore_project_setting *more = reallocarray(s->list, s->count + 1, sizeof *more);

	s->failed |= !more;
	if (!more)
		return;
	s->list = more;
	s->list[s->count++] = setting;
}

static void put_text(struct settings *s, const char *key, const char *value, bool number)
{
	if (value)
		put(s, (struct monocore_project_setting){.key = key, .value = value, .number = number});
}

static void put_items(struct settings *s, const char *key, char *const *items)
{
	for (; items && *items; items++)
		put(s, (struct monocore_project_setting){.key = key, .value = *items, .list = true});
}

/* NAME=VALUE of a mapping. */
static int put_pairs(struct settings *s, const char *key, char *const *items, char between, struct error *err)
{
	for (; items && *items; items++) {
		const char *at = strchr(*items, between);
		char name[256];

		if (!at || at == *items || (size_t)(at - *items) >= sizeof name)
			return error_set(err, ERROR_USAGE, "expected NAME%cVALUE, got '%s'", between, *items);
		snprintf(name, sizeof name, "%.*s", (int)(at - *items), *items);
		if (text_list_add(&s->names, name, err) < 0)
			return -ERROR_NO_MEMORY;
		put(s, (struct monocore_project_setting){
			       .key = key, .name = s->names[text_list_size(s->names) - 1], .value = at + 1});
	}
	return 0;
}

static int collect(const struct options *o, bool group, struct settings *s, struct error *err)
{
	int r = 0;

	put_text(s, "image", o->image, false);
	put_text(s, "ram", o->ram, true);
	put_text(s, "cpus", o->cpus, true);
	put_text(s, "disk", o->disk, false);
	if (o->subnet)
		put(s, (struct monocore_project_setting){
			       .key = "network", .name = "subnet", .value = o->subnet});
	if (group)
		r = put_pairs(s, "volumes", o->volumes, ':', err);
	else
		put_items(s, "volumes", o->volumes);
	put_items(s, "ports", o->ports);
	put_items(s, "envs", o->envs);
	put_text(s, "env_file", o->env_file, false);
	for (char **g = o->groups; g && *g; g++)
		put(s, (struct monocore_project_setting){.key = "groups", .name = *g});
	put_items(s, "depends_on", o->depends_on);
	put_text(s, "workdir", o->workdir, false);
	put_text(s, "shell", o->shell, false);
	if (r == 0)
		r = put_pairs(s, "scripts", o->scripts, '=', err);
	if (r == 0)
		r = put_pairs(s, "imports", o->imports, '=', err);
	if (r == 0)
		r = put_pairs(s, "exports", o->exports, '=', err);
	put_text(s, "reach", o->reach, false);
	put_text(s, "restart", o->restart, false);
	return r == 0 && s->failed ? error_no_memory(err, "add a component") : r;
}

struct adding {
	char **names;
	const struct settings *settings;
};

static int edit(const void *context, const char *file, enum monocore_project_section section,
	struct monocore_project_mistakes *mistakes, struct monocore_error *err)
{
	const struct adding *a = context;

	return monocore_project_add(file, section, (const char *const *)a->names, a->settings->list,
		a->settings->count, mistakes, err);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_(settings_free) struct settings s = {0};
	const struct adding adding = {words, &s};
	enum monocore_project_section section;
	struct error err;

	(void)count;
	if (section_of(&o->section, MONOCORE_SECTION_SANDBOXES, &section, &err) < 0 ||
		collect(o, section == MONOCORE_SECTION_GROUPS, &s, &err) < 0)
		return cli_complain(cli, &err);
	return section_edit(cli, section, edit, &adding);
}

const struct command add_command = {
	.name = "add",
	.arguments = "NAME...",
	.summary = "add components to the project's file",
	.help = "Adds sandboxes (-s, the default), builds (-b) or groups (-g) of these names behind those "
		"there "
		"are, with what the options say of each. All else in the file stays as it is: comments, "
		"order, "
		"quotes, blank lines. Nothing is written where what would come out is no project, or where "
		"somebody else has changed the file meanwhile.",
	.examples = "monocore add web --image nginx:1.27 -p 8080:80 --depends-on db\n"
		    "monocore add -b app --image python:3.12-slim --script 'start=python app.py'\n"
		    "monocore add -g backend --subnet 10.0.1.0/24",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = WORDS_ANY,
	.run = run,
};
