/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/output.h"
#include "bin/monocore/project.h"
#include "bin/monocore/section.h"
#include "bin/monocore/verbs.h"

struct options {
	struct section_options section;
	bool force;
};

static const struct option_spec options[] = {
	SECTION_ROWS(struct options, section),
	{"group", 'g', OPTION_FLAG, NULL, offsetof(struct options, section.group), "groups"},
	{"force", 'f', OPTION_FLAG, NULL, offsetof(struct options, force),
		"also where others need it: what is left may then have mistakes"},
	{NULL},
};

struct removing {
	char **names;
	bool force;
};

static int edit(const void *context, const char *file, enum monocore_project_section section,
	struct monocore_project_mistakes *mistakes, struct monocore_error *err)
{
	const struct removing *r = context;

	return monocore_project_remove(file, section, (const char *const *)r->names, r->force, mistakes, err);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	const struct removing removing = {words, o->force};
	enum monocore_project_section section;
	struct error err;

	(void)count;
	if (section_of(&o->section, MONOCORE_SECTION_ANY, &section, &err) < 0)
		return cli_complain(cli, &err);
	return section_edit(cli, section, edit, &removing);
}

const struct command remove_command = {
	.name = "remove",
	.arguments = "NAME...",
	.summary = "remove components from the project's file",
	.help = "Removes the sandboxes, builds or groups of these names from the file, with the comments "
		"within "
		"them; all else in it stays as it is. Where a name is more than one kind of thing, -s, -b or "
		"-g "
		"says which. What others need is not removed, unless they go along, or with --force. What "
		"runs "
		"goes on: apply stops it.",
	.examples = "monocore remove web\nmonocore remove -b app --force",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_PARTS,
};
