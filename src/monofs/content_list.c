/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/content_list.h"

static bool step(struct cursor *c, struct content_ref *ref)
{
	const uint8_t *id = cursor_take(c, OBJECT_ID_SIZE);

	if (id)
		memcpy(ref->id.bytes, id, OBJECT_ID_SIZE);
	ref->size = cursor_u64(c);
	return !c->failed;
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
		struct content_ref *ref = &refs[i > 0];
		const char *fault;

		step(&c, ref);
		/* Each with the one before it, which is where two holes are seen. */
		fault = content_ref_fault(ref, i > 0 ? &refs[0] : NULL, depth);
		if (fault)
			return fault;
		if (__builtin_add_overflow(sum, ref->size, &sum) || sum > size)
			return "parts that are more than the list";
		refs[0] = *ref;
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
	if (l->left == 0)
		return false;
	l->left--;
	return step(&l->refs, ref);
}

void content_list_release(struct store *s, struct content_list *l)
{
	store_release(s, &l->held);
	*l = (struct content_list){0};
}
