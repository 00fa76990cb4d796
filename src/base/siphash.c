/* SPDX-License-Identifier: Apache-2.0 */
#include "base/siphash.h"

#include <string.h>

uint64_t siphash(const uint64_t seed[2], const void *key, size_t n)
{
	uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d,
		seed[0] ^ 0x6c7967656e657261, seed[1] ^ 0x7465646279746573};
	const uint8_t *bytes = key;
	uint64_t word = 0;
	size_t i;

	for (i = 0; i + 8 <= n; i += 8) {
		memcpy(&word, bytes + i, 8);
		v[3] ^= word;
		siphash_round(v);
		v[0] ^= word;
	}
	word = (uint64_t)n << 56;
	for (size_t j = 0; i + j < n; j++)
		word |= (uint64_t)bytes[i + j] << (8 * j);
	v[3] ^= word;
	siphash_round(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	for (int round = 0; round < 3; round++)
		siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
