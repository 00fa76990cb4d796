/* SPDX-License-Identifier: Apache-2.0 */
#include "project/mistake.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/printable.h"

#define TEXT_MAX    900
#define SHOWN       100 /* characters of a line */
#define SHOWN_LEFT  60  /* of them before what it is about, where the line is longer */
#define INDENTATION "    "

void mistakes_free(struct mistakes *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->list[i].text);
	for (size_t i = 0; i < m->file_count; i++) {
		free(m->files[i].name);
		free(m->files[i].bytes);
	}
	free(m->list);
	free(m->files);
	*m = (struct mistakes){0};
}

int mistakes_file(
	struct mistakes *m, const char *name, const void *bytes, size_t n, uint32_t *file, struct error *err)
{
	struct mistakes_file *grown = realloc(m->files, (m->file_count + 1) * sizeof *grown);
	struct mistakes_file made = {.size = n};

	if (!grown)
		return error_no_memory(err, "read a file");
	m->files = grown;
	made.name = text_copy(name, err);
	made.bytes = made.name ? text_copy_bytes(n ? bytes : "", n, err) : NULL;
	if (!made.bytes) {
		free(made.name);
		return -ERROR_NO_MEMORY;
	}
	*file = (uint32_t)m->file_count;
	m->files[m->file_count++] = made;
	return 0;
}

void mistake_add(struct mistakes *m, struct project_place place, size_t length, const char *format, ...)
{
	char text[TEXT_MAX * 2], line[TEXT_MAX];
	struct mistake *grown;
	va_list args;
	int n;

	if (m->count >= MISTAKES_MAX) {
		m->more++;
		return;
	}
	va_start(args, format);
	n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	printable_line(text, n < 0 ? 0 : strlen(text), line, sizeof line);
	grown = realloc(m->list, (m->count + 1) * sizeof *grown);
	if (grown) {
		m->list = grown;
		grown[m->count] = (struct mistake){.place = place,
			.length = length ? (uint32_t)(length > SHOWN ? SHOWN : length) : 1,
			.text = text_copy(line, NULL)};
	}
	if (!grown || !grown[m->count].text)
		m->failed = true;
	else
		m->count++;
}

static int compare_u32(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_places(const struct project_place *a, const struct project_place *b)
{
	int r = compare_u32(a->file, b->file);

	if (!r)
		r = compare_u32(a->line, b->line);
	return r ? r : compare_u32(a->column, b->column);
}

/* By insertion: there are few, they are nearly in order, and those of one place stay as they came. */
void mistakes_sort(struct mistakes *m)
{
	for (size_t i = 1; i < m->count; i++) {
		struct mistake moved = m->list[i];
		size_t at = i;

		for (; at && compare_places(&moved.place, &m->list[at - 1].place) < 0; at--)
			m->list[at] = m->list[at - 1];
		m->list[at] = moved;
	}
}

/* Bytes of the line break at p, as YAML 1.1 and libyaml have them; 0: none. */
static size_t line_break(const char *p, const char *end)
{
	if (*p == '\r')
		return p + 1 < end && p[1] == '\n' ? 2 : 1;
	if (*p == '\n')
		return 1;
	if (end - p >= 2 && !memcmp(p, "\xc2\x85", 2))
		return 2;
	if (end - p >= 3 && (!memcmp(p, "\xe2\x80\xa8", 3) || !memcmp(p, "\xe2\x80\xa9", 3)))
		return 3;
	return 0;
}

static const char *find_line(const struct mistakes_file *file, uint32_t line, size_t *n)
{
	const char *p = file->bytes, *end = p + file->size, *start = p;
	uint32_t at = 1;

	if (file->size >= 3 && !memcmp(p, "\xef\xbb\xbf", 3))
		start = p += 3;
	while (p < end) {
		size_t width = line_break(p, end);

		if (width && at == line)
			break;
		if (width) {
			at++;
			start = p + width;
		}
		p += width ? width : 1;
	}
	*n = (size_t)(p - start);
	return at == line ? start : NULL;
}

/* The first byte behind the character at p. */
static const char *next_character(const char *p, const char *end)
{
	do
		p++;
	while (p < end && ((unsigned char)*p & 0xc0) == 0x80);
	return p;
}

/* One character as the terminal may have it; what drives it becomes '?'. */
static void put_character(struct buffer *out, const char *p, size_t n)
{
	char line[16];

	if (*p == ' ' || *p == '\t')
		buffer_u8(out, ' ');
	else if (printable_line(p, n < 8 ? n : 8, line, sizeof line) || !*line)
		buffer_u8(out, '?');
	else
		buffer_append(out, p, n);
}

/* The line, and one that points at `length` characters of it. */
static void put_excerpt(struct buffer *out, const char *line, size_t n, uint32_t column, uint32_t length)
{
	const char *end = line + n, *next;
	uint32_t first = column > SHOWN_LEFT ? column - SHOWN_LEFT / 2 : 1, at = 1, last = column;

	buffer_append_text(out, INDENTATION);
	for (const char *p = line; p < end && at < first + SHOWN; p = next, at++) {
		next = next_character(p, end);
		if (at >= first)
			put_character(out, p, (size_t)(next - p));
		if (at >= column && at < column + length)
			last = at;
	}
	buffer_append_text(out, "\n" INDENTATION);
	for (at = first; at < column; at++)
		buffer_u8(out, ' ');
	buffer_u8(out, '^');
	for (; at < last; at++)
		buffer_u8(out, '~');
	buffer_u8(out, '\n');
}

void mistake_format(const struct mistakes *m, const struct mistake *mistake, struct buffer *out)
{
	const struct project_place *place = &mistake->place;
	const struct mistakes_file *file = place->file < m->file_count ? &m->files[place->file] : NULL;
	const char *line;
	size_t n;

	if (file)
		buffer_format(out, "%s:", file->name);
	if (place->line)
		buffer_format(out, "%u:%u:", place->line, place->column);
	buffer_format(out, "%s%s\n", file ? " " : "", mistake->text);
	line = file && place->line ? find_line(file, place->line, &n) : NULL;
	if (line)
		put_excerpt(out, line, n, place->column, mistake->length);
}
