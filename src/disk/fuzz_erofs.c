/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A damaged or hostile EROFS image: whatever its bytes say, each call ends, and stays within its buffers. The
 * superblock's checksum and size are made right first. The input is what follows the first 1,024 bytes.
 */
#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/erofs.h"
#include "disk/erofs_format.h"
#include "disk/erofs_reader.h"

#define BLOCKS_MAX 16u
#define NODES_MAX  200u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct look {
	const struct erofs_reader *reader;
	unsigned left; /* calls that are still made */
};

static int take_xattr(void *context, const char *name, const uint8_t *value, size_t n)
{
	uint8_t sum = 0;

	(void)context;
	assert(strlen(name) <= EROFS_NAME_MAX + 24);
	for (size_t i = 0; i < n; i++)
		sum ^= value[i];
	return sum > 255;
}

static void look_at(struct look *l, uint64_t nid);

static int take_name(void *context, const char *name, size_t n, uint64_t nid, uint8_t type)
{
	struct look *l = context;

	(void)type;
	assert(n > 0 && n <= EROFS_NAME_MAX && memchr(name, name[n - 1], n));
	if (l->left == 0)
		return 1;
	l->left--;
	look_at(l, nid);
	return 0;
}

static void look_at(struct look *l, uint64_t nid)
{
	static uint8_t bytes[3 * EROFS_BLOCK];
	struct erofs_stat s;
	struct error err;

	if (erofs_reader_stat(l->reader, nid, &s, &err) < 0)
		return;
	(void)erofs_reader_xattrs(l->reader, &s, take_xattr, NULL, &err);
	for (int i = 0; i < 3; i++) {
		uint64_t at = i == 0 ? 0 : i == 1 ? s.size / 2 : s.size - 1;
		int64_t n = erofs_reader_read(l->reader, &s, at, bytes, sizeof bytes, &err);

		assert(n <= (int64_t)sizeof bytes && (n < 0 || (uint64_t)n <= s.size));
	}
	if (S_ISDIR(s.mode))
		(void)erofs_reader_list(l->reader, &s, take_name, l, &err);
}

static size_t make_image(uint8_t *image, const uint8_t *data, size_t size)
{
	uint8_t *super = image + EROFS_SUPER_OFFSET;
	size_t room = BLOCKS_MAX * EROFS_BLOCK - EROFS_SUPER_OFFSET, blocks;

	size = size < room ? size : room;
	memset(image, 0, BLOCKS_MAX * EROFS_BLOCK);
	if (size)
		memcpy(super, data, size);
	blocks = (EROFS_SUPER_OFFSET + size + EROFS_BLOCK - 1) / EROFS_BLOCK;
	put32(super, EROFS_MAGIC);
	super[EROFS_SUPER_BLOCK_BITS] = EROFS_BLOCK_BITS;
	put32(super + EROFS_SUPER_INCOMPAT, EROFS_INCOMPAT_CHUNKED);
	put32(super + EROFS_SUPER_BLOCKS, (uint32_t)blocks);
	put32(super + EROFS_SUPER_CHECKSUM, 0);
	put32(super + EROFS_SUPER_CHECKSUM, erofs_checksum(super, EROFS_BLOCK - EROFS_SUPER_OFFSET));
	return blocks * EROFS_BLOCK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t image[BLOCKS_MAX * EROFS_BLOCK];
	static int fd;
	struct erofs_reader reader;
	struct look look = {&reader, NODES_MAX};
	struct erofs_stat s;
	struct error err;
	size_t bytes = make_image(image, data, size);

	if (!fd)
		fd = memfd_create("image", 0);
	assert(ftruncate(fd, 0) == 0 && pwrite(fd, image, bytes, 0) == (ssize_t)bytes);
	assert(erofs_reader_open(fd, &reader, &err) == 0);
	look_at(&look, reader.root);
	(void)erofs_reader_find(&reader, "a/b/../c", &s, &err);
	return 0;
}
