/* SPDX-License-Identifier: Apache-2.0 */
/* gc and repack: the same call, and what it told. */
#pragma once

#include "bin/cli/command.h"
#include "monofs/check.h"

/* Collects the garbage of the repository that `path` (NULL: ".") means. Returns the exit status. */
int collect_run(struct cli *cli, const char *path, const struct collect_options *o, bool json);
