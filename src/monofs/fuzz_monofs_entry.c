/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries, identities and lists of a stranger: what is taken is encoded as the same bytes, and nothing is
 * read beyond them. The first byte says which of them the rest is.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "monofs/content_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No store is behind it: lists are judged by their bytes. */
int store_get(struct store *s, enum object_type type, const struct object_id *id, struct store_bytes *out,
	struct error *err)
{
	(void)s;
	(void)type;
	(void)id;
	*out = (struct store_bytes){0};
	return error_set(err, ERROR_NOT_FOUND, "it is not there");
}

void store_release(struct store *s, struct store_bytes *bytes)
{
	(void)s;
	*bytes = (struct store_bytes){0};
}

static void check_same(const struct buffer *again, const uint8_t *bytes, size_t n)
{
	assert(!again->failed && again->size == n && memcmp(again->data, bytes, n) == 0);
}

static void try_entry(const uint8_t *bytes, size_t n)
{
	_cleanup_entry_ struct entry e = {0}, owned = {0};
	_cleanup_buffer_ struct buffer again = {0};

	if (entry_decode(bytes, n, &e, NULL) < 0) {
		assert(entry_decode_owned(bytes, n, &owned, NULL) < 0);
		return;
	}
	assert(entry_encode(&e, &again, NULL) == 0);
	check_same(&again, bytes, n);
	buffer_clear(&again);
	assert(entry_decode_owned(bytes, n, &owned, NULL) == 0);
	assert(entry_encode(&owned, &again, NULL) == 0);
	check_same(&again, bytes, n);
}

static void try_identity(const uint8_t *bytes, size_t n)
{
	_cleanup_buffer_ struct buffer again = {0};
	struct identity i;

	if (identity_decode(bytes, n, &i, NULL) < 0)
		return;
	assert(identity_encode(&i, &again, NULL) == 0);
	check_same(&again, bytes, n);
}

/* depth and size: as an entry or a list above says them; any will do. */
static void try_list(const uint8_t *bytes, size_t n)
{
	struct cursor size = cursor_of(bytes, n);
	uint64_t says = cursor_u64(&size);

	if (size.failed || size.left == 0)
		return;
	if (!content_list_fault(size.data, size.left, size.data[0], says))
		assert(size.left <= 3 + (size_t)LIST_REFS_MAX * CONTENT_REF_SIZE && says > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *copy = NULL;

	if (size == 0)
		return 0;
	/* Of its own size, for the sanitizer to watch over. */
	copy = malloc(size);
	assert(copy);
	memcpy(copy, data + 1, size - 1);
	if (data[0] % 3 == 0)
		try_entry(copy, size - 1);
	else if (data[0] % 3 == 1)
		try_identity(copy, size - 1);
	else
		try_list(copy, size - 1);
	return 0;
}
