/* SPDX-License-Identifier: Apache-2.0 */
/* What a file holds: ranges of the journal over the contents that the newest revision has. */
#include <errno.h>
#include <string.h>

#include "monofs/live_parts.h"

struct live_contents live_contents_of(struct live *l, struct live_node *n)
{
	return (struct live_contents){.live = l,
		.size = n->file.size,
		.base_limit = n->file.base_limit,
		.extents = &n->file.extents,
		.base = n->base};
}

static const struct content *base_of(const struct live_contents *c)
{
	return &c->base->entry.content;
}

static size_t least(size_t n, uint64_t most)
{
	return most < n ? (size_t)most : n;
}

/* Of the base alone. */
static int read_base(const struct live_contents *c, uint8_t *to, size_t n, uint64_t offset)
{
	size_t there = c->base && offset < c->base_limit ? least(n, c->base_limit - offset) : 0;
	ssize_t got;

	memset(to + there, 0, n - there);
	if (!there)
		return 0;
	got = content_read(c->live->store, base_of(c), to, there, offset, NULL);
	if (got < 0)
		return live_errno((int)got);
	return (size_t)got == there ? 0 : -EIO;
}

static int read_extent(
	const struct live_contents *c, const struct live_extent *x, uint8_t *to, size_t n, uint64_t offset)
{
	if (x->kind == LIVE_DATA)
		return journal_read(c->live->journal, x->segment, x->at, x->body,
			x->skip + (size_t)(offset - x->offset), to, n);
	memset(to, 0, n);
	return 0;
}

int live_contents_read(const struct live_contents *c, void *to, size_t n, uint64_t offset)
{
	const struct live_extents *e = c->extents;
	uint8_t *at = to;
	int r = 0;

	for (size_t i = live_extents_find(e, offset); r == 0 && n;) {
		const struct live_extent *x = i < e->count ? &e->list[i] : NULL;
		size_t part;

		if (x && x->offset <= offset) {
			part = least(n, x->offset + x->size - offset);
			r = read_extent(c, x, at, part, offset);
			i++;
		} else {
			part = x ? least(n, x->offset - offset) : n;
			r = read_base(c, at, part, offset);
		}
		at += part;
		offset += part;
		n -= part;
	}
	return r;
}

static int run_of_base(
	const struct live_contents *c, uint64_t offset, uint64_t *size, enum live_extent_kind *kind)
{
	struct content_ref ref;
	uint64_t begins;
	int r;

	*kind = LIVE_HOLE;
	if (!c->base || offset >= c->base_limit)
		return 0;
	if (*size > c->base_limit - offset)
		*size = c->base_limit - offset;
	*kind = LIVE_DATA;
	if (!base_of(c)->ref_count)
		return 0;
	r = live_errno(content_find(c->live->store, base_of(c), offset, &ref, &begins, NULL));
	if (r < 0)
		return r;
	*kind = object_id_is_none(&ref.id) ? LIVE_HOLE : LIVE_DATA;
	if (*size > begins + ref.size - offset)
		*size = begins + ref.size - offset;
	return 0;
}

int live_contents_run(
	const struct live_contents *c, uint64_t offset, uint64_t *size, enum live_extent_kind *kind)
{
	const struct live_extents *e = c->extents;
	size_t i = live_extents_find(e, offset);
	const struct live_extent *x = i < e->count ? &e->list[i] : NULL;

	*size = c->size - offset;
	if (x && x->offset <= offset) {
		if (*size > x->offset + x->size - offset)
			*size = x->offset + x->size - offset;
		*kind = x->kind;
		return 0;
	}
	if (x && *size > x->offset - offset)
		*size = x->offset - offset;
	return run_of_base(c, offset, size, kind);
}
