/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "bin/cli/command.h"

/* What `completion bash|zsh|fish` does (struct command). */
int completion_run(struct cli *cli, const void *options, int count, char **words);
