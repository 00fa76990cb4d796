/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures by Ed25519 (RFC 8032), checked by OpenSSL. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define ED25519_KEY_SIZE       32
#define ED25519_SIGNATURE_SIZE 64

/* A public key as 64 hex digits. INVALID where text is none. */
int ed25519_key_parse(const char *text, uint8_t key[ED25519_KEY_SIZE], struct error *err);

/* DENIED where the signature is not of these bytes by the owner of the key; SYSTEM where the library fails.
 */
int ed25519_verify(const uint8_t key[ED25519_KEY_SIZE], const void *bytes, size_t n,
	const uint8_t signature[ED25519_SIGNATURE_SIZE], struct error *err);
