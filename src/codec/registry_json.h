/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What registries answer with, besides images: tokens, errors, lists, search results. The bytes are a
 * server's: sizes and counts are bounded, and whatever may be shown or sent on is of harmless characters.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define REGISTRY_JSON_MAX  (8u << 20) /* bytes of one document */
#define REGISTRY_LIST_MAX  200000u    /* names in one list */
#define REGISTRY_TOKEN_MAX 65536u     /* bytes of a token */

/* An answer of a token server: distribution's "Token Authentication Specification", or OAuth 2 (RFC 6749
 * §5.1). Of "token" and "access_token" the first counts where both are there. */
struct registry_token {
	char *token;         /* visible ASCII, never empty */
	char *refresh_token; /* the same, or "" */
	uint64_t lifetime;   /* seconds from issued_at on; 60 where not said, as the specification has it */
	uint64_t issued_at; /* seconds since 1970; 0 where not said (or not readable): when the answer came */
};
void registry_token_free(struct registry_token *t); /* overwrites both tokens first */
int registry_token_parse(const void *json, size_t n, struct registry_token *t, struct error *err);

/*
 * What a server says about its refusal, in one short line: the errors of distribution-spec v1.1 ("Error
 * Codes"), OAuth 2 (RFC 6749 §5.2), the words that other JSON has for it, the title or the first words of
 * HTML, the first words of plain text; "" where the body says nothing that can be read. Never fails.
 */
struct registry_failure {
	char code[48];  /* "MANIFEST_UNKNOWN": the first error's, of upper-case letters and '_'; or "" */
	char text[400]; /* "manifest unknown", "authentication required (UNAUTHORIZED)" */
};
void registry_failure_parse(const void *body, size_t n, struct registry_failure *f);

/* {"name", "tags"}: a NULL-terminated list that the caller frees (text_list_free), empty where tags is null;
 * each tag keeps the grammar of tags. Errors: INVALID, LIMIT, NO_MEMORY. */
int registry_tags_parse(const void *json, size_t n, char ***tags, struct error *err);

/* {"repositories"}: the same with names of repositories. */
int registry_catalog_parse(const void *json, size_t n, char ***repositories, struct error *err);

/* A page of search results: Docker Hub's /v1/search (which docker asks) or Quay's /api/v1/find/repositories.
 */
struct registry_found {
	char *name;        /* as it is pulled: "alpine", "acme/x" */
	char *description; /* one line of harmless characters, or "" */
	uint64_t stars;
	bool official;
};
struct registry_search {
	struct registry_found *list;
	size_t count;
	bool more; /* there is a further page */
};
void registry_search_free(struct registry_search *s);
int registry_search_parse(const void *json, size_t n, struct registry_search *s, struct error *err);
