/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC-SHA-256 (RFC 2104, FIPS 198-1), and a comparison that tells nobody how far it came. */
#pragma once

#include "codec/sha256.h"

#define HMAC_BLOCK 64

struct hmac_key {
	struct sha256 inner, outer; /* behind the key with ipad, and with opad */
};

/* A key of at most HMAC_BLOCK bytes; longer ones are INVALID. Other errors: SYSTEM. */
int hmac_key_set(struct hmac_key *key, const void *bytes, size_t n, struct error *err);

/* Errors: SYSTEM. */
int hmac_of(
	const struct hmac_key *key, const void *data, size_t n, uint8_t out[SHA256_SIZE], struct error *err);

/* Whether n bytes are the same, in a time that depends on n only. */
bool hmac_equal(const void *a, const void *b, size_t n);
