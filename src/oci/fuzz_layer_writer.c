/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stranger's changes of a sandbox. The first byte chooses how the archive is cut into pieces; the checksums
 * of its headers are made right first.
 *
 *   - what is refused leaves nothing but an error;
 *   - what is written is an archive by the strict reader, of as many entries and bytes as was said;
 *   - written once more it is the same, byte for byte.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/buffer.h"
#include "codec/tar.h"
#include "codec/tar_block.h"
#include "oci/layer_writer.h"

#define MAGIC_AT    257
#define CHECKSUM_AT 148
#define BYTES_MOST  (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void repair_checksums(uint8_t *data, size_t size)
{
	for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
		uint8_t *block = data + at;
		unsigned sum = 0;

		if (memcmp(block + MAGIC_AT, "ustar", 5) != 0)
			continue;
		memset(block + CHECKSUM_AT, ' ', 8);
		for (size_t i = 0; i < TAR_BLOCK; i++)
			sum += block[i];
		for (size_t i = 6; i-- > 0; sum >>= 3)
			block[CHECKSUM_AT + i] = (uint8_t)('0' + (sum & 7));
		block[CHECKSUM_AT + 6] = 0;
	}
}

static int collect(void *context, const void *data, size_t n, struct error *err)
{
	(void)err;
	assert(buffer_append(context, data, n));
	return 0;
}

/* The compressed layer of an archive; false: it was refused. */
static bool write_layer(
	const uint8_t *data, size_t size, size_t piece, struct buffer *packed, struct layer *layer)
{
	const struct image_limits limits = {.layer_bytes = BYTES_MOST, .entries = 1000};
	struct layer_writer *w;
	struct error err = {0};
	int r;

	assert(layer_writer_new(&limits, collect, packed, &w, &err) == 0);
	r = 0;
	for (size_t at = 0; r == 0 && at < size; at += piece)
		r = layer_writer_feed(w, data + at, size - at < piece ? size - at : piece, &err);
	if (r == 0)
		r = layer_writer_finish(w, layer, &err);
	assert(r == 0 || (r == -(int)err.code && *err.text));
	layer_writer_free(w);
	return r == 0;
}

static void unpack(const struct buffer *packed, struct buffer *plain)
{
	z_stream z = {.next_in = packed->data, .avail_in = (uInt)packed->size};

	assert(inflateInit2(&z, 15 + 16) == Z_OK && buffer_reserve(plain, BYTES_MOST + 1));
	z.next_out = plain->data;
	z.avail_out = BYTES_MOST + 1;
	assert(inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_in == 0);
	plain->size = z.total_out;
	inflateEnd(&z);
}

static uint64_t count_entries(const struct buffer *plain)
{
	struct tar_reader *reader = tar_reader_new(NULL, NULL);
	const uint8_t *in = plain->data;
	size_t n = plain->size;
	enum tar_event event;
	uint64_t count = 0;

	do {
		assert(tar_reader_step(reader, &in, &n, &event, NULL) == 0 && event != TAR_MORE);
		count += event == TAR_ENTRY;
	} while (event != TAR_END);
	assert(n == 0);
	tar_reader_free(reader);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buffer_ struct buffer packed = {0}, plain = {0}, again = {0};
	struct layer first, second;
	uint8_t *copy;
	bool written;

	if (size < 1)
		return 0;
	copy = malloc(size);
	memcpy(copy, data, size);
	repair_checksums(copy + 1, size - 1);
	written = write_layer(copy + 1, size - 1, data[0] ? data[0] : size, &packed, &first);
	free(copy);
	if (!written)
		return 0;
	assert(first.size == packed.size);
	unpack(&packed, &plain);
	assert(first.plain_size == plain.size && count_entries(&plain) == first.entries);
	assert(write_layer(plain.data, plain.size, 4096, &again, &second));
	assert(again.size == packed.size && !memcmp(again.data, packed.data, packed.size));
	assert(!strcmp(first.digest, second.digest) && !strcmp(first.diff_id, second.diff_id));
	assert(first.newest == second.newest);
	return 0;
}
