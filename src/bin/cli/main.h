/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "bin/cli/command.h"

/* What main() of each program is but for what it has of its own. Returns the exit status. */
int cli_main(struct cli *cli, int argc, char **argv);
