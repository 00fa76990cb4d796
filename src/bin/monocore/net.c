/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/nets.h"
#include "bin/monocore/verbs.h"

static const struct command *const children[] = {
	&net_ls_command,
	&net_inspect_command,
	&net_policy_command,
	&net_trace_command,
	&net_why_command,
	NULL,
};

const struct command net_command = {
	.name = "net",
	.summary = "list and inspect networks; see and change what a sandbox may reach, and why not",
	.help = "Sandboxes of a group (monocore tmp --group NAME) are on one network, and see each other by "
		"name; a sandbox that names none is alone on its own.",
	.children = children,
};
