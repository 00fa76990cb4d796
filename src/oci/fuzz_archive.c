/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stranger's archive of an image, as docker and as an OCI layout: its members are found, its documents read
 * and a plan made of them, or an error. The checksums of its headers are made right first.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "oci/blobs.h"
#include "oci/plan.h"

#define BLOCK       512
#define MAGIC_AT    257
#define CHECKSUM_AT 148

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void repair_checksums(uint8_t *data, size_t size)
{
	for (size_t at = 0; at + BLOCK <= size; at += BLOCK) {
		uint8_t *block = data + at;
		unsigned sum = 0;

		if (memcmp(block + MAGIC_AT, "ustar", 5) != 0)
			continue;
		memset(block + CHECKSUM_AT, ' ', 8);
		for (size_t i = 0; i < BLOCK; i++)
			sum += block[i];
		for (size_t i = 6; i-- > 0; sum >>= 3)
			block[CHECKSUM_AT + i] = (uint8_t)('0' + (sum & 7));
		block[CHECKSUM_AT + 6] = 0;
	}
}

static void write_input(int fd, const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (size)
		memcpy(copy, data, size);
	repair_checksums(copy, size);
	assert(ftruncate(fd, 0) == 0 && pwrite(fd, copy, size, 0) == (ssize_t)size);
	free(copy);
}

typedef int (*plan_call)(
	const struct blobs *b, const struct plan_options *o, struct image_plan *p, struct error *err);

static void check_plan(const struct blobs *b, plan_call make)
{
	struct plan_options options = {.platform = "linux/amd64", .layers = 100};
	struct error err = {0};
	struct image_plan p;
	int r = make(b, &options, &p, &err);

	assert(r == -(int)err.code && (r == 0 || (*err.text && !p.count && !p.layers)));
	assert(r < 0 || (p.count <= 100 && oci_digest_valid(p.digest)));
	for (size_t i = 0; i < p.count; i++)
		assert(p.layers[i].name && oci_digest_valid(p.layers[i].diff_id));
	image_plan_free(&p);
}

static void check_members(const struct blobs *b, size_t size)
{
	const struct map_slot *slot;
	size_t at = 0;

	while ((slot = map_next(&b->members, &at))) {
		_cleanup_free_ char *name = text_copy_bytes(slot->key, slot->key_size, NULL);
		_cleanup_buffer_ struct buffer bytes = {0};
		struct blob blob;

		if (blobs_find(b, name, &blob, NULL) < 0)
			continue;
		close(blob.fd);
		(void)blobs_read(b, name, size, &bytes, NULL);
		assert(bytes.size <= size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd;
	struct error err = {0};
	struct blobs b;
	char path[64];
	int r;

	if (!fd)
		fd = memfd_create("archive", 0);
	write_input(fd, data, size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	r = blobs_open(path, &b, &err);
	assert(r == -(int)err.code && (r == 0 || *err.text));
	if (r < 0)
		return 0;
	check_members(&b, size);
	check_plan(&b, plan_archive);
	check_plan(&b, plan_layout);
	blobs_close(&b);
	return 0;
}
