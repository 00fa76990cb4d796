/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a text that is edited. Offsets are bytes; a line ends behind its newline. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct edit_text {
	const char *bytes;
	size_t size;
	const char *newline; /* how its lines end: that of the first one, "\n" where there is none */
};

struct edit_text edit_text_of(const void *bytes, size_t n);

size_t edit_line_start(
	const struct edit_text *t, size_t at); /* behind the mark of a file that begins with one */
size_t edit_line_next(const struct edit_text *t, size_t at); /* the start of the next line, or the size */

/* Where a thing starts in its line, if only spaces stand before it. */
bool edit_line_indent(const struct edit_text *t, size_t at, size_t *indent);

bool edit_line_blank(const struct edit_text *t, size_t start); /* also: there is no line */
bool edit_line_comment(const struct edit_text *t, size_t start, size_t *indent);

/* From the start of a line: behind those that are blank, and behind comments that are indented by at least
 * so much, with blank lines before them. */
size_t edit_skip_blank(const struct edit_text *t, size_t start);
size_t edit_skip_comments(const struct edit_text *t, size_t start, size_t indent);

/* In the flow of [] or {}: behind spaces, lines' ends and comments. */
size_t edit_skip_space(const struct edit_text *t, size_t at);
