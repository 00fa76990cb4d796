/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/cli/command.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

const struct command *command_find(const struct command *parent, const char *name)
{
	for (const struct command *const *c = parent->children; c && *c; c++)
		if (!strcmp((*c)->name, name))
			return *c;
	return NULL;
}

void command_unknown(const struct program *program, const struct command *parent, const char *path,
	const char *name, struct error *err)
{
	const char *names[128] = {NULL}, *nearest;
	size_t n = 0;

	for (const struct command *const *c = parent->children; *c && n + 1 < ARRAY_SIZE(names); c++)
		if (!(*c)->hidden || (*c)->later)
			names[n++] = (*c)->name;
	nearest = text_nearest(name, names);
	if (nearest)
		error_set(err, ERROR_USAGE, "unknown command '%s'; did you mean '%s'?", name, nearest);
	else
		error_set(err, ERROR_USAGE, "unknown command '%s'; '%s help%s%s' lists those there are", name,
			program->root->name, *path ? " " : "", path);
}

const struct option_spec root_rows[] = {
	{"version", 0, OPTION_FLAG, NULL, offsetof(struct root_options, version), "show the version"},
	{NULL},
};

int command_walk(const struct command *parent, const char *path, command_visitor *visit, void *context)
{
	char below[128];
	int r;

	for (const struct command *const *c = parent->children; c && *c; c++) {
		snprintf(below, sizeof below, "%s%s%s", path, *path ? " " : "", (*c)->name);
		r = visit(context, *c, below);
		if (!r)
			r = command_walk(*c, below, visit, context);
		if (r)
			return r;
	}
	return 0;
}
