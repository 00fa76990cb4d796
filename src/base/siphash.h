/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-1-3 (Aumasson and Bernstein 2012): who does not know the seed cannot choose keys that collide. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint64_t seed[2], const void *key, size_t n);

/* One round over the state, for who has another ending. */
static inline uint64_t siphash_rotate(uint64_t v, int by)
{
	return v << by | v >> (64 - by);
}

static inline void siphash_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = siphash_rotate(v[1], 13) ^ v[0];
	v[0] = siphash_rotate(v[0], 32);
	v[2] += v[3];
	v[3] = siphash_rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = siphash_rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = siphash_rotate(v[1], 17) ^ v[2];
	v[2] = siphash_rotate(v[2], 32);
}
