/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdio.h>

#include "bin/monocore/command.h"

/* The help of a command to standard output. Returns the exit status. */
int help_print(const struct command *command, const char *path);

/* The same to any stream, wrapped at `columns`. */
void help_write(FILE *out, const struct command *command, const char *path, unsigned columns);

/* "monocore ps [OPTION]..." without a newline. */
void help_synopsis(FILE *out, const struct command *command, const char *path);
