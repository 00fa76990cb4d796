/* SPDX-License-Identifier: Apache-2.0 */
/* What reading a Dockerfile and turning its instructions into steps share. */
#pragma once

#include "lib/build.h"

/* The value of "NAME=value" in a list, or NULL. */
const char *build_find_in(char *const *list, const char *name, size_t n);

/* An ARG: what the build was given for it, else what it says itself, else a value in `otherwise`. */
int build_set_argument(
	struct build *b, const char *word, char *const *otherwise, char ***list, struct error *err);

/* By its name or number, among the first `count`. */
bool build_find_stage(const struct build *b, const char *name, size_t count, size_t *stage);

/* The value of a flag, or NULL; and whether there are others than those that are known. */
const char *build_flag(const struct dockerfile_instruction *i, const char *name);
int build_check_flags(const struct dockerfile_instruction *i, const char *const *known, struct error *err);

/* Puts the instruction's line before an error. */
int build_at_line(const struct dockerfile_instruction *i, struct error *err);
