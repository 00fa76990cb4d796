/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for all verbs of a program at once. */
#pragma once

#include "bin/cli/command.h"

/* A letter has one meaning in all of them. */
void letters_promise(const struct program *program);

/* Each command and option says what it is; there are more than `least`. */
void help_promise(const struct program *program, size_t least);
