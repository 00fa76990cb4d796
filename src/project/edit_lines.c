/* SPDX-License-Identifier: Apache-2.0 */
#include "project/edit_lines.h"

#include <string.h>

#define BOM "\xef\xbb\xbf"

struct edit_text edit_text_of(const void *bytes, size_t n)
{
	const char *end = memchr(bytes, '\n', n);

	return (struct edit_text){.bytes = bytes,
		.size = n,
		.newline = end && end != (const char *)bytes && end[-1] == '\r' ? "\r\n" : "\n"};
}

size_t edit_line_start(const struct edit_text *t, size_t at)
{
	size_t mark = t->size >= 3 && !memcmp(t->bytes, BOM, 3) ? 3 : 0;

	while (at > mark && t->bytes[at - 1] != '\n')
		at--;
	return at;
}

size_t edit_line_next(const struct edit_text *t, size_t at)
{
	const char *end = at < t->size ? memchr(t->bytes + at, '\n', t->size - at) : NULL;

	return end ? (size_t)(end - t->bytes) + 1 : t->size;
}

static size_t skip_spaces(const struct edit_text *t, size_t at)
{
	while (at < t->size && (t->bytes[at] == ' ' || t->bytes[at] == '\t'))
		at++;
	return at;
}

bool edit_line_indent(const struct edit_text *t, size_t at, size_t *indent)
{
	size_t start = edit_line_start(t, at);

	*indent = at - start;
	return skip_spaces(t, start) >= at;
}

bool edit_line_blank(const struct edit_text *t, size_t start)
{
	size_t at = skip_spaces(t, start);

	return at == t->size || t->bytes[at] == '\n' || t->bytes[at] == '\r';
}

bool edit_line_comment(const struct edit_text *t, size_t start, size_t *indent)
{
	size_t at = skip_spaces(t, start);

	*indent = at - start;
	return at < t->size && t->bytes[at] == '#';
}

size_t edit_skip_blank(const struct edit_text *t, size_t start)
{
	while (start < t->size && edit_line_blank(t, start))
		start = edit_line_next(t, start);
	return start;
}

size_t edit_skip_comments(const struct edit_text *t, size_t start, size_t indent)
{
	for (;;) {
		size_t at = edit_skip_blank(t, start), found;

		if (at >= t->size || !edit_line_comment(t, at, &found) || found < indent)
			return start;
		start = edit_line_next(t, at);
	}
}

size_t edit_skip_space(const struct edit_text *t, size_t at)
{
	while (at < t->size && strchr(" \t\r\n#", t->bytes[at]) && t->bytes[at])
		at = t->bytes[at] == '#' ? edit_line_next(t, at) : at + 1;
	return at;
}
