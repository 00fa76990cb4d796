/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files of lines of text, the last of which is "check " and, in hex, SHA-256 of all lines before it: so
 * damage is told from everything else. Each line is a word, a space, and the rest.
 */
#pragma once

#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

#define CHECKED_MAX 65536u

/* Replaces the file durably. lines: all but the last; each ends with a newline. */
int checked_write(int directory, const char *name, const struct buffer *lines, struct error *err);

/* Its lines but the last, appended, and a NUL that does not count. Errors: NOT_FOUND, CORRUPT, naming it. */
int checked_read(int directory, const char *name, struct buffer *lines, struct error *err);

/* The rest of the line that begins with this word: its length to *n; NULL where there is none. */
const char *checked_line(const struct buffer *lines, const char *word, size_t *n);

/* The same, as text that fits into out. CORRUPT, naming the word. */
int checked_text(const struct buffer *lines, const char *word, char *out, size_t room, struct error *err);
/* Exactly size bytes that are there in lower-case hex. */
int checked_bytes(const struct buffer *lines, const char *word, void *out, size_t size, struct error *err);
int checked_number(
	const struct buffer *lines, const char *word, uint64_t max, uint64_t *out, struct error *err);
