/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Variables in text, as compose has them:
 *
 *     ${VAR}                     its value; a mistake where it is not set
 *     ${VAR:-word} ${VAR-word}   word, where it is not set (with ":": or empty)
 *     ${VAR:+word} ${VAR+word}   word, where it is set (and not empty); else nothing
 *     ${VAR:?text} ${VAR?text}   a mistake that says text, where it is not set (or empty)
 *     $$                         a dollar
 *
 * A word may have variables in it. Any other dollar is one: what a shell is to see needs no care but for its
 * own "${".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define INTERPOLATE_MAX   (8u << 20) /* bytes, of all texts of a file */
#define INTERPOLATE_DEPTH 8          /* words in words */

struct interpolation {
	const char *(*get)(void *context, const char *name); /* NULL: not set */
	void *context;
	bool keep_dollars; /* "$$" stays */
	size_t left;       /* bytes that may still come of it; it falls with each text */
};

/* *out is the caller's. Errors: INVALID, LIMIT (*at, which may be NULL, is the byte of text where it is),
 * NO_MEMORY. */
int interpolate(const char *text, struct interpolation *i, char **out, size_t *at, struct error *err);
