/* SPDX-License-Identifier: Apache-2.0 */
/* An environment: "KEY=value", each name once, in the order in which they came. What comes later wins. */
#pragma once

#include "base/error.h"
#include "base/map.h"
#include "project/mistake.h"

struct env {
	char **list; /* NULL-terminated once something is in it */
	size_t count, room, bytes;
	struct map names; /* name → 1 + its place */
};

void env_free(struct env *e);

/* The list, handed on; NULL: it is empty. */
char **env_take(struct env *e);

int env_set(struct env *e, const char *name, size_t name_size, const char *value, struct error *err);
int env_set_text(struct env *e, const char *text, struct error *err); /* "KEY=value" */
int env_merge(struct env *e, char *const *list, struct error *err);   /* a list of these; NULL: none */
const char *env_get(const struct env *e, const char *name);           /* the value, or NULL */

/* Whether these bytes can be a variable's name: not empty, without "=", white space and NUL. */
bool env_is_name(const char *name, size_t n);

/*
 * A file of variables, as compose has it: lines "KEY=value" or "export KEY=value"; "#" begins a comment, in a
 * line of its own or behind a space; a value may stand in single quotes, as it is, or in double quotes, where
 * backslash escapes (\n \r \t \" \\ \$); both may go over several lines. "${VAR}" (interpolate.h) is put in
 * its place but in single quotes, from what the file said before, then from `get`. "KEY" alone takes the
 * value that `get` has, if any.
 *
 * What is wrong becomes mistakes in file number `file`. Error: NO_MEMORY.
 */
struct env_source {
	const char *(*get)(void *context, const char *name);
	void *context;
	uint32_t file;
};
int env_parse(const char *bytes, size_t n, const struct env_source *source, struct mistakes *m, struct env *e,
	struct error *err);
