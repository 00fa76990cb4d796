/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a repository and what is done with them. A plain repository has none: its ids are SHA-256, its
 * seeds are zeroes, and nothing is sealed.
 *
 * From the base, 32 random bytes that never change, come the key of ids (HMAC-SHA-256), the seed of the
 * chunker's table and the one of the levels in trees. What is sealed has a root key of its own in each epoch:
 * that of epoch 0 is derived from the base, later ones are 32 random bytes each, made when keys are rotated.
 * New files are sealed in the newest epoch, old ones opened in theirs, which their salt begins with.
 *
 * Derived are keys by crypto_kdf of libsodium, which is BLAKE2b with the key, a number and a name of 8 bytes
 * (https://doc.libsodium.org/key_derivation):
 *
 *     key of ids      base, 1, "monofsid"      seed of the chunker   base, 2, "monofsid"
 *     key of levels   base, 3, "monofsid"      root of epoch 0       base, 4, "monofsid"
 *     use u           root of the epoch, 1 + u, "monofsse"      (enum crypt_use)
 *
 * Sealing is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), the tag behind the bytes. The nonce is the salt
 * of the sealed file (16 bytes: the epoch as u32, then 12 random ones) and a counter (u64): a record that was
 * moved to another place does not open. Integers are little-endian.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "codec/chunker.h"
#include "codec/hmac.h"
#include "monofs/object.h"

#define CRYPT_KEY_SIZE   32u
#define CRYPT_SALT_SIZE  16u
#define CRYPT_TAG_SIZE   16u /* bytes by which what is sealed grows */
#define CRYPT_EPOCHS_MAX 64u

/* Keys of one purpose each. */
enum crypt_use { CRYPT_PACK, CRYPT_REFERENCES, CRYPT_JOURNAL, CRYPT_KNOWN, CRYPT_USES };

struct crypt {
	bool encrypted;
	struct hmac_key id;
	uint32_t epochs; /* how many; the newest is epochs - 1 */
	uint8_t seals[CRYPT_EPOCHS_MAX][CRYPT_USES][CRYPT_KEY_SIZE];
	uint8_t level[CRYPT_KEY_SIZE]; /* goes before a name whose level in a tree is found; zeroes */
	struct chunker chunker;
};

/* base: CRYPT_KEY_SIZE bytes, with which epoch 0 is there; NULL: a plain repository's. The struct is wiped by
 * crypt_forget(). */
int crypt_init(struct crypt *c, const uint8_t *base, const struct chunker_sizes *sizes, struct error *err);
void crypt_forget(struct crypt *c);

/* The root key of the next epoch, which is the newest from now on. LIMIT: no more than CRYPT_EPOCHS_MAX. Not
 * while others use it. */
int crypt_add_epoch(struct crypt *c, const uint8_t root[CRYPT_KEY_SIZE], struct error *err);

/* From many threads at once. */
int crypt_id(const struct crypt *c, enum object_type type, const void *bytes, size_t n, struct object_id *id,
	struct error *err);

/* The salt of a new file; zeroes where nothing is encrypted. */
void crypt_salt(const struct crypt *c, uint8_t salt[CRYPT_SALT_SIZE]);

/* Bytes by which what is sealed grows: CRYPT_TAG_SIZE or 0. */
static inline size_t crypt_growth(const struct crypt *c)
{
	return c->encrypted ? CRYPT_TAG_SIZE : 0;
}

/* Appends n + crypt_growth() bytes to out: where nothing is encrypted, the bytes as they are. `about` is
 * authenticated with them and not kept. salt: of the file, by crypt_salt(); number: each is used once with
 * it. */
int crypt_seal(const struct crypt *c, enum crypt_use use, const uint8_t salt[CRYPT_SALT_SIZE],
	uint64_t number, const void *about, size_t about_size, const void *bytes, size_t n,
	struct buffer *out, struct error *err);

/* The same back: *size bytes to out, which has room for n and may be `bytes`. CORRUPT where they were
 * changed, moved, or come from another repository; a plain repository cannot tell. */
int crypt_open(const struct crypt *c, enum crypt_use use, const uint8_t salt[CRYPT_SALT_SIZE],
	uint64_t number, const void *about, size_t about_size, const void *bytes, size_t n, void *out,
	size_t *size, struct error *err);
