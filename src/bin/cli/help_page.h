/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdio.h>

#include "bin/cli/command.h"

/* The help of a command to standard output. Returns the exit status. */
int help_print(const struct program *program, const struct command *command, const char *path);

/* The same to any stream, wrapped at `columns`. */
void help_write(FILE *out, const struct program *program, const struct command *command, const char *path,
	unsigned columns);

/* "monocore ps [OPTION]..." without a newline. */
void help_synopsis(FILE *out, const struct program *program, const struct command *command, const char *path);

/* What `help [COMMAND]...` does (struct command). */
int help_run(struct cli *cli, const void *options, int count, char **words);
