/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes become chunks. The cutter has a window of the new file: at a cut, either all that is left of the file
 * is in it, or as much as a chunk can have.
 *
 * An update goes through the old file's parts in order. Where the last cut of the new file is one of the old
 * file and what follows has not changed, parts are taken over, whole lists where that gives the same lists;
 * elsewhere the new file is cut until its cuts meet the old ones again.
 */
#include <stdlib.h>

#include "monofs/content_list.h"

#define WINDOW_MORE (1u << 20) /* bytes that are read at a time, beside what a chunk can have */

struct content_writer {
	struct store_writer *w;
	const struct crypt *crypt;
	struct content_refs refs;
	uint64_t zero_cut; /* how long chunks of a run of zeroes are */
	uint8_t inline_bytes[ENTRY_INLINE_MAX];

	const struct content_reader_at *source;
	uint8_t *window;
	size_t room, at, filled; /* of the window: bytes from at to filled are there */
	size_t zeroes;           /* the last bytes of the window that were read as a hole */
	uint64_t hole;           /* zeroes behind the window */
	uint64_t offset;         /* of the next byte that is read */
	bool ended;              /* the source has no more */
};

int content_writer_new(
	struct store_writer *w, const struct crypt *crypt, struct content_writer **out, struct error *err)
{
	_cleanup_(cleanup_content_writer) struct content_writer *c = calloc(1, sizeof *c);
	uint32_t max = crypt->chunker.sizes.max;

	if (!c)
		return error_no_memory(err, "make a writer of files");
	c->w = c->refs.w = w;
	c->crypt = crypt;
	c->room = max + WINDOW_MORE;
	c->window = calloc(1, c->room);
	if (!c->window)
		return error_no_memory(err, "make a writer of files");
	c->zero_cut = chunker_cut(&crypt->chunker, c->window, max);
	*out = TAKE_PTR(c);
	return 0;
}

void content_writer_free(struct content_writer *c)
{
	if (!c)
		return;
	content_refs_free(&c->refs);
	free(c->window);
	free(c);
}

/* ---- the cutter ---- */

static void window_begin(struct content_writer *c, uint64_t offset)
{
	c->at = c->filled = c->zeroes = 0;
	c->hole = 0;
	c->offset = offset;
	c->ended = false;
}

/* Where in the file the window's first byte is. */
static uint64_t window_offset(const struct content_writer *c)
{
	return c->offset - c->hole - (c->filled - c->at);
}

static void window_zeroes(struct content_writer *c)
{
	size_t n = c->room - c->filled;

	if (n > c->hole)
		n = (size_t)c->hole;
	memset(c->window + c->filled, 0, n);
	c->filled += n;
	c->zeroes += n;
	c->hole -= n;
}

static int window_read(struct content_writer *c, struct error *err)
{
	size_t n = c->room - c->filled;
	uint64_t hole = 0;
	ssize_t got = c->source->read(c->source->context, c->window + c->filled, n, c->offset, &hole, err);

	if (got < 0)
		return (int)got;
	c->offset += hole ? hole : (uint64_t)got;
	if (c->offset > ENTRY_SIZE_MAX)
		return error_set(err, ERROR_LIMIT, "a file that is too large");
	c->hole = hole;
	if (hole)
		return 0;
	c->filled += (size_t)got;
	c->zeroes = got ? 0 : c->zeroes;
	c->ended = (size_t)got < n;
	return 0;
}

static int window_fill(struct content_writer *c, struct error *err)
{
	uint32_t max = c->crypt->chunker.sizes.max;

	if (c->filled - c->at >= max || (c->ended && c->hole == 0))
		return 0;
	memmove(c->window, c->window + c->at, c->filled - c->at);
	c->filled -= c->at;
	c->at = 0;
	while (c->filled < max) {
		int r = 0;

		if (c->hole)
			window_zeroes(c);
		else if (c->ended)
			return 0;
		else
			r = window_read(c, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* At a cut before zeroes that are known to be such, and enough for more than one chunk: these are not made.
 */
static void skip_hole(struct content_writer *c)
{
	uint32_t max = c->crypt->chunker.sizes.max;
	uint64_t skipped;

	if (c->hole == 0 || c->filled - c->at > c->zeroes)
		return;
	c->hole += c->filled - c->at;
	c->at = c->filled = c->zeroes = 0;
	if (c->hole < max)
		return;
	skipped = ((c->hole - max) / c->zero_cut + 1) * c->zero_cut;
	content_refs_hole(&c->refs, skipped);
	c->hole -= skipped;
}

static bool all_zero(const uint8_t *bytes, size_t n)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0;
}

static int put_chunk(struct content_writer *c, const uint8_t *bytes, size_t n, struct error *err)
{
	struct content_ref ref = {.size = n};
	int r;

	if (all_zero(bytes, n)) {
		content_refs_hole(&c->refs, n);
		return 0;
	}
	r = store_put(c->w, OBJECT_CHUNK, bytes, n, &ref.id, NULL, err);
	return r < 0 ? r : content_refs_add(&c->refs, &ref, err);
}

/* One chunk, or a hole, from where the window begins. 1: there was one, 0: the end. */
static int cut(struct content_writer *c, struct error *err)
{
	size_t n, left;
	int r = window_fill(c, err);

	if (r < 0)
		return r;
	skip_hole(c);
	r = window_fill(c, err);
	if (r < 0)
		return r;
	left = c->filled - c->at;
	if (left == 0)
		return 0;
	n = chunker_cut(&c->crypt->chunker, c->window + c->at, left);
	r = put_chunk(c, c->window + c->at, n, err);
	c->at += n;
	if (c->zeroes > c->filled - c->at)
		c->zeroes = c->filled - c->at;
	return r < 0 ? r : 1;
}

/* Nothing was cut yet: whether the file is so small that its entry has it. */
static int take_inline(struct content_writer *c, struct content *out, struct error *err)
{
	int r = window_fill(c, err);

	if (r < 0)
		return r;
	if (!c->ended || c->hole || c->filled > ENTRY_INLINE_MAX)
		return 0;
	memcpy(c->inline_bytes, c->window, c->filled);
	*out = (struct content){.size = c->filled, .bytes = c->inline_bytes};
	return 1;
}

static int write_all(struct content_writer *c, struct content *out, struct error *err)
{
	int r;

	window_begin(c, 0);
	r = take_inline(c, out, err);
	if (r != 0)
		return r < 0 ? r : 0;
	do
		r = cut(c, err);
	while (r == 1);
	if (r < 0)
		return r;
	out->size = c->offset;
	return content_refs_finish(&c->refs, out, err);
}

static ssize_t read_next(
	void *context, void *to, size_t n, uint64_t offset, uint64_t *hole, struct error *err)
{
	const struct content_source *source = context;

	(void)offset;
	return source->read(source->context, to, n, hole, err);
}

int content_write(
	struct content_writer *c, const struct content_source *source, struct content *out, struct error *err)
{
	struct content_source copy = *source;
	const struct content_reader_at reader = {.read = read_next, .context = &copy};
	int r;

	*out = (struct content){0};
	content_refs_clear(&c->refs);
	c->source = &reader;
	r = write_all(c, out, err);
	c->source = NULL;
	return r;
}

/* ---- updates ---- */

struct update {
	struct content_writer *c;
	const struct content *base;
	const struct content_range *ranges;
	size_t range_count, range; /* the first one that does not end before what is looked at */
	uint64_t size;
	uint64_t at; /* up to here the new file is cut */
};

/* The first changed byte from `from` on. */
static uint64_t next_change(struct update *u, uint64_t from)
{
	while (u->range < u->range_count && u->ranges[u->range].offset + u->ranges[u->range].size <= from)
		u->range++;
	if (u->range == u->range_count)
		return UINT64_MAX;
	return u->ranges[u->range].offset > from ? u->ranges[u->range].offset : from;
}

/* Whether an old part that begins where the new file is cut is the same in the new file, and ends with a cut.
 */
static bool is_kept(struct update *u, uint64_t begin, uint64_t end)
{
	if (u->at != begin || end > u->size || next_change(u, begin) < end)
		return false;
	return end != u->base->size || end == u->size;
}

static int cut_next(struct update *u, struct error *err)
{
	int r;

	if (window_offset(u->c) != u->at)
		window_begin(u->c, u->at);
	r = cut(u->c, err);
	if (r == 0)
		return error_set(err, ERROR_INVALID, "a file that ends before its size");
	u->at = window_offset(u->c);
	return r < 0 ? r : 0;
}

static int cut_to(struct update *u, uint64_t end, struct error *err)
{
	int r = 0;

	while (r == 0 && u->at < end && u->at < u->size)
		r = cut_next(u, err);
	return r;
}

/* Between the hole's beginning and its end are the cuts of its zeroes. */
static int update_hole(struct update *u, uint64_t begin, uint64_t end, struct error *err)
{
	while (u->at < end && u->at < u->size) {
		uint64_t cut_size = u->c->zero_cut, change = next_change(u, u->at), same;
		int r;

		if ((u->at - begin) % cut_size == 0) {
			if (is_kept(u, u->at, end)) {
				content_refs_hole(&u->c->refs, end - u->at);
				u->at = end;
				return 0;
			}
			same = change < end ? change : end;
			same = ((same < u->size ? same : u->size) - u->at) / cut_size * cut_size;
			content_refs_hole(&u->c->refs, same);
			u->at += same;
			if (same)
				continue;
		}
		r = cut_next(u, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int update_part(
	struct update *u, const struct content_ref *ref, unsigned depth, uint64_t begin, struct error *err);

static int update_list(
	struct update *u, const struct content_ref *list, unsigned depth, uint64_t begin, struct error *err)
{
	struct store *s = store_writer_store(u->c->w);
	struct content_list l;
	struct content_ref ref;
	int r = content_list_load(s, list, depth, &l, err);

	while (r == 0 && content_list_next(&l, &ref)) {
		r = update_part(u, &ref, depth, begin, err);
		begin += ref.size;
	}
	content_list_release(s, &l);
	return r;
}

static int update_part(
	struct update *u, const struct content_ref *ref, unsigned depth, uint64_t begin, struct error *err)
{
	uint64_t end = begin + ref->size;
	bool kept;

	if (end <= u->at || u->at >= u->size)
		return 0;
	if (depth == 0 && object_id_is_none(&ref->id))
		return update_hole(u, begin, end, err);
	kept = is_kept(u, begin, end);
	if (depth > 0) {
		if (!kept || end == u->base->size || !content_refs_takes_list(&u->c->refs, depth - 1))
			return update_list(u, ref, depth - 1, begin, err);
		u->at = end;
		return content_refs_add_list(&u->c->refs, ref, depth - 1, err);
	}
	if (!kept)
		return cut_to(u, end, err);
	u->at = end;
	return content_refs_add(&u->c->refs, ref, err);
}

static int update_all(struct update *u, struct content *out, struct error *err)
{
	uint64_t begin = 0;
	int r = 0;

	window_begin(u->c, 0);
	for (size_t i = 0; r == 0 && i < u->base->ref_count; i++) {
		r = update_part(u, &u->base->refs[i], u->base->depth, begin, err);
		begin += u->base->refs[i].size;
	}
	if (r == 0)
		r = cut_to(u, u->size, err);
	if (r < 0)
		return r;
	if (u->at != u->size)
		return error_set(err, ERROR_INVALID, "a file that does not end at its size");
	out->size = u->size;
	return content_refs_finish(&u->c->refs, out, err);
}

static int check_ranges(const struct content_range *ranges, size_t count, struct error *err)
{
	uint64_t end = 0;

	for (size_t i = 0; i < count; i++) {
		if ((i > 0 && ranges[i].offset < end) ||
			__builtin_add_overflow(ranges[i].offset, ranges[i].size, &end))
			return error_set(err, ERROR_INVALID, "changes of a file out of order");
	}
	return 0;
}

int content_update(struct content_writer *c, const struct content *base, const struct content_range *ranges,
	size_t range_count, uint64_t size, const struct content_reader_at *source, struct content *out,
	struct error *err)
{
	struct update u = {.c = c, .base = base, .ranges = ranges, .range_count = range_count, .size = size};
	int r = check_ranges(ranges, range_count, err);

	*out = (struct content){0};
	if (r < 0)
		return r;
	content_refs_clear(&c->refs);
	c->source = source;
	r = size <= ENTRY_INLINE_MAX || base->ref_count == 0 ? write_all(c, out, err)
							     : update_all(&u, out, err);
	c->source = NULL;
	if (r == 0 && out->size != size)
		return error_set(err, ERROR_INVALID, "a file that does not end at its size");
	return r;
}
