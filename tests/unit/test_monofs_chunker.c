/* SPDX-License-Identifier: Apache-2.0 */
/* Where bytes are cut into chunks. */
#include "test.h"

#include <stdlib.h>

#include "codec/chunker.h"
#include "codec/sha256.h"
#include "monofs_place.h"

#define SIZE (8u << 20)

static const struct chunker_sizes sizes = {.min = 4096, .average = 16384, .max = 65536};

static size_t cuts_of(const struct chunker *c, const uint8_t *bytes, size_t n, size_t *cuts)
{
	size_t count = 0;

	for (size_t at = 0; at < n;) {
		size_t size = chunker_cut(c, bytes + at, n - at);

		CHECK(size > 0 && size <= n - at);
		at += size;
		cuts[count++] = at;
	}
	return count;
}

TEST(chunks_keep_their_bounds_and_their_average)
{
	uint8_t *bytes = malloc(SIZE);
	size_t *cuts = calloc(SIZE / sizes.min + 2, sizeof *cuts), count;
	struct chunker c;
	struct error err;

	monofs_bytes(bytes, SIZE, 1);
	CHECK_OK(chunker_init(&c, &sizes, NULL, &err));
	count = cuts_of(&c, bytes, SIZE, cuts);
	for (size_t i = 0; i + 1 < count; i++) {
		size_t size = cuts[i] - (i ? cuts[i - 1] : 0);

		CHECK(size > sizes.min && size <= sizes.max);
	}
	CHECK(SIZE / count > sizes.average * 3 / 4 && SIZE / count < sizes.average * 3 / 2);
	CHECK_INT(chunker_cut(&c, bytes, 0), 0);
	CHECK_INT(chunker_cut(&c, bytes, 1), 1);
	CHECK_INT(chunker_cut(&c, bytes, sizes.min), sizes.min);
	free(bytes);
	free(cuts);
}

TEST(an_insertion_moves_only_the_cuts_near_it)
{
	uint8_t *bytes = malloc(SIZE), *other = malloc(SIZE + 10);
	size_t *a = calloc(SIZE / sizes.min + 2, sizeof *a), *b = calloc(SIZE / sizes.min + 2, sizeof *b);
	size_t a_count, b_count, same = 0;
	struct chunker c;
	struct error err;

	monofs_bytes(bytes, SIZE, 2);
	memcpy(other, bytes, SIZE / 2);
	memcpy(other + SIZE / 2, "0123456789", 10);
	memcpy(other + SIZE / 2 + 10, bytes + SIZE / 2, SIZE / 2);
	CHECK_OK(chunker_init(&c, &sizes, NULL, &err));
	a_count = cuts_of(&c, bytes, SIZE, a);
	b_count = cuts_of(&c, other, SIZE + 10, b);
	for (size_t i = 0, k = 0; i < a_count && k < b_count;) {
		size_t moved = b[k] > SIZE / 2 ? b[k] - 10 : b[k];

		same += a[i] == moved;
		if (a[i] <= moved)
			i++;
		else
			k++;
	}
	CHECK(a_count - same < 8);
	free(bytes);
	free(other);
	free(a);
	free(b);
}

TEST(the_cuts_follow_from_the_seed_as_the_format_says)
{
	static const uint8_t seed[CHUNKER_SEED_SIZE] = {1};
	uint8_t input[CHUNKER_SEED_SIZE + 1] = {0}, sum[SHA256_SIZE];
	struct chunker plain, keyed;
	struct error err;
	uint64_t gear = 0;

	CHECK_OK(chunker_init(&plain, &sizes, NULL, &err));
	CHECK_OK(chunker_init(&keyed, &sizes, seed, &err));
	CHECK(memcmp(plain.gear, keyed.gear, sizeof plain.gear) != 0);
	input[CHUNKER_SEED_SIZE] = 200;
	CHECK_OK(sha256_of(input, sizeof input, sum, &err));
	for (int i = 7; i >= 0; i--)
		gear = gear << 8 | sum[i];
	CHECK(plain.gear[200] == gear);
	CHECK(plain.hard == ~UINT64_C(0) << (64 - 16) && plain.easy == ~UINT64_C(0) << (64 - 12));
}

TEST(a_long_run_of_one_byte_is_cut_at_equal_lengths)
{
	uint8_t *bytes = calloc(1, SIZE);
	struct chunker c;
	struct error err;
	size_t first;

	CHECK_OK(chunker_init(&c, &sizes, NULL, &err));
	first = chunker_cut(&c, bytes, SIZE);
	for (size_t at = 0; SIZE - at >= sizes.max; at += first)
		CHECK_INT(chunker_cut(&c, bytes + at, SIZE - at), first);
	free(bytes);
}

TEST(sizes_that_make_no_chunks_are_refused)
{
	static const struct chunker_sizes bad[] = {{0, 0, 0}, {4096, 4096, 8192}, {4096, 8192, 8192},
		{5000, 8192, 16384}, {128, 8192, 16384}, {4096, 8192, 1u << 27}};
	struct chunker c;
	struct error err;

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK_ERROR(chunker_init(&c, &bad[i], NULL, &err), ERROR_INVALID);
}
