/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hashes at once. Each round of SHA-256 waits for the one before it, and so the processor's instructions
 * for it (Intel SHA Extensions Programming Reference, 2013) stand idle half of the time: a second hash
 * between them costs next to nothing.
 */
#include "codec/sha256.h"

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#define BLOCK 64u

static SHA256_CTX *state_of(struct sha256 *s)
{
	return (SHA256_CTX *)(void *)s->state;
}

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>

#define TARGET __attribute__((target("sha,sse4.1,ssse3")))
/* What they work on stays in registers. */
#define INLINE TARGET __attribute__((always_inline)) static inline

static const uint32_t constants[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
	0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb,
	0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624,
	0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb,
	0xbef9a3f7, 0xc67178f2};

/* One of the two: the words a to h in the order that the instructions have, and the message's last 16. */
struct lane {
	__m128i abef, cdgh, w[4];
};

INLINE void lane_begin(struct lane *l, const SHA_LONG h[8])
{
	__m128i dcba = _mm_loadu_si128((const __m128i *)(const void *)h);
	__m128i hgfe = _mm_loadu_si128((const __m128i *)(const void *)(h + 4));
	__m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);

	l->abef = _mm_alignr_epi8(cdab, efgh, 8);
	l->cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
}

INLINE void lane_end(const struct lane *l, SHA_LONG h[8])
{
	__m128i feba = _mm_shuffle_epi32(l->abef, 0x1b), dchg = _mm_shuffle_epi32(l->cdgh, 0xb1);

	_mm_storeu_si128((__m128i *)(void *)h, _mm_blend_epi16(feba, dchg, 0xf0));
	_mm_storeu_si128((__m128i *)(void *)(h + 4), _mm_alignr_epi8(dchg, feba, 8));
}

INLINE void lane_load(struct lane *l, const uint8_t *block)
{
	const __m128i turn = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	const __m128i *w = (const __m128i *)(const void *)block;

	l->w[0] = _mm_shuffle_epi8(_mm_loadu_si128(w), turn);
	l->w[1] = _mm_shuffle_epi8(_mm_loadu_si128(w + 1), turn);
	l->w[2] = _mm_shuffle_epi8(_mm_loadu_si128(w + 2), turn);
	l->w[3] = _mm_shuffle_epi8(_mm_loadu_si128(w + 3), turn);
}

/* Four rounds. */
INLINE void lane_rounds(struct lane *l, unsigned round)
{
	__m128i k = _mm_loadu_si128((const __m128i *)(const void *)(constants + round));
	__m128i m = _mm_add_epi32(l->w[round / 4 % 4], k);

	l->cdgh = _mm_sha256rnds2_epu32(l->cdgh, l->abef, m);
	l->abef = _mm_sha256rnds2_epu32(l->abef, l->cdgh, _mm_shuffle_epi32(m, 0x0e));
}

/* Four words of the message are used: those 16 behind them. */
INLINE void lane_words(struct lane *l, unsigned i)
{
	__m128i last = l->w[(i + 3) % 4];
	__m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(l->w[i], l->w[(i + 1) % 4]),
		_mm_alignr_epi8(last, l->w[(i + 2) % 4], 4));

	l->w[i] = _mm_sha256msg2_epu32(sum, last);
}

INLINE void lane_add(struct lane *l, const struct lane *before)
{
	l->abef = _mm_add_epi32(l->abef, before->abef);
	l->cdgh = _mm_add_epi32(l->cdgh, before->cdgh);
}

INLINE void pair_rounds(struct lane *a, struct lane *b, unsigned round)
{
	lane_rounds(a, round);
	lane_rounds(b, round);
}

INLINE void pair_words(struct lane *a, struct lane *b, unsigned i)
{
	lane_words(a, i);
	lane_words(b, i);
}

/* 16 rounds, and the words for the next 16. */
INLINE void pair_part(struct lane *a, struct lane *b, unsigned round)
{
	pair_rounds(a, b, round);
	pair_words(a, b, 0);
	pair_rounds(a, b, round + 4);
	pair_words(a, b, 1);
	pair_rounds(a, b, round + 8);
	pair_words(a, b, 2);
	pair_rounds(a, b, round + 12);
	pair_words(a, b, 3);
}

INLINE void pair_block(struct lane *a, const uint8_t *p, struct lane *b, const uint8_t *q)
{
	const struct lane before_a = *a, before_b = *b;

	lane_load(a, p);
	lane_load(b, q);
	pair_part(a, b, 0);
	pair_part(a, b, 16);
	pair_part(a, b, 32);
	pair_rounds(a, b, 48);
	pair_rounds(a, b, 52);
	pair_rounds(a, b, 56);
	pair_rounds(a, b, 60);
	lane_add(a, &before_a);
	lane_add(b, &before_b);
}

TARGET static void pair_blocks(SHA_LONG *a, const uint8_t *p, SHA_LONG *b, const uint8_t *q, size_t blocks)
{
	struct lane x, y;

	lane_begin(&x, a);
	lane_begin(&y, b);
	for (; blocks; blocks--, p += BLOCK, q += BLOCK)
		pair_block(&x, p, &y, q);
	lane_end(&x, a);
	lane_end(&y, b);
}

static bool find_out(void)
{
	unsigned a, b, c, d;

	return __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("ssse3") &&
	       __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_SHA;
}

static bool has_instructions(void)
{
	static atomic_int known; /* 1: no, 2: yes. cpuid leaves a virtual machine each time. */
	int k = atomic_load_explicit(&known, memory_order_relaxed);

	if (!k) {
		k = 1 + find_out();
		atomic_store_explicit(&known, k, memory_order_relaxed);
	}
	return k == 2;
}
#else
static void pair_blocks(SHA_LONG *a, const uint8_t *p, SHA_LONG *b, const uint8_t *q, size_t blocks)
{
	(void)a, (void)p, (void)b, (void)q, (void)blocks;
}

static bool has_instructions(void)
{
	return false;
}
#endif

/* What is missing to a whole block. */
static size_t fill(struct sha256 *s, const uint8_t *bytes, size_t n)
{
	size_t missing = (BLOCK - state_of(s)->num) % BLOCK;

	if (missing > n)
		missing = n;
	sha256_update(s, bytes, missing);
	return missing;
}

static void count(struct sha256 *s, size_t n)
{
	SHA256_CTX *c = state_of(s);
	uint64_t bits = ((uint64_t)c->Nh << 32 | c->Nl) + (uint64_t)n * 8;

	c->Nl = (SHA_LONG)bits;
	c->Nh = (SHA_LONG)(bits >> 32);
}

void sha256_update_two(struct sha256 *a, const void *x, struct sha256 *b, const void *y, size_t n)
{
	const uint8_t *p = x, *q = y;
	size_t i = 0, k = 0;

	if (a->begun && b->begun && has_instructions() && n >= 2 * BLOCK) {
		size_t blocks, most;

		i = fill(a, p, n);
		k = fill(b, q, n);
		most = n - (i > k ? i : k);
		blocks = most / BLOCK;
		pair_blocks(state_of(a)->h, p + i, state_of(b)->h, q + k, blocks);
		count(a, blocks * BLOCK);
		count(b, blocks * BLOCK);
		i += blocks * BLOCK;
		k += blocks * BLOCK;
	}
	sha256_update(a, p + i, n - i);
	sha256_update(b, q + k, n - k);
}
