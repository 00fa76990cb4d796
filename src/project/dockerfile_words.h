/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arguments of a Dockerfile's instructions (Dockerfile reference, "Environment replacement"): words, with
 * quotes and escapes, in which $NAME, ${NAME}, ${NAME:-word}, ${NAME-word}, ${NAME:+word}, ${NAME+word},
 * ${NAME:?word} and ${NAME?word} stand for variables. Pure; what comes out is bounded.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"

struct dockerfile_variables {
	char escape;
	/* The value of a variable, borrowed until the next call; NULL: it is not set. */
	const char *(*find)(void *context, const char *name, size_t n);
	void *context;
};

/* All of text as one word: without its quotes, or (keep_quotes) with them, as a heredoc has it. The caller
 * frees *out. Errors: INVALID, LIMIT. */
int dockerfile_expand(const char *text, const struct dockerfile_variables *v, char **out, struct error *err);
int dockerfile_expand_body(
	const char *text, const struct dockerfile_variables *v, char **out, struct error *err);

/* Its words, each expanded; a NULL-terminated list, the caller's. */
int dockerfile_words(const char *text, const struct dockerfile_variables *v, char ***out, struct error *err);

/* "KEY=value KEY2=value2", or of old "KEY value to the end": a list of "KEY=value". */
int dockerfile_pairs(const char *text, const struct dockerfile_variables *v, char ***out, struct error *err);
