/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a repository and what is done with them. From one master key of 32 random bytes come, by
 * BLAKE2b with a name each (libsodium, crypto_kdf), the key of ids, of the chunker's table, of the levels in
 * trees, of packs, of the references and of the journal. A plain repository has no master key: its ids are
 * SHA-256, its seeds are zeroes, and nothing is sealed.
 *
 * The master key lies in the repository once for each passphrase and key file that opens it: a slot, sealed
 * under what Argon2id makes of the passphrase (RFC 9106), or under a hash of the file.
 *
 * Sealing is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03). The nonce is a random one of the sealed file
 * (16 bytes) and a counter (8 bytes): a record that was moved to another place does not open.
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

#define CRYPT_KEY_SIZE  32u
#define CRYPT_SALT_SIZE 16u
#define CRYPT_TAG_SIZE  16u /* bytes by which what is sealed grows */

/* Keys of one purpose each. */
enum crypt_use { CRYPT_PACK, CRYPT_REFERENCES, CRYPT_JOURNAL, CRYPT_USES };

struct crypt {
	bool encrypted;
	uint8_t master[CRYPT_KEY_SIZE];
	struct hmac_key id;
	uint8_t seals[CRYPT_USES][CRYPT_KEY_SIZE];
	uint8_t level[CRYPT_KEY_SIZE]; /* goes before a name whose level in a tree is found; zeroes */
	struct chunker chunker;
};

/* Without a master key: that of a plain repository. The struct is wiped by crypt_forget(). */
int crypt_init(struct crypt *c, const uint8_t *master, const struct chunker_sizes *sizes, struct error *err);
void crypt_forget(struct crypt *c);

/* From many threads at once. */
int crypt_id(const struct crypt *c, enum object_type type, const void *bytes, size_t n, struct object_id *id,
	struct error *err);

/* Appends n + CRYPT_TAG_SIZE bytes to out, or, where nothing is encrypted, the bytes as they are. `about` is
 * authenticated with them and not kept. salt: of the file; number: each is used once with it. */
int crypt_seal(const struct crypt *c, enum crypt_use use, const uint8_t salt[CRYPT_SALT_SIZE],
	uint64_t number, const void *about, size_t about_size, const void *bytes, size_t n,
	struct buffer *out, struct error *err);

/* The same back: *size bytes to out, which has room for n. CORRUPT where they were changed, moved, or come
 * from another repository; a plain repository cannot tell. */
int crypt_open(const struct crypt *c, enum crypt_use use, const uint8_t salt[CRYPT_SALT_SIZE],
	uint64_t number, const void *about, size_t about_size, const void *bytes, size_t n, void *out,
	size_t *size, struct error *err);
