/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a pack as bytes, without I/O: what comes from a stranger's file is judged here. */
#include "monofs/pack.h"

#include <stdlib.h>
#include <string.h>

#include "os/pages.h"

#define FRAME_ENCODED  13u
#define OBJECT_ENCODED 37u

void pack_directory_free(struct pack_directory *d)
{
	free(d->frames);
	free(d->objects);
	*d = (struct pack_directory){0};
}

static int grow(void **list, uint32_t *room, uint32_t need, size_t each, struct error *err)
{
	uint32_t more = *room ? *room : 16;
	void *p;

	if (need <= *room)
		return 0;
	while (more < need)
		more *= 2;
	p = reallocarray(*list, more, each);
	if (!p)
		return error_no_memory(err, "list the objects of a pack");
	*list = p;
	*room = more;
	return 0;
}

int pack_directory_reserve(struct pack_directory *d, uint32_t n, struct error *err)
{
	int r = grow((void **)&d->frames, &d->frame_room, d->frame_count + 1, sizeof *d->frames, err);

	if (r < 0)
		return r;
	return grow((void **)&d->objects, &d->object_room, d->object_count + n, sizeof *d->objects, err);
}

void pack_directory_add(struct pack_directory *d, const struct pack_frame *frame,
	const struct pack_object *objects, uint32_t n)
{
	struct pack_frame *f = &d->frames[d->frame_count++];

	*f = *frame;
	f->raw = 0;
	f->first = d->object_count;
	f->count = n;
	for (uint32_t i = 0; i < n; i++)
		f->raw += objects[i].size;
	memcpy(&d->objects[d->object_count], objects, n * sizeof *objects);
	d->object_count += n;
}

int pack_directory_encode(const struct pack_directory *d, struct buffer *out, struct error *err)
{
	buffer_reserve(
		out, 8 + (size_t)d->frame_count * FRAME_ENCODED + (size_t)d->object_count * OBJECT_ENCODED);
	buffer_u32(out, d->frame_count);
	buffer_u32(out, d->object_count);
	for (uint32_t i = 0; i < d->frame_count; i++)
		buffer_u32(out, d->frames[i].stored);
	for (uint32_t i = 0; i < d->frame_count; i++)
		buffer_u32(out, d->frames[i].raw);
	for (uint32_t i = 0; i < d->frame_count; i++)
		buffer_u8(out, d->frames[i].form);
	for (uint32_t i = 0; i < d->frame_count; i++)
		buffer_u32(out, d->frames[i].count);
	for (uint32_t i = 0; i < d->object_count; i++)
		buffer_u8(out, d->objects[i].type);
	for (uint32_t i = 0; i < d->object_count; i++)
		buffer_u32(out, d->objects[i].size);
	for (uint32_t i = 0; i < d->object_count; i++)
		buffer_append(out, d->objects[i].id.bytes, OBJECT_ID_SIZE);
	return out->failed ? error_no_memory(err, "list the objects of a pack") : 0;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static int read_frames(struct cursor *c, struct pack_directory *d, uint64_t frames_end, struct error *err)
{
	uint64_t at = PACK_HEADER_SIZE, objects = 0;

	for (uint32_t i = 0; i < d->frame_count; i++)
		d->frames[i].stored = cursor_u32(c);
	for (uint32_t i = 0; i < d->frame_count; i++)
		d->frames[i].raw = cursor_u32(c);
	for (uint32_t i = 0; i < d->frame_count; i++)
		d->frames[i].form = cursor_u8(c);
	for (uint32_t i = 0; i < d->frame_count; i++) {
		struct pack_frame *f = &d->frames[i];

		f->count = cursor_u32(c);
		f->offset = at;
		f->first = (uint32_t)objects;
		at += f->stored;
		objects += f->count;
		if (f->form > PACK_ZSTD || f->count == 0 || f->raw > OBJECT_MAX || at > frames_end ||
			objects > d->object_count)
			return error_set(
				err, ERROR_CORRUPT, "its directory has a frame, %u, that cannot be", i);
	}
	if (at != frames_end || objects != d->object_count)
		return error_set(err, ERROR_CORRUPT, "its directory is not about all of it");
	return 0;
}

static uint32_t u32_at(const uint8_t *bytes, size_t i)
{
	const uint8_t *at = bytes + 4 * i;

	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* There may be so many that a call for each value would be most of what it takes to open a pack. */
static int read_objects(struct cursor *c, struct pack_directory *d, struct error *err)
{
	const size_t n = d->object_count;
	const uint8_t *types = cursor_take(c, n);
	const uint8_t *sizes = cursor_take(c, 4 * n);
	const uint8_t *ids = cursor_take(c, OBJECT_ID_SIZE * n);
	uint32_t most = 0;

	if (!types || !sizes || !ids || !cursor_done(c))
		return error_set(err, ERROR_CORRUPT, "its directory is cut, or too long");
	for (uint32_t i = 0; i < n; i++) {
		struct pack_object *o = &d->objects[i];

		o->type = types[i];
		o->size = u32_at(sizes, i);
		memcpy(o->id.bytes, ids + OBJECT_ID_SIZE * i, OBJECT_ID_SIZE);
		if (i == 0 || types[i] != types[i - 1])
			most = object_type_most(o->type);
		if (o->size == 0 || o->size > most)
			return error_set(
				err, ERROR_CORRUPT, "its directory has an object, %u, that cannot be", i);
	}
	return 0;
}

static int check_sizes(const struct pack_directory *d, struct error *err)
{
	for (uint32_t i = 0; i < d->frame_count; i++) {
		const struct pack_frame *f = &d->frames[i];
		uint64_t raw = 0;

		for (uint32_t k = 0; k < f->count; k++)
			raw += d->objects[f->first + k].size;
		if (raw != f->raw)
			return error_set(err, ERROR_CORRUPT,
				"its directory says %u bytes of frame %u, whose objects have %llu", f->raw, i,
				(unsigned long long)raw);
	}
	return 0;
}

int pack_directory_decode(
	const void *bytes, size_t n, uint64_t frames_end, struct pack_directory *out, struct error *err)
{
	_cleanup_pack_directory_ struct pack_directory d = {0};
	struct cursor c = cursor_of(bytes, n);
	int r;

	d.frame_count = cursor_u32(&c);
	d.object_count = cursor_u32(&c);
	if (c.failed || d.object_count > PACK_OBJECTS_MAX || d.frame_count > d.object_count ||
		(uint64_t)d.frame_count * FRAME_ENCODED + (uint64_t)d.object_count * OBJECT_ENCODED != c.left)
		return error_set(err, ERROR_CORRUPT,
			"its directory has %u frames and %u objects in %zu bytes", d.frame_count,
			d.object_count, n);
	d.frames = calloc(d.frame_count + 1, sizeof *d.frames);
	d.objects = pages_alloc((d.object_count + 1) * sizeof *d.objects);
	if (!d.frames || !d.objects)
		return error_no_memory(err, "list the objects of a pack");
	d.frame_room = d.frame_count + 1;
	d.object_room = d.object_count + 1;
	r = read_frames(&c, &d, frames_end, err);
	if (r == 0)
		r = read_objects(&c, &d, err);
	if (r == 0)
		r = check_sizes(&d, err);
	if (r < 0)
		return r;
	*out = d;
	d = (struct pack_directory){0};
	return 0;
}

uint32_t pack_offset(const struct pack_directory *d, const struct pack_frame *frame, uint32_t object)
{
	uint32_t at = 0;

	for (uint32_t i = frame->first; i < object; i++)
		at += d->objects[i].size;
	return at;
}

/* ---- the trailer ------------------------------------------------------------------------------------ */

static void put_u64(uint8_t *at, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

int pack_trailer_encode(const struct pack_trailer *t, uint8_t out[PACK_TRAILER_SIZE], struct error *err)
{
	uint8_t sum[SHA256_SIZE];
	int r;

	put_u64(out, t->offset);
	put_u64(out + 8, t->stored);
	put_u64(out + 16, t->raw);
	memcpy(out + 24, t->sum, SHA256_SIZE);
	r = sha256_of(out, 56, sum, err);
	memcpy(out + 56, sum, 8);
	return r;
}

int pack_trailer_decode(const uint8_t bytes[PACK_TRAILER_SIZE], uint64_t file_size, size_t growth,
	struct pack_trailer *t, struct error *err)
{
	struct cursor c = cursor_of(bytes, PACK_TRAILER_SIZE);
	uint64_t end = file_size - PACK_TRAILER_SIZE - growth;
	uint8_t sum[SHA256_SIZE];
	int r = sha256_of(bytes, 56, sum, err);

	if (r < 0)
		return r;
	t->offset = cursor_u64(&c);
	t->stored = cursor_u64(&c);
	t->raw = cursor_u64(&c);
	memcpy(t->sum, bytes + 24, SHA256_SIZE);
	if (memcmp(sum, bytes + 56, 8) != 0)
		return error_set(err, ERROR_CORRUPT, "its end is no trailer of a pack, or was changed");
	if (t->offset < PACK_HEADER_SIZE || t->offset > end || t->stored > end - t->offset ||
		t->raw > PACK_DIRECTORY_MAX)
		return error_set(err, ERROR_CORRUPT, "its directory would be %llu bytes at %llu",
			(unsigned long long)t->stored, (unsigned long long)t->offset);
	return 0;
}

uint64_t pack_padded(uint64_t n)
{
	unsigned e, s;
	uint64_t mask;

	if (n < 2)
		return n;
	e = 63 - (unsigned)__builtin_clzll(n);
	s = e ? 32 - (unsigned)__builtin_clz(e) : 1;
	mask = ((uint64_t)1 << (e - s)) - 1;
	return (n + mask) & ~mask;
}
