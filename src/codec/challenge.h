/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WWW-Authenticate (RFC 9110 §11.6.1): what a server wants to see before it answers. One value may hold
 * several challenges, and an answer several values: each is added to the same list.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"

#define CHALLENGES_MAX 16u /* in all */

enum challenge_scheme { CHALLENGE_OTHER, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
	enum challenge_scheme scheme;
	char *realm, *service, *scope, *error; /* "" where not given; no control characters */
};

struct challenges {
	struct challenge list[CHALLENGES_MAX];
	size_t count;
};
void challenges_free(struct challenges *c); /* a zeroed one is fine */
static inline void cleanup_challenges(struct challenges *c)
{
	challenges_free(c);
}
#define _cleanup_challenges_ __attribute__((cleanup(cleanup_challenges)))

/* Adds the challenges of one value; after an error c is as it was before. Errors: INVALID, LIMIT, NO_MEMORY.
 */
int challenges_add(struct challenges *c, const char *value, size_t n, struct error *err);

/* The first of a scheme, or NULL. */
const struct challenge *challenges_find(const struct challenges *c, enum challenge_scheme scheme);
