/* SPDX-License-Identifier: Apache-2.0 */
/* A commit of a stranger: what is taken is encoded as the same bytes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "monofs/commit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

int store_put(struct store_writer *w, enum object_type type, const void *bytes, size_t n,
	struct object_id *id, bool *fresh, struct error *err)
{
	(void)w;
	(void)type;
	(void)bytes;
	(void)n;
	(void)id;
	(void)fresh;
	return error_set(err, ERROR_UNAVAILABLE, "no store");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *copy = malloc(size + 1);
	_cleanup_buffer_ struct buffer again = {0};
	_cleanup_commit_ struct commit c = {0};

	assert(copy);
	memcpy(copy, data, size);
	if (commit_decode(copy, size, &c, NULL) < 0)
		return 0;
	assert(c.parent_count <= COMMIT_PARENTS_MAX && c.author && c.message && c.generation > 0);
	assert(commit_encode(&c, &again, NULL) == 0);
	assert(again.size == size && memcmp(again.data, copy, size) == 0);
	return 0;
}
