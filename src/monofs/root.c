/* SPDX-License-Identifier: Apache-2.0 */
/* The two roots of a revision, each around what its directory's name would lead to. */
#include "monofs/entry.h"

static int root_put(
	struct store_writer *w, const struct buffer *bytes, struct object_id *id, struct error *err)
{
	return store_put(w, OBJECT_ROOT, bytes->data, bytes->size, id, NULL, err);
}

int root_put_content(struct store_writer *w, const struct entry *e, struct object_id *id, struct error *err)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	int r;

	if (e->kind != ENTRY_DIRECTORY)
		return error_set(err, ERROR_INVALID, "a root that is no directory");
	buffer_u8(&bytes, OBJECT_CONTENT);
	r = entry_encode(e, &bytes, err);
	return r < 0 ? r : root_put(w, &bytes, id, err);
}

int root_put_identity(
	struct store_writer *w, const struct identity *i, struct object_id *id, struct error *err)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	int r;

	buffer_u8(&bytes, OBJECT_IDENTITY);
	r = identity_encode(i, &bytes, err);
	return r < 0 ? r : root_put(w, &bytes, id, err);
}

static int root_error(const struct object_id *id, struct error *err)
{
	char hex[OBJECT_HEX_SIZE];

	return error_prefix(err, "root %s", object_id_hex(id, hex));
}

static int root_get(struct store *s, enum object_type kind, const struct object_id *id,
	struct store_bytes *out, struct error *err)
{
	int r = store_get(s, OBJECT_ROOT, id, out, err);

	if (r < 0)
		return r;
	if (out->size == 0 || out->bytes[0] != kind) {
		store_release(s, out);
		error_set(err, ERROR_CORRUPT, "it is no root of this kind");
		return root_error(id, err);
	}
	return 0;
}

int root_get_content(struct store *s, const struct object_id *id, struct entry *e, struct error *err)
{
	struct store_bytes held = {0};
	int r;

	*e = (struct entry){0};
	r = root_get(s, OBJECT_CONTENT, id, &held, err);
	if (r < 0)
		return r;
	r = entry_decode_owned(held.bytes + 1, held.size - 1, e, err);
	store_release(s, &held);
	if (r == 0 && e->kind != ENTRY_DIRECTORY) {
		entry_free(e);
		r = error_set(err, ERROR_CORRUPT, "it is no directory");
	}
	return r < 0 ? root_error(id, err) : 0;
}

int root_get_identity(struct store *s, const struct object_id *id, struct identity *i, struct error *err)
{
	struct store_bytes held = {0};
	int r = root_get(s, OBJECT_IDENTITY, id, &held, err);

	if (r < 0)
		return r;
	r = identity_decode(held.bytes + 1, held.size - 1, i, err);
	store_release(s, &held);
	return r < 0 ? root_error(id, err) : 0;
}
