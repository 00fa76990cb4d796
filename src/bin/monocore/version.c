/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/cli/version.h"
#include "bin/monocore/self.h"
#include "bin/monocore/verbs.h"

const struct command version_command = {
	.name = "version",
	.summary = "show the version",
	.options = version_rows,
	.size = sizeof(struct version_options),
	.run = version_run,
	.group = GROUP_HOST,
};

const struct command self_version_command = {
	.name = "version",
	.summary = "show the version",
	.options = version_rows,
	.size = sizeof(struct version_options),
	.run = version_run,
	.group = GROUP_HOST,
};
