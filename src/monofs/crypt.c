/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/crypt.h"

#include <sodium.h>
#include <string.h>

#include "monofs/cipher.h"

_Static_assert(CIPHER_KEY_SIZE == CRYPT_KEY_SIZE, "a key of the cipher");
_Static_assert(CIPHER_NONCE_SIZE == CRYPT_SALT_SIZE + 8, "salt and counter");
_Static_assert(CIPHER_TAG_SIZE == CRYPT_TAG_SIZE, "the tag");
_Static_assert(crypto_kdf_KEYBYTES == CRYPT_KEY_SIZE, "a key to derive from");

#define NAME_BASE "monofsid"
#define NAME_SEAL "monofsse"

enum derived { DERIVED_ID = 1, DERIVED_CHUNKER, DERIVED_LEVEL, DERIVED_SEAL };

static void derive(uint8_t out[CRYPT_KEY_SIZE], const uint8_t *key, uint64_t number, const char *name)
{
	(void)crypto_kdf_derive_from_key(out, CRYPT_KEY_SIZE, number, name, key);
}

int crypt_add_epoch(struct crypt *c, const uint8_t root[CRYPT_KEY_SIZE], struct error *err)
{
	if (c->epochs == CRYPT_EPOCHS_MAX)
		return error_set(err, ERROR_LIMIT,
			"rotate the keys: that was done %u times already, which is all that a repository "
			"takes",
			CRYPT_EPOCHS_MAX - 1);
	for (unsigned use = 0; use < CRYPT_USES; use++)
		derive(c->seals[c->epochs][use], root, 1 + use, NAME_SEAL);
	c->epochs++;
	return 0;
}

int crypt_init(struct crypt *c, const uint8_t *base, const struct chunker_sizes *sizes, struct error *err)
{
	uint8_t key[CRYPT_KEY_SIZE];
	int r;

	if (sodium_init() < 0)
		return error_set(err, ERROR_SYSTEM, "use libsodium: it found no source of randomness");
	*c = (struct crypt){.encrypted = base};
	if (!base)
		return chunker_init(&c->chunker, sizes, NULL, err);
	derive(key, base, DERIVED_ID, NAME_BASE);
	r = hmac_key_set(&c->id, key, sizeof key, err);
	derive(key, base, DERIVED_CHUNKER, NAME_BASE);
	if (r == 0)
		r = chunker_init(&c->chunker, sizes, key, err);
	derive(c->level, base, DERIVED_LEVEL, NAME_BASE);
	derive(key, base, DERIVED_SEAL, NAME_BASE);
	if (r == 0)
		r = crypt_add_epoch(c, key, err);
	sodium_memzero(key, sizeof key);
	if (r < 0)
		crypt_forget(c);
	return r;
}

void crypt_forget(struct crypt *c)
{
	sodium_memzero(c, sizeof *c);
}

int crypt_id(const struct crypt *c, enum object_type type, const void *bytes, size_t n, struct object_id *id,
	struct error *err)
{
	const uint8_t kind = (uint8_t)type;
	struct sha256 s;
	int r = 0;

	if (c->encrypted)
		s = c->id.inner;
	else
		r = sha256_init(&s, err);
	if (r < 0)
		return r;
	sha256_update(&s, &kind, 1);
	sha256_update(&s, bytes, n);
	r = sha256_final(&s, id->bytes, err);
	if (r < 0 || !c->encrypted)
		return r;
	s = c->id.outer;
	sha256_update(&s, id->bytes, sizeof id->bytes);
	return sha256_final(&s, id->bytes, err);
}

/* ---- sealing ---------------------------------------------------------------------------------------- */

static void put_le(uint8_t *at, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

void crypt_salt(const struct crypt *c, uint8_t salt[CRYPT_SALT_SIZE])
{
	memset(salt, 0, CRYPT_SALT_SIZE);
	if (!c->encrypted)
		return;
	put_le(salt, c->epochs - 1, 4);
	randombytes_buf(salt + 4, CRYPT_SALT_SIZE - 4);
}

/* The key that the salt's epoch has for the use; NULL: there is no such epoch. */
static const uint8_t *key_of(const struct crypt *c, enum crypt_use use, const uint8_t salt[CRYPT_SALT_SIZE])
{
	uint32_t epoch = salt[0] | (uint32_t)salt[1] << 8 | (uint32_t)salt[2] << 16 | (uint32_t)salt[3] << 24;

	return epoch < c->epochs ? c->seals[epoch][use] : NULL;
}

static void make_nonce(uint8_t nonce[CRYPT_SALT_SIZE + 8], const uint8_t *salt, uint64_t number)
{
	memcpy(nonce, salt, CRYPT_SALT_SIZE);
	put_le(nonce + CRYPT_SALT_SIZE, number, 8);
}

int crypt_seal(const struct crypt *c, enum crypt_use use, const uint8_t salt[CRYPT_SALT_SIZE],
	uint64_t number, const void *about, size_t about_size, const void *bytes, size_t n,
	struct buffer *out, struct error *err)
{
	const uint8_t *key = c->encrypted ? key_of(c, use, salt) : NULL;
	uint8_t nonce[CRYPT_SALT_SIZE + 8];

	if (c->encrypted && !key)
		return error_set(err, ERROR_INVALID, "seal: the salt names no epoch of this repository");
	if (!buffer_reserve(out, n + crypt_growth(c)))
		return error_no_memory(err, "seal");
	if (!c->encrypted) {
		buffer_append(out, bytes, n);
		return 0;
	}
	make_nonce(nonce, salt, number);
	cipher_seal(&(struct cipher){key, nonce, about, about_size}, bytes, n, out->data + out->size);
	out->size += n + CRYPT_TAG_SIZE;
	return 0;
}

int crypt_open(const struct crypt *c, enum crypt_use use, const uint8_t salt[CRYPT_SALT_SIZE],
	uint64_t number, const void *about, size_t about_size, const void *bytes, size_t n, void *out,
	size_t *size, struct error *err)
{
	const uint8_t *key = c->encrypted ? key_of(c, use, salt) : NULL;
	uint8_t nonce[CRYPT_SALT_SIZE + 8];

	if (!c->encrypted) {
		if (out != bytes && n)
			memmove(out, bytes, n);
		*size = n;
		return 0;
	}
	if (!key)
		return error_set(
			err, ERROR_CORRUPT, "it was sealed with a key that this repository does not have");
	make_nonce(nonce, salt, number);
	if (!cipher_open(&(struct cipher){key, nonce, about, about_size}, bytes, n, out))
		return error_set(err, ERROR_CORRUPT, "it was changed or moved since it was sealed");
	*size = n - CRYPT_TAG_SIZE;
	return 0;
}
