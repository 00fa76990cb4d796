/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stranger's tar archive. The first byte chooses how it is cut into pieces, and whether the checksums of
 * its headers are made right first, without which a fuzzer hardly gets past them.
 *
 *   - in pieces and as a whole it means the same, and memory is bounded;
 *   - what is told keeps the promises of tar.h;
 *   - an entry that was read can be written, and reads back as it was.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "codec/tar.h"
#include "codec/tar_block.h"

#define MAGIC_AT    257
#define CHECKSUM_AT 148

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(uint64_t *hash, const void *data, size_t n)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < n; i++)
		*hash = (*hash ^ bytes[i]) * 0x100000001b3u;
}

static void add_number(uint64_t *hash, uint64_t value)
{
	add(hash, &value, sizeof value);
}

static void add_entry(uint64_t *hash, const struct tar_entry *e)
{
	uint64_t numbers[] = {e->type, e->mode, e->uid, e->gid, e->size, (uint64_t)e->mtime,
		e->mtime_nanoseconds, e->device_major, e->device_minor, e->xattr_count};

	add(hash, numbers, sizeof numbers);
	add(hash, e->path, strlen(e->path) + 1);
	if (e->link)
		add(hash, e->link, strlen(e->link) + 1);
	for (size_t i = 0; i < e->xattr_count; i++) {
		add(hash, e->xattrs[i].name, strlen(e->xattrs[i].name) + 1);
		add_number(hash, e->xattrs[i].size);
		add(hash, e->xattrs[i].value, e->xattrs[i].size);
	}
}

static void check_entry(const struct tar_entry *e, size_t path_limit)
{
	size_t n = strlen(e->path);
	bool link = e->type == TAR_HARD_LINK || e->type == TAR_SYMBOLIC_LINK;

	assert(n >= 1 && n <= path_limit);
	assert(n == 1 || e->path[n - 1] != '/');
	assert(link == (e->link != NULL));
	assert(!link || (*e->link && strlen(e->link) <= path_limit));
	assert(e->mode <= 07777 && e->mtime_nanoseconds <= 999999999 && e->size <= INT64_MAX);
	assert(e->type == TAR_FILE || e->type == TAR_HARD_LINK || e->size == 0);
	for (size_t i = 0; i < e->xattr_count; i++)
		assert(*e->xattrs[i].name && e->xattrs[i].value);
}

/* Written and read again: hash of the entry. The size of a hard link is not written. */
static void check_round_trip(const struct tar_entry *e)
{
	_cleanup_buffer_ struct buffer out = {0};
	struct tar_entry copy = *e;
	struct tar_reader *reader;
	uint64_t before = 0, after = 0;
	enum tar_event event;
	struct error err;
	const uint8_t *at;
	size_t left;

	copy.size = e->type == TAR_FILE ? e->size : 0;
	add_entry(&before, &copy);
	assert(tar_write_entry(&out, &copy, &err) == 0 && out.size % TAR_BLOCK == 0);
	reader = tar_reader_new(&(struct tar_limits){.extended = out.size}, &err);
	at = out.data;
	left = out.size;
	assert(tar_reader_step(reader, &at, &left, &event, &err) == 0 && event == TAR_ENTRY && left == 0);
	add_entry(&after, tar_reader_entry(reader));
	assert(before == after);
	tar_reader_free(reader);
}

struct archive {
	const uint8_t *data;
	size_t size, piece;
	uint64_t hash;
	uint64_t next, bytes; /* of the open entry: where its next byte may stand, how many it had */
	bool open, over;
};

static void take(struct archive *a, struct tar_reader *reader, enum tar_event event)
{
	const struct tar_entry *e = tar_reader_entry(reader);
	const struct tar_data *d = tar_reader_data(reader);

	switch (event) {
	case TAR_ENTRY:
		assert(!a->open && !a->over);
		a->open = true;
		a->next = 0;
		check_entry(e, 4096);
		check_round_trip(e);
		add_entry(&a->hash, e);
		break;
	case TAR_DATA:
		assert(a->open && d->size > 0 && d->offset >= a->next);
		assert(d->size <= e->size && d->offset <= e->size - d->size);
		if (d->offset > a->next)
			add_number(&a->hash, d->offset);
		add(&a->hash, d->bytes, d->size);
		a->next = d->offset + d->size;
		break;
	case TAR_ENTRY_END:
		assert(a->open);
		a->open = false;
		add_number(&a->hash, TAR_ENTRY_END);
		break;
	case TAR_END:
		assert(!a->open && !a->over);
		a->over = true;
		break;
	case TAR_MORE:
		break;
	}
}

/* Returns the hash of all that was told, and of how it ended. */
static uint64_t read_archive(struct archive a)
{
	struct tar_limits limits = {.extended = 1 << 16, .sparse_parts = 4096};
	struct error err = {0};
	struct tar_reader *reader = tar_reader_new(&limits, &err);
	int r = 0;

	for (size_t at = 0; r == 0 && at < a.size;) {
		size_t n = a.size - at < a.piece ? a.size - at : a.piece, left = n;
		const uint8_t *in = a.data + at;
		enum tar_event event;

		do {
			r = tar_reader_step(reader, &in, &left, &event, &err);
			if (r == 0)
				take(&a, reader, event);
		} while (r == 0 && event != TAR_MORE);
		assert(r < 0 || left == 0);
		at += n;
	}
	if (r == 0)
		r = tar_reader_finish(reader, &err);
	if (r < 0)
		assert(r == -(int)err.code && tar_reader_finish(reader, &err) == r);
	assert(r < 0 || !a.open);
	add_number(&a.hash, (uint64_t)r);
	tar_reader_free(reader);
	return a.hash;
}

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct archive a = {.piece = size};
	uint8_t *copy;
	uint64_t whole;

	if (size < 2)
		return 0;
	copy = malloc(size - 1);
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 1)
		repair_checksums(copy, size - 1);
	a.data = copy;
	a.size = size - 1;
	whole = read_archive(a);
	a.piece = 1 + (size_t)(data[0] >> 1) * 7;
	assert(read_archive(a) == whole);
	free(copy);
	return 0;
}
