/* SPDX-License-Identifier: Apache-2.0 */
/* A stranger's text, made fit for one line of a terminal. */
#pragma once

#include <stddef.h>

/*
 * Writes bytes into out (size bytes, at least 4, with a NUL) as one line: a run of white space becomes one
 * space, none stands at the ends; what is no UTF-8 (RFC 3629), or a character that drives a terminal, turns
 * the writing's direction or breaks the line, becomes '?'; a text that is too long is cut after a whole
 * character and ends in "...". Returns the number of '?' that it put.
 */
size_t printable_line(const void *bytes, size_t n, char *out, size_t size);
