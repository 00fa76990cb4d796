/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/hmac.h"

#include <string.h>

int hmac_key_set(struct hmac_key *key, const void *bytes, size_t n, struct error *err)
{
	uint8_t block[HMAC_BLOCK] = {0};

	if (n > HMAC_BLOCK)
		return error_set(err, ERROR_INVALID, "a key of %zu bytes, at most %d", n, HMAC_BLOCK);
	memcpy(block, bytes, n);
	for (size_t i = 0; i < HMAC_BLOCK; i++) {
		key->inner[i] = block[i] ^ 0x36;
		key->outer[i] = block[i] ^ 0x5c;
	}
	return 0;
}

static int hash_behind(const uint8_t block[HMAC_BLOCK], const void *data, size_t n, uint8_t out[SHA256_SIZE],
	struct error *err)
{
	struct sha256 s;
	int r = sha256_init(&s, err);

	if (r < 0)
		return r;
	sha256_update(&s, block, HMAC_BLOCK);
	sha256_update(&s, data, n);
	return sha256_final(&s, out, err);
}

int hmac_of(
	const struct hmac_key *key, const void *data, size_t n, uint8_t out[SHA256_SIZE], struct error *err)
{
	uint8_t inner[SHA256_SIZE];
	int r = hash_behind(key->inner, data, n, inner, err);

	return r < 0 ? r : hash_behind(key->outer, inner, sizeof inner, out, err);
}

bool hmac_equal(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t different = 0;

	for (size_t i = 0; i < n; i++)
		different |= x[i] ^ y[i];
	return different == 0;
}
