/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys in a repository (checked.h). Everything else is sealed by keys that lie in keys/master, sealed
 * under one of 32 random bytes, the master key; that one lies in a slot for each passphrase and key file,
 * sealed under what these give:
 *
 *     keys/<16 hex digits>
 *         monofs-key 1
 *         kind passphrase|file
 *         made SECONDS, since 1970
 *         argon2id OPS BYTES        of a passphrase: passes, memory (RFC 9106, one lane)
 *         salt 32 hex digits
 *         nonce 48 hex digits
 *         sealed 96 hex digits
 *
 *     keys/master
 *         monofs-master 1
 *         nonce 48 hex digits
 *         sealed HEX digits
 *
 * A passphrase's key is Argon2id of its bytes with the salt, 32 bytes of it; a key file's BLAKE2b-256 of the
 * file, keyed with the salt. Sealed is by XChaCha20-Poly1305; the repository's id and the lines before
 * `nonce` are authenticated beside. In keys/master are the base (crypt.h) and the root keys of the epochs
 * from 1 on, 32 bytes each.
 *
 * Rotating makes the new slot first, then a new keys/master, and then removes the other slots: a slot whose
 * master key does not open keys/master is one that this left.
 */
#pragma once

#include "monofs/crypt.h"
#include "monofs/format.h"
#include "monofs/repository.h"

#define KEYS_SLOT_NAME 17u

struct keys {
	uint8_t master[CRYPT_KEY_SIZE];
	uint8_t base[CRYPT_KEY_SIZE];
	uint8_t roots[CRYPT_EPOCHS_MAX][CRYPT_KEY_SIZE]; /* of the epochs from 1 on */
	uint32_t root_count;
	char slot[KEYS_SLOT_NAME]; /* that opened it; "" */
};

/* repository: its directory, in which keys/ is. New keys, in one slot. */
int keys_create(int repository, const uint8_t id[FORMAT_ID_SIZE], const struct repository_secret *secret,
	bool weak, struct keys *out, struct error *err);

/* DENIED: the secret opens no slot; CORRUPT: a slot or keys/master is damaged. */
int keys_open(int repository, const uint8_t id[FORMAT_ID_SIZE], const struct repository_secret *secret,
	struct keys *out, struct error *err);

/* One more slot; weak: as the one that opened the repository, where that was made so. */
int keys_add(int repository, const uint8_t id[FORMAT_ID_SIZE], const struct keys *keys,
	const struct repository_secret *secret, char name[KEYS_SLOT_NAME], struct error *err);
int keys_remove(int repository, const char *name, struct error *err);
int keys_list(int repository, const struct keys *keys, struct repository_slot **out, size_t *count,
	struct error *err);

/* Whether the files in keys/ are whole: damaged() is told of the others. */
int keys_check(int repository, const uint8_t id[FORMAT_ID_SIZE], const struct keys *keys,
	void (*damaged)(void *context, const char *file, const char *what), void *context, struct error *err);

/* A new master key and a new epoch, in one slot for this secret. */
int keys_rotate(int repository, const uint8_t id[FORMAT_ID_SIZE], struct keys *keys,
	const struct repository_secret *secret, char name[KEYS_SLOT_NAME], struct error *err);
