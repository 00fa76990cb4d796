/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stranger's compressed layer. The first two bytes choose how input and output are cut into pieces; however
 * that is done, and by libisal as by zlib, the same comes out, within the limits.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "codec/decompress.h"

#define OUTPUT_MAX (1u << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	uint8_t *bytes;
	size_t size;
	int result;
};

struct cut {
	size_t in, out;
};

static int step_all(struct decompress *d, const uint8_t *data, size_t size, struct cut cut, struct run *run)
{
	struct error err;
	size_t at = 0, made;
	int r = 0;

	do {
		size_t n = size - at < cut.in ? size - at : cut.in, left = n, room;
		const uint8_t *in = data + at;

		do {
			room = OUTPUT_MAX + 1 - run->size < cut.out ? OUTPUT_MAX + 1 - run->size : cut.out;
			r = decompress_step(d, &in, &left, run->bytes + run->size, room, &made, &err);
			assert(made <= room && (r == 0 || r == -(int)err.code));
			if (r < 0)
				return r;
			assert(left == 0 || made == room);
			run->size += made;
			assert(run->size <= OUTPUT_MAX);
		} while (left > 0 || made == room);
		at += n;
	} while (at < size);
	return decompress_finish(d, &err);
}

static struct run decompress(const uint8_t *data, size_t size, struct cut cut, bool zlib)
{
	struct decompress_options options = {.output = OUTPUT_MAX, .zlib = zlib};
	struct run run = {.bytes = malloc(OUTPUT_MAX + 1)};
	struct decompress *d;
	struct error err;

	assert(run.bytes && decompress_new(&options, &d, &err) == 0);
	run.result = step_all(d, data, size, cut, &run);
	decompress_free(d);
	return run;
}

static void must_agree(const struct run *a, const struct run *b)
{
	assert((a->result == 0) == (b->result == 0));
	if (a->result == 0)
		assert(a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cut whole = {.in = size, .out = OUTPUT_MAX + 1}, cut;
	struct run one, other;

	if (size < 3)
		return 0;
	cut = (struct cut){.in = 1u + data[0], .out = 1u + data[1] * 16u};
	data += 2;
	size -= 2;
	one = decompress(data, size, whole, false);
	other = decompress(data, size, cut, false);
	must_agree(&one, &other);
	free(other.bytes);
	other = decompress(data, size, cut, true);
	must_agree(&one, &other);
	free(other.bytes);
	free(one.bytes);
	return 0;
}
