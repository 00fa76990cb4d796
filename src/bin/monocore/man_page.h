/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdio.h>

#include "bin/monocore/command.h"

/* The man page of a command (with those below it) as scdoc(5) has it. */
void man_write(FILE *out, const struct command *command, const char *path);
