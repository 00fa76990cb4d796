/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One repository of one registry, as the OCI Distribution Specification v1.1 has it, with the token
 * authentication of docker (distribution's docs/spec/auth/token.md and oauth.md).
 *
 * Every call may be made by several threads at once; each uses a connection of its own, and they share the
 * token. What fails in passing (no connection, status 429, 500, 502, 503, 504) is tried again, with growing
 * pauses or the one that the server asks for; calls that give out bytes as they come are tried again only
 * before the first byte, so that who calls can go on from where it stands.
 *
 * Credentials go to the registry and to the server of tokens that it names, never further: not to the target
 * of a redirect, not over plain HTTP unless the registry itself is spoken to that way.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "codec/oci_json.h"
#include "oci/credentials.h"
#include "oci/registries.h"

struct registry;

struct registry_options {
	const struct endpoint *endpoint;
	const struct credentials *credentials; /* NULL: those of docker's config.json */
	bool push;                             /* ask for the right to push, too */
	bool login;                            /* ask for a token to keep in place of the password */
	const char *from;                      /* a repository that blobs are mounted from, or NULL */
	const atomic_bool *stop;               /* once true, calls end soon with CLOSED; may be NULL */
};

/* Nothing is sent yet. Options are borrowed for as long as the registry is there. */
int registry_open(const struct registry_options *options, struct registry **r, struct error *err);
void registry_free(struct registry *r);
CLEANUP_DEFINE(registry, struct registry, registry_free);

/* "https://ghcr.io/acme/x": where this really is. Valid as long as the registry, after the first call. */
const char *registry_url(const struct registry *r);

/* ---- manifests ---- */

struct registry_manifest {
	char digest[OCI_DIGEST_SIZE]; /* what the server says (HEAD), or that of the bytes; "" where it says
					 nothing */
	char *media_type;
	uint64_t size;
	struct buffer bytes; /* GET */
};
void registry_manifest_free(struct registry_manifest *m);

/* reference: a tag or a digest. The bytes of a manifest that was asked for by digest have that digest, else
 * CORRUPT. At most OCI_JSON_MAX bytes: LIMIT. NOT_FOUND; DENIED. An answer that is no manifest: INVALID. */
int registry_manifest_get(
	struct registry *r, const char *reference, struct registry_manifest *m, struct error *err);
int registry_manifest_head(
	struct registry *r, const char *reference, struct registry_manifest *m, struct error *err);
/* *subject (may be NULL): the registry said that it knows what this one is about. */
int registry_manifest_put(struct registry *r, const char *reference, const char *media_type,
	const void *bytes, size_t n, bool *subject, struct error *err);

/* Manifests whose subject is `digest`, by the API or by the tag that stands for it; an index with none where
 * the registry has neither. */
int registry_referrers(struct registry *r, const char *digest, struct oci_index *index, struct error *err);

/* ---- blobs ---- */

/* Where a blob is: kept between calls, so that a redirect is asked for once. Zeroed at first. */
struct registry_place {
	char *url;
	bool whole; /* the server gives no ranges */
};
void registry_place_free(struct registry_place *place);

/* Bytes [offset, offset + length) of a blob of `size` bytes, to `write` as they come. A server that gives no
 * ranges is told by place->whole, with UNAVAILABLE, unless offset is 0: then it gives all there is. *again:
 * of a failure, another try may succeed. Errors of write end it. */
int registry_blob_get(struct registry *r, struct registry_place *place, const char *digest, uint64_t offset,
	uint64_t length, uint64_t size,
	int (*write)(void *context, const uint8_t *bytes, size_t n, struct error *err), void *context,
	bool *again, struct error *err);

int registry_blob_has(struct registry *r, const char *digest, bool *has, struct error *err);

/* Takes a blob over from the repository `from` of the same registry. *done: false where the registry would
 * have it uploaded; then *upload (may be NULL) is its upload. */
int registry_blob_mount(
	struct registry *r, const char *digest, const char *from, bool *done, struct error *err);

/* Uploads a blob of `size` bytes from fd in pieces; goes on from where the registry stands after a broken
 * connection. `sent` is called with how many bytes the registry has, and may go back. */
int registry_blob_put(struct registry *r, const char *digest, int fd, uint64_t size,
	void (*sent)(void *context, uint64_t bytes), void *context, struct error *err);

/* ---- lists ---- */

/* Tags of the repository, all pages; a NULL-terminated list, the caller's. */
int registry_tags(struct registry *r, char ***tags, struct error *err);

/* Names of the repositories that the registry has, all pages; the same. */
int registry_catalog(struct registry *r, char ***repositories, struct error *err);

/* Checks credentials at /v2/, for login. A refresh token that the server gives is returned in *identity ("":
 * none), the caller's. DENIED: they are not taken. */
int registry_login(struct registry *r, char **identity, struct error *err);

/* A GET of an absolute path at the registry's host, for searches: JSON of at most `limit` bytes. */
int registry_get(struct registry *r, const char *path, size_t limit, struct buffer *out, struct error *err);
