/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/self.h"

#include "bin/monocore/verbs.h"

static const struct command *const children[] = {
	&self_doctor_command,
	&self_kernel_command,
	&self_template_command,
	&self_version_command,
	&self_completion_command,
	&self_complete_names_command,
	&self_man_command,
	&self_schema_command,
	&self_upgrade_command,
	&self_uninstall_command,
	NULL,
};

const struct command self_command = {
	.name = "self",
	.summary = "look after this program and what it needs",
	.children = children,
	.group = GROUP_HOST,
};
