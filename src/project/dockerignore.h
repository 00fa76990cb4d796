/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a .dockerignore leaves out of a build's context (Dockerfile reference, ".dockerignore files"): a
 * pattern a line, of which the last that matches counts; '!' takes back in. '*' and '?' stay within a name,
 * '**' goes over any number of directories; what is below a match matches, too. Pure; time is bounded by the
 * product of the lengths of pattern and path. The same patterns are those of COPY's sources.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define DOCKERIGNORE_MAX (1u << 20) /* bytes */

struct dockerignore {
	struct dockerignore_rule {
		char *pattern; /* without slashes at its ends */
		bool back;     /* '!' */
	} * rules;
	size_t count;
	bool any_back;
};
void dockerignore_free(struct dockerignore *d); /* a zeroed one is fine */

/* Errors: INVALID, with the line; LIMIT. */
int dockerignore_parse(const char *text, size_t n, struct dockerignore *d, struct error *err);

/* Whether a path, relative and without dots, is left out. */
bool dockerignore_match(const struct dockerignore *d, const char *path);

/* Whether all of a path's `n` bytes match a pattern. */
bool dockerignore_pattern(const char *pattern, const char *path, size_t n);
