/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/chunker.h"

#include <string.h>

#include "codec/sha256.h"

/* How many bits the masks have more and less than the average asks for (normalised chunking, level 2). */
#define NORMALISATION 2

static bool is_power_of_two(uint32_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

/* The topmost bits: the hash moves to the left, so these depend on the last 64 bytes, all others on fewer. */
static uint64_t mask_of(unsigned bits)
{
	return ~(uint64_t)0 << (64 - bits);
}

static int fill_gear(struct chunker *c, const uint8_t *seed, struct error *err)
{
	uint8_t input[CHUNKER_SEED_SIZE + 1] = {0}, sum[SHA256_SIZE];
	int r = 0;

	if (seed)
		memcpy(input, seed, CHUNKER_SEED_SIZE);
	for (unsigned i = 0; r == 0 && i < 256; i++) {
		input[CHUNKER_SEED_SIZE] = (uint8_t)i;
		r = sha256_of(input, sizeof input, sum, err);
		c->gear[i] = 0;
		for (unsigned k = 0; r == 0 && k < 8; k++)
			c->gear[i] |= (uint64_t)sum[k] << (8 * k);
	}
	explicit_bzero(input, sizeof input);
	explicit_bzero(sum, sizeof sum);
	return r;
}

int chunker_init(struct chunker *c, const struct chunker_sizes *sizes, const uint8_t *seed, struct error *err)
{
	unsigned bits;

	if (!is_power_of_two(sizes->min) || !is_power_of_two(sizes->average) ||
		!is_power_of_two(sizes->max) || sizes->min < CHUNKER_MIN || sizes->min >= sizes->average ||
		sizes->average >= sizes->max || sizes->max > CHUNKER_MAX)
		return error_set(err, ERROR_INVALID,
			"chunks of %u, %u, %u bytes: they must be powers of two, each more than the one "
			"before, from %u to %u",
			sizes->min, sizes->average, sizes->max, CHUNKER_MIN, CHUNKER_MAX);
	bits = (unsigned)__builtin_ctz(sizes->average);
	c->sizes = *sizes;
	c->hard = mask_of(bits + NORMALISATION);
	c->easy = mask_of(bits - NORMALISATION);
	return fill_gear(c, seed, err);
}

size_t chunker_cut(const struct chunker *c, const uint8_t *bytes, size_t n)
{
	const uint64_t *gear = c->gear;
	size_t end = n < c->sizes.max ? n : c->sizes.max;
	size_t normal = end < c->sizes.average ? end : c->sizes.average;
	size_t at = c->sizes.min;
	uint64_t hash = 0, mask = c->hard;

	if (n <= c->sizes.min)
		return n;
	for (; at < normal; at++) {
		hash = (hash << 1) + gear[bytes[at]];
		if (!(hash & mask))
			return at + 1;
	}
	mask = c->easy;
	for (; at < end; at++) {
		hash = (hash << 1) + gear[bytes[at]];
		if (!(hash & mask))
			return at + 1;
	}
	return end;
}
