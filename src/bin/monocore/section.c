/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/section.h"

#include "bin/monocore/output.h"
#include "bin/monocore/project.h"

int section_of(const struct section_options *o, enum monocore_project_section otherwise,
	enum monocore_project_section *section, struct error *err)
{
	if (o->sandbox + o->build + o->group > 1)
		return error_set(err, ERROR_USAGE, "one of -s, -b and -g, not several");
	*section = o->sandbox ? MONOCORE_SECTION_SANDBOXES
		   : o->build ? MONOCORE_SECTION_BUILDS
		   : o->group ? MONOCORE_SECTION_GROUPS
			      : otherwise;
	return 0;
}

int section_edit(
	struct cli *cli, enum monocore_project_section section, section_edit_call *edit, const void *context)
{
	struct monocore_project_mistakes mistakes;
	struct monocore_error failure;
	char *file = NULL;
	int status = cli_find_file(cli, &file);

	if (status)
		return status;
	if (edit(context, file, section, &mistakes, &failure) < 0)
		status = cli_fail_project(cli, &mistakes, &failure);
	monocore_free(file);
	return status;
}
