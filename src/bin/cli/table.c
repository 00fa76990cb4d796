/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/cli/table.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/cleanup.h"

/* Bytes and columns of the character at text. A byte that begins none counts as one column. */
static size_t next_character(const char *text, size_t *columns)
{
	mbstate_t state = {0};
	wchar_t wide;
	size_t n = mbrtowc(&wide, text, strlen(text), &state);
	int width;

	*columns = 1;
	if (n == 0 || n > strlen(text))
		return 1;
	width = wcwidth(wide);
	*columns = width < 0 ? 1 : (size_t)width;
	return n;
}

size_t table_width(const char *text)
{
	size_t width = 0, columns;

	while (*text) {
		text += next_character(text, &columns);
		width += columns;
	}
	return width;
}

static void cut(char *text, size_t most)
{
	size_t at = 0, width = 0, columns;

	if (!most || table_width(text) <= most)
		return;
	for (;;) {
		size_t n = next_character(text + at, &columns);

		if (width + columns + 3 > most)
			break;
		width += columns;
		at += n;
	}
	snprintf(text + at, 4, "...");
}

void table_row(struct table *t)
{
	struct table_cell *grown;

	if (t->failed)
		return;
	grown = reallocarray(t->cells, (t->rows + 1) * t->columns, sizeof *grown);
	if (!grown) {
		t->failed = true;
		return;
	}
	t->cells = grown;
	memset(grown + t->rows * t->columns, 0, t->columns * sizeof *grown);
	t->rows++;
}

void table_cell(struct table *t, size_t column, const char *text, size_t most, enum colour colour)
{
	struct table_cell *cell;

	if (t->failed)
		return;
	cell = &t->cells[(t->rows - 1) * t->columns + column];
	free(cell->text);
	cell->text = malloc(strlen(text) + 4); /* room for "..." */
	if (!cell->text) {
		t->failed = true;
		return;
	}
	memcpy(cell->text, text, strlen(text) + 1);
	cell->colour = colour;
	for (char *p = cell->text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	cut(cell->text, most);
}

const char *table_colour(enum colour colour)
{
	static const char *const sequences[] = {[COLOUR_NONE] = "\033[0m",
		[COLOUR_GREEN] = "\033[32m",
		[COLOUR_YELLOW] = "\033[33m",
		[COLOUR_RED] = "\033[31m",
		[COLOUR_DIM] = "\033[2m"};

	return sequences[colour];
}

static const char *text_of(const struct table *t, size_t row, size_t column)
{
	const char *text = t->cells[row * t->columns + column].text;

	return text ? text : "";
}

static void print_row(const struct table *t, size_t row, const size_t *widths, FILE *out, bool colours)
{
	for (size_t c = 0; c < t->columns; c++) {
		enum colour colour = t->cells[row * t->columns + c].colour;
		const char *text = text_of(t, row, c);

		if (colours && colour)
			fprintf(out, "%s%s%s", table_colour(colour), text, table_colour(COLOUR_NONE));
		else
			fputs(text, out);
		if (c + 1 < t->columns)
			fprintf(out, "%*s", (int)(widths[c] - table_width(text) + 2), "");
	}
	fputc('\n', out);
}

void table_titles(struct table *t, const char *const *titles)
{
	table_row(t);
	for (size_t i = 0; i < t->columns; i++)
		table_cell(t, i, titles[i], 0, COLOUR_NONE);
}

int table_print(const struct table *t, FILE *out, bool colours, struct error *err)
{
	size_t widths[TABLE_COLUMNS_MOST] = {0};

	if (t->failed || t->columns > TABLE_COLUMNS_MOST)
		return error_no_memory(err, "make the table");
	for (size_t r = 0; r < t->rows; r++)
		for (size_t c = 0; c < t->columns; c++)
			if (table_width(text_of(t, r, c)) > widths[c])
				widths[c] = table_width(text_of(t, r, c));
	for (size_t r = 0; r < t->rows; r++)
		print_row(t, r, widths, out, colours);
	return 0;
}

void table_free(struct table *t)
{
	for (size_t i = 0; i < t->rows * t->columns; i++)
		free(t->cells[i].text);
	free(t->cells);
	*t = (struct table){.columns = t->columns};
}
