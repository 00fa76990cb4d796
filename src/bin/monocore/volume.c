/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/verbs.h"
#include "bin/monocore/volumes.h"

static const struct command *const children[] = {
	&volume_ls_command,
	&volume_inspect_command,
	&volume_rm_command,
	&volume_diff_command,
	&volume_apply_command,
	&volume_discard_command,
	NULL,
};

const struct command volume_command = {
	.name = "volume",
	.summary = "list, inspect and remove volumes; see, apply and discard what is staged",
	.help = "A volume is a directory that monocore keeps for sandboxes, and that outlives them. It is "
		"made at its "
		"first use: monocore tmp -v NAME:PATH.\n\n"
		"What a sandbox writes to a staged volume, monocore tmp -v ./src:/app:stage, stays in the "
		"sandbox "
		"until it is applied.",
	.children = children,
};
