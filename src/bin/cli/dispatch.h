/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "bin/cli/command.h"

/* Parses argv[1…] for the command and runs it, or the child that is named. Returns the exit status. */
int command_dispatch(struct cli *cli, const struct command *command, const char *path, int argc, char **argv);
