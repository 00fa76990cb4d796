/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/content_list.h"

/* Of each list all refs are decoded with each read: at once, not by a call for each integer. */
static void decode(const uint8_t at[CONTENT_REF_SIZE], struct content_ref *ref)
{
	const uint8_t *size = at + OBJECT_ID_SIZE;

	memcpy(ref->id.bytes, at, OBJECT_ID_SIZE);
	ref->size = (uint64_t)size[0] | (uint64_t)size[1] << 8 | (uint64_t)size[2] << 16 |
		    (uint64_t)size[3] << 24 | (uint64_t)size[4] << 32 | (uint64_t)size[5] << 40 |
		    (uint64_t)size[6] << 48 | (uint64_t)size[7] << 56;
}

const char *content_list_fault(const uint8_t *bytes, size_t n, unsigned depth, uint64_t size)
{
	struct cursor c = cursor_of(bytes, n);
	struct content_ref refs[2];
	uint64_t sum = 0;
	unsigned is = cursor_u8(&c);
	size_t count = cursor_u16(&c);

	if (c.failed || count == 0 || count > LIST_REFS_MAX || c.left != count * CONTENT_REF_SIZE)
		return "a list of a wrong length";
	if (is != depth)
		return "a list of another depth than is said";
	for (size_t i = 0; i < count; i++) {
		struct content_ref *ref = &refs[i & 1];
		const char *fault;

		decode(c.data + i * CONTENT_REF_SIZE, ref);
		/* Each with the one before it, which is where two holes are seen. */
		fault = content_ref_fault(ref, i > 0 ? &refs[~i & 1] : NULL, depth);
		if (fault)
			return fault;
		if (__builtin_add_overflow(sum, ref->size, &sum) || sum > size)
			return "parts that are more than the list";
	}
	return sum == size ? NULL : "parts that are less than the list";
}

int content_list_load(struct store *s, const struct content_ref *ref, unsigned depth,
	struct content_list *out, struct error *err)
{
	char hex[OBJECT_HEX_SIZE];
	const char *fault;
	int r;

	*out = (struct content_list){0};
	r = store_get(s, OBJECT_LIST, &ref->id, &out->held, err);
	if (r < 0)
		return r;
	fault = content_list_fault(out->held.bytes, out->held.size, depth, ref->size);
	if (fault)
		return error_set(err, ERROR_CORRUPT, "list %s: %s", object_id_hex(&ref->id, hex), fault);
	out->refs = cursor_of(out->held.bytes + 1, out->held.size - 1);
	out->left = cursor_u16(&out->refs);
	return 0;
}

bool content_list_next(struct content_list *l, struct content_ref *ref)
{
	const uint8_t *at = l->left ? cursor_take(&l->refs, CONTENT_REF_SIZE) : NULL;

	if (!at)
		return false;
	l->left--;
	decode(at, ref);
	return true;
}

void content_list_release(struct store *s, struct content_list *l)
{
	store_release(s, &l->held);
	*l = (struct content_list){0};
}
