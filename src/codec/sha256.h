/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4) over bytes that come in pieces, and the text form that OCI gives a digest:
 * "sha256:" and 64 lower-case hex digits (OCI image specification, "Digests").
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define SHA256_SIZE        32
#define SHA256_HEX_SIZE    65 /* with its NUL */
#define SHA256_DIGEST_SIZE 72 /* "sha256:" + hex, with its NUL */

/* No more than what it holds: a copy of it goes on by itself from where it was. */
struct sha256 {
	uint64_t state[14]; /* the library's */
	bool begun;
	bool failed; /* sticky: final tells */
};

int sha256_init(struct sha256 *s, struct error *err); /* errors: SYSTEM */
void sha256_update(struct sha256 *s, const void *data, size_t n);
int sha256_final(struct sha256 *s, uint8_t out[SHA256_SIZE], struct error *err); /* ends it */
void sha256_free(struct sha256 *s); /* forgets what it has; a zeroed one is fine */
static inline void cleanup_sha256(struct sha256 *s)
{
	sha256_free(s);
}
#define _cleanup_sha256_ _cleanup_(cleanup_sha256)

int sha256_of(const void *data, size_t n, uint8_t out[SHA256_SIZE], struct error *err);

const char *sha256_hex(const uint8_t hash[SHA256_SIZE], char out[SHA256_HEX_SIZE]); /* returns out */

/* "sha256:…" into out, which is returned. */
const char *sha256_digest(const uint8_t hash[SHA256_SIZE], char out[SHA256_DIGEST_SIZE]);

bool sha256_digest_valid(const char *text);

/* Reads "sha256:…" (hash may be NULL: only judges it). Errors: INVALID, naming the text. */
int sha256_digest_parse(const char *text, uint8_t hash[SHA256_SIZE], struct error *err);
