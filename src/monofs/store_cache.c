/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of packs in memory: their directories, and frames that were read, by their last use. */
#include <stdlib.h>
#include <string.h>

#include "monofs/store_parts.h"

/* ---- frames ----------------------------------------------------------------------------------------- */

static struct kept_frame **bucket_of(struct store *s, uint64_t serial, uint32_t frame)
{
	return &s->frames.buckets[(serial * 31 + frame) % STORE_BUCKETS];
}

static void unlink_frame(struct store *s, struct kept_frame *f)
{
	if (f->newer)
		f->newer->older = f->older;
	else
		s->frames.newest = f->older;
	if (f->older)
		f->older->newer = f->newer;
	else
		s->frames.oldest = f->newer;
	f->newer = f->older = NULL;
}

static void link_newest(struct store *s, struct kept_frame *f)
{
	f->older = s->frames.newest;
	f->newer = NULL;
	if (f->older)
		f->older->newer = f;
	else
		s->frames.oldest = f;
	s->frames.newest = f;
}

struct kept_frame *store_frame_find(struct store *s, uint64_t serial, uint32_t frame)
{
	struct kept_frame *f = *bucket_of(s, serial, frame);

	while (f && (f->serial != serial || f->frame != frame))
		f = f->next;
	if (!f)
		return NULL;
	unlink_frame(s, f);
	link_newest(s, f);
	f->references++;
	return f;
}

static bool find_object(
	const struct kept_frame *f, const struct object_id *id, uint32_t *at, uint32_t *offset)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < f->count; i++) {
		if (object_id_equal(&f->objects[i].id, id)) {
			*at = i;
			*offset = sum;
			return true;
		}
		sum += f->objects[i].size;
	}
	return false;
}

struct kept_frame *store_frame_holding(
	struct store *s, const struct object_id *id, uint32_t *at, uint32_t *offset)
{
	uint32_t left = STORE_RECENT;

	for (struct kept_frame *f = s->frames.newest; f && f->count <= left; f = f->older) {
		left -= f->count;
		if (f->loading || !find_object(f, id, at, offset))
			continue;
		unlink_frame(s, f);
		link_newest(s, f);
		f->references++;
		return f;
	}
	return NULL;
}

/* A tag is opened in its place, behind the bytes. */
static size_t size_with(uint32_t objects, uint32_t raw)
{
	return sizeof(struct kept_frame) + objects * (sizeof(struct pack_object) + 1) + raw + CRYPT_TAG_SIZE;
}

/* The smallest of the idle ones that is large enough, but none that is far too large. */
static struct kept_frame *take_idle(struct frame_cache *c, size_t size)
{
	struct kept_frame **best = NULL, *f;

	for (unsigned i = 0; i < c->idle_count; i++)
		if (c->idle[i]->room >= size && c->idle[i]->room <= 4 * size &&
			(!best || c->idle[i]->room < (*best)->room))
			best = &c->idle[i];
	if (!best)
		return NULL;
	f = *best;
	*best = c->idle[--c->idle_count];
	return f;
}

static struct kept_frame *allocate(struct frame_cache *c, size_t size)
{
	struct kept_frame *f = size >= STORE_FRAME_LARGE ? take_idle(c, size) : NULL;

	if (f)
		return f;
	if (size >= STORE_FRAME_LARGE) /* so that it fits the next one, too */
		size = (size + STORE_FRAME_LARGE - 1) / STORE_FRAME_LARGE * STORE_FRAME_LARGE;
	f = malloc(size);
	if (f)
		f->room = size;
	return f;
}

/* Of idle ones the last that was used is in the processor's cache: the first goes. */
static void let_go(struct frame_cache *c, struct kept_frame *f)
{
	if (f->room < STORE_FRAME_LARGE) {
		free(f);
		return;
	}
	if (c->idle_count == STORE_FRAMES_IDLE) {
		free(c->idle[0]);
		c->idle_count--;
		memmove(c->idle, c->idle + 1, c->idle_count * sizeof *c->idle);
	}
	c->idle[c->idle_count++] = f;
}

struct kept_frame *store_frame_new(
	struct store *s, const struct pack *p, uint32_t number, const struct pack_frame *frame)
{
	struct kept_frame *f = allocate(&s->frames, size_with(frame->count, frame->raw));

	if (!f)
		return NULL;
	*f = (struct kept_frame){.room = f->room,
		.serial = p->serial,
		.frame = number,
		.first = frame->first,
		.count = frame->count,
		.raw = frame->raw,
		.references = 1};
	memcpy(f->objects, p->directory.objects + frame->first, frame->count * sizeof *f->objects);
	f->verified = (_Atomic uint8_t *)(f->objects + frame->count);
	memset((void *)f->verified, 0, frame->count);
	f->bytes = (uint8_t *)f->verified + frame->count;
	return f;
}

static size_t size_of(const struct kept_frame *f)
{
	return size_with(f->count, f->raw);
}

void store_frame_forget(struct store *s, struct kept_frame *f)
{
	struct kept_frame **at = bucket_of(s, f->serial, f->frame);

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	unlink_frame(s, f);
	s->frames.bytes -= size_of(f);
	f->kept = false;
	if (f->references == 0)
		let_go(&s->frames, f);
}

void store_frame_keep(struct store *s, struct kept_frame *f)
{
	struct kept_frame **bucket = bucket_of(s, f->serial, f->frame);

	f->next = *bucket;
	*bucket = f;
	link_newest(s, f);
	f->kept = true;
	s->frames.bytes += size_of(f);
	while (s->frames.bytes > STORE_FRAMES_KEPT && s->frames.oldest != f)
		store_frame_forget(s, s->frames.oldest);
}

void store_frame_release(struct store *s, struct kept_frame *f)
{
	if (--f->references == 0 && !f->kept)
		let_go(&s->frames, f);
}

/* ---- packs ------------------------------------------------------------------------------------------ */

struct pack *store_pack_find(struct store *s, int64_t number)
{
	for (unsigned i = 0; i < s->packs_kept_count; i++)
		if (s->packs_kept[i]->number == number) {
			s->packs_kept[i]->references++;
			s->packs_kept[i]->used = ++s->uses;
			return s->packs_kept[i];
		}
	return NULL;
}

void store_pack_release(struct store *s, struct pack *p)
{
	(void)s;
	if (--p->references == 0)
		pack_close(p);
}

static void drop_pack(struct store *s, unsigned at)
{
	struct pack *p = s->packs_kept[at];

	s->objects_kept -= p->directory.object_count;
	s->packs_kept[at] = s->packs_kept[--s->packs_kept_count];
	store_pack_release(s, p);
}

static void drop_oldest_pack(struct store *s)
{
	unsigned oldest = 0;

	for (unsigned i = 1; i < s->packs_kept_count; i++)
		if (s->packs_kept[i]->used < s->packs_kept[oldest]->used)
			oldest = i;
	drop_pack(s, oldest);
}

void store_pack_forget(struct store *s, int64_t number)
{
	for (unsigned i = 0; i < s->packs_kept_count; i++)
		if (s->packs_kept[i]->number == number) {
			drop_pack(s, i);
			return;
		}
}

void store_pack_keep(struct store *s, struct pack *p)
{
	store_pack_forget(s, p->number);
	while (s->packs_kept_count == STORE_PACKS_KEPT ||
		(s->packs_kept_count && s->objects_kept + p->directory.object_count > STORE_OBJECTS_KEPT))
		drop_oldest_pack(s);
	p->used = ++s->uses;
	s->objects_kept += p->directory.object_count;
	s->packs_kept[s->packs_kept_count++] = p;
}

void store_reader_free(struct store_reader *r)
{
	ZSTD_freeDCtx(r->decompressor);
	buffer_free(&r->scratch);
}

void store_cache_free(struct store *s)
{
	while (s->frames.oldest)
		store_frame_forget(s, s->frames.oldest);
	while (s->frames.idle_count)
		free(s->frames.idle[--s->frames.idle_count]);
	while (s->packs_kept_count)
		drop_pack(s, s->packs_kept_count - 1);
	while (s->reader_count)
		store_reader_free(&s->readers[--s->reader_count]);
}
