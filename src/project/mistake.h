/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong in a project's files: all of it, each with its place, and the line that it stands in.
 *
 *     monocore.yaml:12:7: unknown key 'imge'; did you mean 'image'?
 *           imge: python:3.12
 *           ^~~~
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"
#include "project/project.h"

#define MISTAKES_MAX 200 /* those beyond are counted */

struct mistake {
	struct project_place place;
	uint32_t length; /* characters that it is about; at least 1 */
	char *text;      /* one line: what is wrong, and what was expected */
};

struct mistakes {
	struct mistake *list;
	size_t count, more; /* more: those that were not kept */
	struct mistakes_file {
		char *name; /* as it is told to the user */
		char *bytes;
		size_t size;
	} * files;
	size_t file_count;
	bool failed; /* out of memory: something was lost */
};

void mistakes_free(struct mistakes *m);

/* A file that mistakes can be in, from now on by its number, *file. Both are copied. */
int mistakes_file(
	struct mistakes *m, const char *name, const void *bytes, size_t n, uint32_t *file, struct error *err);

void mistake_add(struct mistakes *m, struct project_place place, size_t length, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts them into the order of their places. */
void mistakes_sort(struct mistakes *m);

/* One of them as the three lines above (one, where there is no such line), each with a newline. */
void mistake_format(const struct mistakes *m, const struct mistake *mistake, struct buffer *out);
