/* SPDX-License-Identifier: Apache-2.0 */
#include <lz4.h>
#include <string.h>
#include <zstd.h>

#include "vm/kernel_parts.h"

#define VMLINUX_MAX (256u << 20)
#define LZ4_BLOCK   (8u << 20) /* of the legacy frame format (lz4_Frame_format.md, "Legacy frame") */

#define SETUP_SECTS    0x1f1
#define HEADER_MAGIC   0x202
#define BOOT_VERSION   0x206
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define HEADER_END     0x250

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int malformed(struct error *err, const char *what)
{
	return error_set(err, ERROR_INVALID, "the kernel image is malformed: %s", what);
}

/* Blocks until the payload's last four bytes, which hold the size of the kernel. */
static int extract_lz4(const uint8_t *p, size_t n, struct buffer *out, struct error *err)
{
	for (p += 4, n -= 4; n > 4;) {
		uint32_t size = get_u32(p);
		int got;

		p += 4;
		n -= 4;
		if (size > n)
			return malformed(err, "an lz4 block is cut");
		if (!buffer_reserve(out, LZ4_BLOCK))
			return error_set(err, ERROR_LIMIT, "the kernel is over %u MiB", VMLINUX_MAX >> 20);
		got = LZ4_decompress_safe(
			(const char *)p, (char *)out->data + out->size, (int)size, LZ4_BLOCK);
		if (got < 0)
			return malformed(err, "an lz4 block does not decompress");
		out->size += (size_t)got;
		p += size;
		n -= size;
	}
	return 0;
}

static int extract_zstd(const uint8_t *p, size_t n, struct buffer *out, struct error *err)
{
	ZSTD_inBuffer in = {.src = p, .size = n};
	ZSTD_DStream *stream = ZSTD_createDStream();
	size_t r = 1;

	while (stream && r != 0) {
		ZSTD_outBuffer part;

		if (!buffer_reserve(out, 1 << 20))
			break;
		part = (ZSTD_outBuffer){.dst = out->data + out->size, .size = 1 << 20};
		r = ZSTD_decompressStream(stream, &part, &in);
		out->size += part.pos;
		if (ZSTD_isError(r) || (in.pos == in.size && part.pos == 0 && r != 0))
			break;
	}
	ZSTD_freeDStream(stream);
	if (out->failed)
		return error_set(err, ERROR_LIMIT, "the kernel is over %u MiB", VMLINUX_MAX >> 20);
	return r == 0 ? 0 : malformed(err, "its zstd payload does not decompress");
}

int kernel_image_extract(const uint8_t *image, size_t n, struct buffer *vmlinux, struct error *err)
{
	static const uint8_t lz4_legacy[] = {0x02, 0x21, 0x4c, 0x18}, zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
	uint64_t at, length;
	int r;

	if (n < HEADER_END || memcmp(image + HEADER_MAGIC, "HdrS", 4) || image[BOOT_VERSION + 1] < 2 ||
		(image[BOOT_VERSION + 1] == 2 && image[BOOT_VERSION] < 8))
		return malformed(err, "no bzImage header of protocol 2.08");
	at = (image[SETUP_SECTS] ? image[SETUP_SECTS] + 1u : 5u) * 512u +
	     (uint64_t)get_u32(image + PAYLOAD_OFFSET);
	length = get_u32(image + PAYLOAD_LENGTH);
	if (at > n || length > n - at || length < 8)
		return malformed(err, "its payload lies outside of it");
	vmlinux->limit = VMLINUX_MAX;
	if (!memcmp(image + at, lz4_legacy, 4))
		r = extract_lz4(image + at, length, vmlinux, err);
	else if (!memcmp(image + at, zstd, 4))
		r = extract_zstd(image + at, length, vmlinux, err);
	else
		r = error_set(err, ERROR_UNAVAILABLE,
			"the kernel image is compressed with something else than lz4 or zstd");
	if (r == 0 && (vmlinux->size < 64 || memcmp(vmlinux->data, "\177ELF", 4)))
		r = malformed(err, "there is no ELF kernel in it");
	return r;
}
