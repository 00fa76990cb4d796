/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pack from a stranger: whatever its bytes say, reading it ends, within its bounds. The first byte of the
 * input says how a pack is made of the rest:
 *
 *     even  u16 n, n bytes that become the directory, compressed and with trailer and sums made right; the
 *           rest are its frames
 *     odd   the pack as it is
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monofs/pack_file.h"

#define READ_MAX (64u << 20) /* bytes of frames that are read of one pack */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void append_trailer(struct buffer *out, uint64_t stored, uint64_t raw)
{
	struct pack_trailer t = {.offset = out->size - stored, .stored = stored, .raw = raw};
	uint8_t bytes[PACK_TRAILER_SIZE];

	assert(sha256_of(out->data + t.offset, stored, t.sum, NULL) == 0);
	assert(pack_trailer_encode(&t, bytes, NULL) == 0);
	buffer_append(out, bytes, sizeof bytes);
}

static void compose(const uint8_t *data, size_t size, struct buffer *out)
{
	static const uint8_t header[PACK_HEADER_SIZE] = "MFSPACK1";
	uint8_t compressed[ZSTD_COMPRESSBOUND(65536)];
	size_t n = size < 2 ? 0 : (size_t)(data[0] | data[1] << 8), stored;

	if (size < 2)
		return;
	data += 2;
	size -= 2;
	n = n < size ? n : size;
	stored = ZSTD_compress(compressed, sizeof compressed, data, n, 1);
	assert(!ZSTD_isError(stored));
	buffer_append(out, header, sizeof header);
	buffer_append(out, data + n, size - n);
	buffer_append(out, compressed, stored);
	append_trailer(out, stored, n);
}

static void read_frames(const struct pack *p, const struct crypt *crypt)
{
	static ZSTD_DCtx *decompressor;
	struct buffer scratch = {0};
	uint64_t total = 0;
	struct error err;

	if (!decompressor)
		decompressor = ZSTD_createDCtx();
	for (uint32_t i = 0; i < p->directory.frame_count && total < READ_MAX; i++) {
		const struct pack_frame *f = &p->directory.frames[i];
		uint8_t *out = malloc(f->raw + (size_t)CRYPT_TAG_SIZE);

		assert(f->raw <= OBJECT_MAX && f->offset + f->stored <= p->size);
		assert(f->first + f->count <= p->directory.object_count);
		total += f->raw;
		if (pack_read_frame(p, i, f, crypt, decompressor, &scratch, out, &err) < 0)
			assert(err.code == ERROR_CORRUPT && *err.text);
		assert(pack_offset(&p->directory, f, f->first + f->count) == f->raw);
		free(out);
	}
	buffer_free(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct crypt crypt;
	static const uint8_t name[SHA256_SIZE];
	struct buffer file = {0};
	struct pack *p;
	struct error err;
	int fd;

	if (size == 0)
		return 0;
	if (data[0] & 1)
		buffer_append(&file, data + 1, size - 1);
	else
		compose(data + 1, size - 1, &file);
	fd = memfd_create("pack", MFD_CLOEXEC);
	assert(fd >= 0 && write(fd, file.data, file.size) == (ssize_t)file.size);
	buffer_free(&file);
	if (pack_attach(fd, name, &crypt, &p, &err) < 0) {
		assert(err.code == ERROR_CORRUPT && *err.text);
		return 0;
	}
	read_frames(p, &crypt);
	assert(pack_verify(p, &err) < 0);
	pack_close(p);
	return 0;
}
