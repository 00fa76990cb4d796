/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines for a shell in which there is nothing for it to do: words, of which the first is a program. A shell
 * that is given one replaces itself by the program; to load it first takes as long as the program itself,
 * where the machine is emulated. Perl's exec and GNU make leave it out by the same rule.
 */
#pragma once

#include <stdbool.h>

#define BARE_LINE_MAX  4096u /* bytes, with the NUL */
#define BARE_WORDS_MAX 64u

struct bare_line {
	char text[BARE_LINE_MAX];
	char *argv[BARE_WORDS_MAX + 1];
};

/* True: argv is {"/bin/sh", "-c", LINE} where LINE is such a line, and env has nothing that changes what its
 * words are; *line has them. It stays where it is: argv points into it. */
bool bare_line(char *const *argv, char *const *env, struct bare_line *line);
