/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to somebody at a terminal, and secrets from standard input. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

/* Asks on standard error and reads a line from standard input, which is a terminal; hidden: it is not shown
 * as it is typed. The caller frees *answer (secret_free). CLOSED where there is none. */
int prompt_line(const char *question, bool hidden, char **answer, struct error *err);

/* All of standard input without the newline at its end: LIMIT past 64 KiB, INVALID where it is empty or holds
 * a NUL. */
int prompt_secret_from_stdin(const char *what, char **secret, struct error *err);
