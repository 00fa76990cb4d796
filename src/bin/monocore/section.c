/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/section.h"

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
