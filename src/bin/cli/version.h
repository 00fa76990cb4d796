/* SPDX-License-Identifier: Apache-2.0 */
/* `version`, for the table of each program. */
#pragma once

#include "bin/cli/command.h"

int version_print(const struct program *program, bool json); /* returns the exit status */

/* What `version` does, and its options. */
struct version_options {
	bool json;
};
extern const struct option_spec version_rows[];
int version_run(struct cli *cli, const void *options, int count, char **words);
