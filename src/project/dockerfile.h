/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Dockerfile as a list of instructions (Dockerfile reference, "Format"): lines that go on are joined,
 * comments and parser directives are taken out, heredocs stand with the instruction that opens them. What
 * variables stand for is found later (dockerfile_words.h), since that depends on the image at hand. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define DOCKERFILE_MAX              (1u << 20) /* bytes */
#define DOCKERFILE_INSTRUCTIONS_MAX 10000u

/* name, and what it may have: flags (F), a JSON form (J), heredocs (H) */
#define DOCKERFILE_KINDS(X) \
	X(FROM, DOCKERFILE_HAS_FLAGS) \
	X(ARG, 0) \
	X(RUN, DOCKERFILE_HAS_FLAGS | DOCKERFILE_HAS_JSON | DOCKERFILE_HAS_HEREDOCS) \
	X(COPY, DOCKERFILE_HAS_FLAGS | DOCKERFILE_HAS_JSON | DOCKERFILE_HAS_HEREDOCS) \
	X(ADD, DOCKERFILE_HAS_FLAGS | DOCKERFILE_HAS_JSON | DOCKERFILE_HAS_HEREDOCS) \
	X(ENV, 0) \
	X(LABEL, 0) \
	X(WORKDIR, 0) \
	X(USER, 0) \
	X(EXPOSE, 0) \
	X(VOLUME, DOCKERFILE_HAS_JSON) \
	X(CMD, DOCKERFILE_HAS_JSON) \
	X(ENTRYPOINT, DOCKERFILE_HAS_JSON) \
	X(HEALTHCHECK, DOCKERFILE_HAS_FLAGS) \
	X(SHELL, DOCKERFILE_HAS_JSON) \
	X(STOPSIGNAL, 0) \
	X(MAINTAINER, 0) \
	X(ONBUILD, 0)

enum dockerfile_has { DOCKERFILE_HAS_FLAGS = 1, DOCKERFILE_HAS_JSON = 2, DOCKERFILE_HAS_HEREDOCS = 4 };

enum dockerfile_kind {
#define X(name, has) DOCKERFILE_##name,
	DOCKERFILE_KINDS(X)
#undef X
};

const char *dockerfile_kind_name(enum dockerfile_kind kind); /* "RUN" */

struct dockerfile_flag {
	char *name, *value; /* "--from=build": "from", "build"; value NULL: there is no '=' */
};

struct dockerfile_heredoc {
	char *name;
	char *text;  /* its lines; "<<-": without the tabs before them */
	bool expand; /* the name was not quoted: variables stand for their values */
};

struct dockerfile_instruction {
	enum dockerfile_kind kind;
	uint32_t line; /* where it begins, from 1 */
	char *text;    /* behind name and flags, lines joined */
	char **json;   /* the elements of its JSON form; NULL: it has none */
	struct dockerfile_flag *flags;
	size_t flag_count;
	struct dockerfile_heredoc *heredocs;
	size_t heredoc_count;
};

struct dockerfile {
	char escape; /* '\\', or '`' by a directive */
	struct dockerfile_instruction *instructions;
	size_t count;
};
void dockerfile_free(struct dockerfile *d);

/* Errors, with the line: INVALID, and LIMIT where it is too large. That a FROM comes first is checked. */
int dockerfile_parse(const char *text, size_t n, struct dockerfile *d, struct error *err);
