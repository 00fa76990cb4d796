/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* The names of the shells that completion_write() knows, NULL-terminated. */
extern const char *const completion_shells[];

/* The completion script for a shell of completion_shells; false: it is none of them. */
bool completion_write(FILE *out, const char *shell);
