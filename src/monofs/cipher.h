/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), by the library that is faster: libsodium has the whole of
 * it and begins at once; OpenSSL has the ChaCha20-Poly1305 of RFC 8439 in it, which does large pieces in two
 * thirds of the time. Where OpenSSL is set up not to have that cipher, libsodium does all.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIPHER_KEY_SIZE   32u
#define CIPHER_NONCE_SIZE 24u
#define CIPHER_TAG_SIZE   16u /* stands behind what is sealed */

/* What `about` has is authenticated beside. From many threads at once, after sodium_init(). */
struct cipher {
	const uint8_t *key, *nonce;
	const void *about;
	size_t about_size;
};

/* n + CIPHER_TAG_SIZE bytes to out, which does not overlap with bytes. */
void cipher_seal(const struct cipher *c, const void *bytes, size_t n, void *out);

/* n - CIPHER_TAG_SIZE bytes to out, which may be `bytes` and else does not overlap with it; false: they are
 * not what was sealed, and out has nothing of it. */
bool cipher_open(const struct cipher *c, const void *bytes, size_t n, void *out);
