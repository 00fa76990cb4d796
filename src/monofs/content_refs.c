/* SPDX-License-Identifier: Apache-2.0 */
/* The refs of a file become lists, and lists of lists, as they come. */
#include <stdlib.h>

#include "monofs/content_list.h"

static bool ends_list(const struct content_ref *ref, size_t count)
{
	if (object_id_is_none(&ref->id))
		return false;
	return ref->id.bytes[OBJECT_ID_SIZE - 1] == 0 || count >= LIST_REFS_MAX - 1;
}

static int put_list(struct content_refs *b, const struct content_ref *refs, size_t count, unsigned depth,
	struct content_ref *list, struct error *err)
{
	_cleanup_buffer_ struct buffer bytes = {0};

	list->size = 0;
	for (size_t i = 0; i < count; i++)
		list->size += refs[i].size;
	buffer_u8(&bytes, (uint8_t)depth);
	content_refs_encode(refs, count, &bytes);
	if (bytes.failed)
		return error_no_memory(err, "make a list of chunks");
	return store_put(b->w, OBJECT_LIST, bytes.data, bytes.size, &list->id, NULL, err);
}

static int add(struct content_refs *b, const struct content_ref *ref, unsigned depth, struct error *err);

/* The first refs of a level become a list, which goes one level up. */
static int part(struct content_refs *b, unsigned depth, size_t count, struct error *err)
{
	struct content_level *l = &b->levels[depth];
	struct content_ref list;
	int r = put_list(b, l->refs, count, depth, &list, err);

	if (r < 0)
		return r;
	l->count -= count;
	memmove(l->refs, l->refs + count, l->count * sizeof *l->refs);
	return add(b, &list, depth + 1, err);
}

/* There are more than an entry has: from now on each list goes as soon as it ends. */
static int begin_lists(struct content_refs *b, unsigned depth, struct error *err)
{
	struct content_level *l = &b->levels[depth];
	size_t count = 1;

	l->lists = true;
	while (count <= l->count) {
		int r;

		if (!ends_list(&l->refs[count - 1], count)) {
			count++;
			continue;
		}
		r = part(b, depth, count, err);
		if (r < 0)
			return r;
		count = 1;
	}
	return 0;
}

static int add(struct content_refs *b, const struct content_ref *ref, unsigned depth, struct error *err)
{
	struct content_level *l = &b->levels[depth];

	if (depth > CONTENT_DEPTH_MAX)
		return error_set(err, ERROR_LIMIT, "a file of too many chunks");
	if (!l->refs) {
		l->refs = malloc(LIST_REFS_MAX * sizeof *l->refs);
		if (!l->refs)
			return error_no_memory(err, "make a list of chunks");
	}
	l->refs[l->count++] = *ref;
	if (!l->lists)
		return l->count > ENTRY_REFS_MAX ? begin_lists(b, depth, err) : 0;
	return ends_list(ref, l->count) ? part(b, depth, l->count, err) : 0;
}

static int add_hole(struct content_refs *b, struct error *err)
{
	struct content_ref hole = {.size = b->hole};

	b->hole = 0;
	return hole.size ? add(b, &hole, 0, err) : 0;
}

int content_refs_add(struct content_refs *b, const struct content_ref *chunk, struct error *err)
{
	int r = add_hole(b, err);

	return r < 0 ? r : add(b, chunk, 0, err);
}

void content_refs_hole(struct content_refs *b, uint64_t size)
{
	b->hole += size;
}

bool content_refs_takes_list(const struct content_refs *b, unsigned depth)
{
	for (unsigned i = 0; i <= depth; i++) {
		if (b->levels[i].count || !b->levels[i].lists)
			return false;
	}
	return b->hole == 0;
}

int content_refs_add_list(
	struct content_refs *b, const struct content_ref *list, unsigned depth, struct error *err)
{
	return add(b, list, depth + 1, err);
}

int content_refs_finish(struct content_refs *b, struct content *out, struct error *err)
{
	int r = add_hole(b, err);

	for (unsigned depth = 0; r == 0 && depth <= CONTENT_DEPTH_MAX; depth++) {
		struct content_level *l = &b->levels[depth];

		if (!l->lists) {
			out->depth = depth;
			out->refs = l->refs;
			out->ref_count = l->count;
			return 0;
		}
		if (l->count)
			r = part(b, depth, l->count, err);
	}
	return r < 0 ? r : error_set(err, ERROR_LIMIT, "a file of too many chunks");
}

void content_refs_clear(struct content_refs *b)
{
	for (unsigned i = 0; i <= CONTENT_DEPTH_MAX; i++) {
		b->levels[i].count = 0;
		b->levels[i].lists = false;
	}
	b->hole = 0;
}

void content_refs_free(struct content_refs *b)
{
	for (unsigned i = 0; i <= CONTENT_DEPTH_MAX; i++)
		free(b->levels[i].refs);
}
