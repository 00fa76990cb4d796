/* SPDX-License-Identifier: Apache-2.0 */
/* Names of a project's components in place of those of their sandboxes. */
#pragma once

#include "bin/monocore/command.h"

/* The sandbox that a word means: in a project, what was made of its component of this name, else the sandbox
 * of that name itself. *name is the caller's. Returns 0, or the exit status where that was told. */
int component_sandbox(struct cli *cli, const char *word, char **name);

/* Puts sandboxes in place of the components that a command's words name (struct program). */
int component_words(struct cli *cli, const struct command *command, int count, char **words, char ***names);
