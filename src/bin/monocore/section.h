/* SPDX-License-Identifier: Apache-2.0 */
/* Which kind of component a NAME is: -s, -b and -g. */
#pragma once

#include "bin/monocore/command.h"
#include "monocore_project.h"

struct section_options {
	bool sandbox, build, group;
};

/* The rows of -s and -b; that of -g, whose long form is not the same everywhere, stands in each table. */
#define SECTION_ROWS(type, member) \
	{"sandbox", 's', OPTION_FLAG, NULL, offsetof(type, member.sandbox), "sandboxes"}, \
	{ \
		"build", 'b', OPTION_FLAG, NULL, offsetof(type, member.build), "builds" \
	}

/* The section that was said, or `otherwise`. USAGE where several were. */
int section_of(const struct section_options *o, enum monocore_project_section otherwise,
	enum monocore_project_section *section, struct error *err);

/* Has the project's file edited, and tells what is wrong. */
typedef int section_edit_call(const void *context, const char *file, enum monocore_project_section section,
	struct monocore_project_mistakes *mistakes, struct monocore_error *err);
int section_edit(
	struct cli *cli, enum monocore_project_section section, section_edit_call *edit, const void *context);
