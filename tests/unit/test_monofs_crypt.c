/* SPDX-License-Identifier: Apache-2.0 */
/* Ids and sealing. */
#include "test.h"

#include <sodium.h>

#include "codec/sha256.h"
#include "monofs/cipher.h"
#include "monofs/crypt.h"
#include "monofs_place.h"

TEST(a_plain_id_is_the_hash_of_the_type_and_the_bytes)
{
	struct object_id id;
	uint8_t sum[SHA256_SIZE];
	struct crypt c;
	struct error err;

	monofs_crypt(&c, 0);
	CHECK_OK(crypt_id(&c, OBJECT_LIST, "abc", 3, &id, &err));
	CHECK_OK(sha256_of("\002abc", 4, sum, &err));
	CHECK(memcmp(id.bytes, sum, sizeof sum) == 0);
	CHECK_OK(crypt_id(&c, OBJECT_CHUNK, "abc", 3, &id, &err));
	CHECK(memcmp(id.bytes, sum, sizeof sum) != 0);
}

TEST(an_id_under_a_key_tells_nothing_to_who_lacks_it)
{
	struct object_id id, other, plain;
	struct crypt a, b, none;
	struct error err;
	uint8_t sum[SHA256_SIZE];
	struct hmac_key key;

	monofs_crypt(&a, 1);
	monofs_crypt(&b, 2);
	monofs_crypt(&none, 0);
	CHECK_OK(crypt_id(&a, OBJECT_CHUNK, "abc", 3, &id, &err));
	CHECK_OK(crypt_id(&b, OBJECT_CHUNK, "abc", 3, &other, &err));
	CHECK_OK(crypt_id(&none, OBJECT_CHUNK, "abc", 3, &plain, &err));
	CHECK(!object_id_equal(&id, &other) && !object_id_equal(&id, &plain));
	key = a.id;
	CHECK_OK(hmac_of(&key, "\001abc", 4, sum, &err));
	CHECK(memcmp(id.bytes, sum, sizeof sum) == 0);
	CHECK(memcmp(a.level, b.level, sizeof a.level) != 0);
	CHECK(memcmp(a.chunker.gear, b.chunker.gear, sizeof a.chunker.gear) != 0);
}

TEST(what_is_sealed_opens_in_its_place_alone)
{
	_cleanup_buffer_ struct buffer out = {0};
	uint8_t salt[CRYPT_SALT_SIZE], other[CRYPT_SALT_SIZE], bytes[64];
	struct crypt c, stranger;
	struct error err;
	size_t n;

	monofs_crypt(&c, 1);
	monofs_crypt(&stranger, 2);
	crypt_salt(&c, salt);
	crypt_salt(&c, other);
	CHECK_OK(crypt_seal(&c, CRYPT_PACK, salt, 7, "about", 5, "secret", 6, &out, &err));
	CHECK_INT(out.size, 6 + CRYPT_TAG_SIZE);
	CHECK_OK(crypt_open(&c, CRYPT_PACK, salt, 7, "about", 5, out.data, out.size, bytes, &n, &err));
	CHECK(n == 6 && memcmp(bytes, "secret", 6) == 0);
	CHECK_ERROR(crypt_open(&c, CRYPT_PACK, salt, 8, "about", 5, out.data, out.size, bytes, &n, &err),
		ERROR_CORRUPT);
	CHECK_ERROR(crypt_open(&c, CRYPT_PACK, other, 7, "about", 5, out.data, out.size, bytes, &n, &err),
		ERROR_CORRUPT);
	CHECK_ERROR(crypt_open(&c, CRYPT_PACK, salt, 7, "other", 5, out.data, out.size, bytes, &n, &err),
		ERROR_CORRUPT);
	CHECK_ERROR(crypt_open(&c, CRYPT_JOURNAL, salt, 7, "about", 5, out.data, out.size, bytes, &n, &err),
		ERROR_CORRUPT);
	CHECK_ERROR(
		crypt_open(&stranger, CRYPT_PACK, salt, 7, "about", 5, out.data, out.size, bytes, &n, &err),
		ERROR_CORRUPT);
	for (size_t i = 0; i < out.size; i++) {
		out.data[i] ^= 1;
		CHECK_ERROR(
			crypt_open(&c, CRYPT_PACK, salt, 7, "about", 5, out.data, out.size, bytes, &n, &err),
			ERROR_CORRUPT);
		out.data[i] ^= 1;
	}
	for (size_t i = 0; i < out.size; i++)
		CHECK_ERROR(crypt_open(&c, CRYPT_PACK, salt, 7, "about", 5, out.data, i, bytes, &n, &err),
			ERROR_CORRUPT);
}

/* Sizes around those from which another library is at work, and around its blocks. */
static const size_t sizes[] = {0, 1, 4096, 8175, 8176, 8191, 8192, 8193, 65535, 262144, 1000003};

TEST(large_and_small_pieces_are_sealed_as_libsodium_does)
{
	static uint8_t plain[1000003], out[sizeof plain + CIPHER_TAG_SIZE], expected[sizeof out];
	uint8_t key[CIPHER_KEY_SIZE], nonce[CIPHER_NONCE_SIZE];

	randombytes_buf(plain, sizeof plain);
	randombytes_buf(key, sizeof key);
	randombytes_buf(nonce, sizeof nonce);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		const struct cipher c = {key, nonce, i % 2 ? "about" : NULL, i % 2 ? 5 : 0};
		size_t n = sizes[i / 2], all = n + CIPHER_TAG_SIZE;

		(void)crypto_aead_xchacha20poly1305_ietf_encrypt(
			expected, NULL, plain, n, c.about, c.about_size, NULL, nonce, key);
		cipher_seal(&c, plain, n, out);
		CHECK(memcmp(out, expected, all) == 0);
		CHECK(cipher_open(&c, out, all, out));
		CHECK(memcmp(out, plain, n) == 0);
	}
}

static bool opens(const struct cipher *c, const uint8_t *bytes, size_t n, uint8_t *out)
{
	static const uint8_t zeroes[262144];
	bool ok = cipher_open(c, bytes, n, out);

	CHECK(ok || n < CIPHER_TAG_SIZE || memcmp(out, zeroes, n - CIPHER_TAG_SIZE) == 0);
	return ok;
}

TEST(a_large_piece_that_was_changed_does_not_open_and_nothing_of_it_is_left)
{
	static uint8_t plain[262144], sealed[sizeof plain + CIPHER_TAG_SIZE], out[sizeof sealed];
	const uint8_t key[CIPHER_KEY_SIZE] = {1}, other_key[CIPHER_KEY_SIZE] = {2};
	const uint8_t nonce[CIPHER_NONCE_SIZE] = {3}, early[CIPHER_NONCE_SIZE] = {4};
	uint8_t late[CIPHER_NONCE_SIZE] = {3};
	const struct cipher c = {key, nonce, "about", 5};

	late[CIPHER_NONCE_SIZE - 1] = 1;
	memset(plain, 'p', sizeof plain);
	cipher_seal(&c, plain, sizeof plain, sealed);
	CHECK(opens(&c, sealed, sizeof sealed, out));
	for (size_t i = 0; i < sizeof sealed; i += i < sizeof plain - 9000 ? 9001 : 97) {
		sealed[i] ^= 1;
		CHECK(!opens(&c, sealed, sizeof sealed, out));
		sealed[i] ^= 1;
	}
	CHECK(!opens(&c, sealed, sizeof sealed - 1, out));
	CHECK(!opens(&(struct cipher){other_key, nonce, "about", 5}, sealed, sizeof sealed, out));
	CHECK(!opens(&(struct cipher){key, early, "about", 5}, sealed, sizeof sealed, out));
	CHECK(!opens(&(struct cipher){key, late, "about", 5}, sealed, sizeof sealed, out));
	CHECK(!opens(&(struct cipher){key, nonce, "other", 5}, sealed, sizeof sealed, out));
	CHECK(!opens(&(struct cipher){key, nonce, NULL, 0}, sealed, sizeof sealed, out));
	CHECK(opens(&c, sealed, sizeof sealed, out));
}

TEST(new_files_are_sealed_in_the_newest_epoch_and_old_ones_still_open)
{
	_cleanup_buffer_ struct buffer old = {0}, new = {0};
	uint8_t before[CRYPT_SALT_SIZE], after[CRYPT_SALT_SIZE], bytes[64], root[CRYPT_KEY_SIZE] = {9};
	struct crypt c, late;
	struct error err;
	size_t n;

	monofs_crypt(&c, 1);
	monofs_crypt(&late, 1);
	crypt_salt(&c, before);
	CHECK_INT(before[0], 0);
	CHECK_OK(crypt_seal(&c, CRYPT_PACK, before, 0, NULL, 0, "old", 3, &old, &err));
	CHECK_OK(crypt_add_epoch(&c, root, &err));
	crypt_salt(&c, after);
	CHECK_INT(after[0], 1);
	CHECK_OK(crypt_seal(&c, CRYPT_PACK, after, 0, NULL, 0, "new", 3, &new, &err));
	CHECK_OK(crypt_open(&c, CRYPT_PACK, before, 0, NULL, 0, old.data, old.size, bytes, &n, &err));
	CHECK_OK(crypt_open(&c, CRYPT_PACK, after, 0, NULL, 0, new.data, new.size, bytes, &n, &err));
	CHECK_ERROR(crypt_open(&late, CRYPT_PACK, after, 0, NULL, 0, new.data, new.size, bytes, &n, &err),
		ERROR_CORRUPT);
	while (c.epochs < CRYPT_EPOCHS_MAX)
		CHECK_OK(crypt_add_epoch(&c, root, &err));
	CHECK_ERROR(crypt_add_epoch(&c, root, &err), ERROR_LIMIT);
}

TEST(keys_are_wiped)
{
	static const struct crypt zero;
	struct crypt c;

	monofs_crypt(&c, 1);
	crypt_forget(&c);
	CHECK(memcmp(&c, &zero, sizeof c) == 0);
}
