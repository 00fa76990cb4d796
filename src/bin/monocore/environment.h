/* SPDX-License-Identifier: Apache-2.0 */
/* Variables for a process in a sandbox, from --env and --env-file, with docker's rules. */
#pragma once

#include <stddef.h>

#include "base/error.h"

/* Adds what `-e` was given: "KEY=value" as it is; "KEY" with the value it has in our environment, or not at
 * all where it has none. */
int environment_add(char ***list, const char *text, struct error *err);

/* Adds the lines of a file's text: "KEY=value" (no quotes, no expansion), "KEY", comments that start with
 * '#', empty lines. Errors name `name` and the line. */
int environment_parse(char ***list, const char *data, size_t size, const char *name, struct error *err);

/* The list for a process: all of the files in their order, then the variables. *list is NULL-terminated (or
 * NULL) and the caller's. */
int environment_collect(char ***list, char *const *files, char *const *variables, struct error *err);
