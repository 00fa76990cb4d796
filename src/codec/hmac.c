/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/hmac.h"

#include <string.h>

/* A hash that goes on behind the key's block with the pad. */
static int begin(struct sha256 *s, const uint8_t block[HMAC_BLOCK], uint8_t pad, struct error *err)
{
	uint8_t padded[HMAC_BLOCK];
	int r = sha256_init(s, err);

	for (size_t i = 0; i < HMAC_BLOCK; i++)
		padded[i] = block[i] ^ pad;
	if (r == 0)
		sha256_update(s, padded, HMAC_BLOCK);
	return r;
}

int hmac_key_set(struct hmac_key *key, const void *bytes, size_t n, struct error *err)
{
	uint8_t block[HMAC_BLOCK] = {0};
	int r;

	if (n > HMAC_BLOCK)
		return error_set(err, ERROR_INVALID, "a key of %zu bytes, at most %d", n, HMAC_BLOCK);
	memcpy(block, bytes, n);
	r = begin(&key->inner, block, 0x36, err);
	return r < 0 ? r : begin(&key->outer, block, 0x5c, err);
}

int hmac_of(
	const struct hmac_key *key, const void *data, size_t n, uint8_t out[SHA256_SIZE], struct error *err)
{
	struct sha256 inner = key->inner, outer = key->outer;
	uint8_t sum[SHA256_SIZE];
	int r;

	sha256_update(&inner, data, n);
	r = sha256_final(&inner, sum, err);
	if (r < 0)
		return r;
	sha256_update(&outer, sum, sizeof sum);
	return sha256_final(&outer, out, err);
}

bool hmac_equal(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t different = 0;

	for (size_t i = 0; i < n; i++)
		different |= x[i] ^ y[i];
	return different == 0;
}
