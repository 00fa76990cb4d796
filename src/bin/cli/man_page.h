/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "bin/cli/command.h"

/* What `man DIR` does (struct command): a page of the program, and of each of its verbs with what is below
 * it, as scdoc(5) has them, into a directory. */
int man_run(struct cli *cli, const void *options, int count, char **words);
