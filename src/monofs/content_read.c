/* SPDX-License-Identifier: Apache-2.0 */
/* What files hold is read. */
#include "monofs/content_list.h"

static int find_in(struct store *s, const struct content_ref *ref, unsigned depth, uint64_t offset,
	struct content_ref *found, uint64_t *begins, struct error *err);

/* `offset` lies in the list, which begins at *begins. */
static int find_in_list(struct store *s, const struct content_ref *list, unsigned depth, uint64_t offset,
	struct content_ref *found, uint64_t *begins, struct error *err)
{
	struct content_list l;
	struct content_ref ref;
	int r = content_list_load(s, list, depth, &l, err);

	while (r == 0 && content_list_next(&l, &ref)) {
		if (offset - *begins < ref.size) {
			r = find_in(s, &ref, depth, offset, found, begins, err);
			break;
		}
		*begins += ref.size;
	}
	content_list_release(s, &l);
	return r;
}

static int find_in(struct store *s, const struct content_ref *ref, unsigned depth, uint64_t offset,
	struct content_ref *found, uint64_t *begins, struct error *err)
{
	if (depth > 0)
		return find_in_list(s, ref, depth - 1, offset, found, begins, err);
	*found = *ref;
	return 0;
}

int content_find(struct store *s, const struct content *c, uint64_t offset, struct content_ref *ref,
	uint64_t *begins, struct error *err)
{
	*begins = 0;
	for (size_t i = 0; i < c->ref_count; i++) {
		if (offset - *begins < c->refs[i].size)
			return find_in(s, &c->refs[i], c->depth, offset, ref, begins, err);
		*begins += c->refs[i].size;
	}
	return error_set(err, ERROR_NOT_FOUND, "byte %llu of a file: it has %llu", (unsigned long long)offset,
		(unsigned long long)c->size);
}

int content_chunk(struct store *s, const struct content_ref *ref, struct store_bytes *out, struct error *err)
{
	char hex[OBJECT_HEX_SIZE];
	int r = store_get(s, OBJECT_CHUNK, &ref->id, out, err);

	if (r == 0 && out->size != ref->size) {
		store_release(s, out);
		return error_set(err, ERROR_CORRUPT, "chunk %s: it has %zu bytes, where %llu are said",
			object_id_hex(&ref->id, hex), out->size, (unsigned long long)ref->size);
	}
	return r;
}

/* Bytes of one chunk or hole. */
static int read_part(
	struct store *s, const struct content_ref *ref, uint64_t from, void *to, size_t n, struct error *err)
{
	struct store_bytes chunk = {0};
	int r;

	if (object_id_is_none(&ref->id)) {
		memset(to, 0, n);
		return 0;
	}
	r = content_chunk(s, ref, &chunk, err);
	if (r < 0)
		return r;
	memcpy(to, chunk.bytes + from, n);
	store_release(s, &chunk);
	return 0;
}

struct walk {
	struct store *s;
	content_take *take, *list;
	void *context;
	uint64_t offset, from,
		to; /* chunks, holes and lists that lie apart from these bytes are passed over */
};

static int walk_ref(struct walk *w, const struct content_ref *ref, unsigned depth, struct error *err);

static int walk_list(struct walk *w, const struct content_ref *list, unsigned depth, struct error *err)
{
	struct content_list l;
	struct content_ref ref;
	int r = w->list ? w->list(w->context, w->offset, list, err) : 0;

	if (r != 0) {
		w->offset += list->size;
		return r == 1 ? 0 : r;
	}
	r = content_list_load(w->s, list, depth, &l, err);
	while (r == 0 && w->offset < w->to && content_list_next(&l, &ref))
		r = walk_ref(w, &ref, depth, err);
	content_list_release(w->s, &l);
	return r;
}

static int walk_ref(struct walk *w, const struct content_ref *ref, unsigned depth, struct error *err)
{
	int r = 0;

	if (w->offset + ref->size > w->from) {
		if (depth > 0)
			return walk_list(w, ref, depth - 1, err);
		r = w->take(w->context, w->offset, ref, err);
	}
	w->offset += ref->size;
	return r;
}

static int walk(struct walk *w, const struct content *c, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && w->offset < w->to && i < c->ref_count; i++)
		r = walk_ref(w, &c->refs[i], c->depth, err);
	return r;
}

int content_walk(struct store *s, const struct content *c, content_take *take, content_take *list,
	void *context, struct error *err)
{
	struct walk w = {.s = s, .take = take, .list = list, .context = context, .to = UINT64_MAX};

	return walk(&w, c, err);
}

struct reading {
	struct store *s;
	uint8_t *to;
	uint64_t from, end;
};

static int read_ref(void *context, uint64_t offset, const struct content_ref *ref, struct error *err)
{
	struct reading *r = context;
	uint64_t from = offset > r->from ? offset : r->from;
	uint64_t end = offset + ref->size < r->end ? offset + ref->size : r->end;

	return read_part(r->s, ref, from - offset, r->to + (from - r->from), (size_t)(end - from), err);
}

ssize_t content_read(
	struct store *s, const struct content *c, void *to, size_t n, uint64_t offset, struct error *err)
{
	struct reading reading = {.s = s, .to = to, .from = offset};
	struct walk w = {.s = s, .take = read_ref, .context = &reading, .from = offset};
	int r;

	if (offset >= c->size)
		return 0;
	if (n > c->size - offset)
		n = (size_t)(c->size - offset);
	if (c->ref_count == 0) {
		memcpy(to, c->bytes + offset, n);
		return (ssize_t)n;
	}
	w.to = reading.end = offset + n;
	r = walk(&w, c, err);
	return r < 0 ? r : (ssize_t)n;
}

static int prefetch_ref(void *context, uint64_t offset, const struct content_ref *ref, struct error *err)
{
	(void)offset;
	(void)err;
	if (!object_id_is_none(&ref->id))
		store_prefetch(context, OBJECT_CHUNK, &ref->id);
	return 0;
}

void content_prefetch(struct store *s, const struct content *c, uint64_t offset, uint64_t end)
{
	struct walk w = {.s = s, .take = prefetch_ref, .context = s, .from = offset, .to = end};

	walk(&w, c, NULL);
}
