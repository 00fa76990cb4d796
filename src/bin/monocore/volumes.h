/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of `volume` share. */
#pragma once

#include "bin/monocore/command.h"

extern const struct command volume_ls_command, volume_inspect_command, volume_rm_command;

/* A JSON array of those that are named; NULL: of all. Returns the exit status. */
int volumes_print_json(
	struct cli *cli, const struct monocore_volume_info *list, size_t count, char *const *names);
