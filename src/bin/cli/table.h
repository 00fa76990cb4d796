/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of cells, printed as columns that are as wide as their widest cell. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"

#define TABLE_COLUMNS_MOST 12

enum colour { COLOUR_NONE, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_RED, COLOUR_DIM };

struct table_cell {
	char *text;
	enum colour colour;
};

struct table {
	size_t columns, rows;
	struct table_cell *cells; /* rows x columns */
	bool failed;              /* memory ran out; checked by table_print() */
};

/* A row of `columns` cells, each to be set by table_cell(). */
void table_row(struct table *t);

/* Sets a cell of the last row to a copy of text, control bytes as '?', cut at `most` columns with "..."
 * (0: never cut). */
void table_cell(struct table *t, size_t column, const char *text, size_t most, enum colour colour);

/* A row of titles, one for each column. */
void table_titles(struct table *t, const char *const *titles);

int table_print(const struct table *t, FILE *out, bool colours, struct error *err);
void table_free(struct table *t);

/* Columns that a text takes on a terminal: one for each character, two for wide ones (in the locale). */
size_t table_width(const char *text);

/* The escape sequence that starts a colour, "" for none; table_colour(COLOUR_NONE) ends it. */
const char *table_colour(enum colour colour);
