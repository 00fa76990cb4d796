/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer's side: objects become frames. Frames of file contents and frames of all else are apart, so that
 * who walks a tree reads no contents; the latter are smaller, since one node at a time is wanted of them. A
 * frame ends once it has as many bytes as its kind is to have, and an object that has as many by itself is
 * alone.
 */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "monofs/store_parts.h"

#define LEVEL         3 /* of zstd */
#define CONTENT_FRAME (512u << 10)
#define TREE_FRAME    (128u << 10)

struct building {
	uint32_t enough; /* bytes from which on a frame ends */
	struct buffer raw;
	struct pack_object *objects;
	uint32_t count, room;
};

struct store_writer {
	struct store *store;
	struct building contents, trees;
	ZSTD_CCtx *compressor;
	struct buffer compressed;
	struct error failure; /* of the first call that failed */
};

int store_writer_new(struct store *s, struct store_writer **out, struct error *err)
{
	struct store_writer *w;

	if (s->read_only)
		return error_set(err, ERROR_DENIED, "write to the repository: it is open for reading only");
	w = calloc(1, sizeof *w);
	if (w)
		w->compressor = ZSTD_createCCtx();
	if (!w || !w->compressor) {
		free(w);
		return error_no_memory(err, "write to the repository");
	}
	w->store = s;
	w->contents.enough = CONTENT_FRAME;
	w->trees.enough = TREE_FRAME;
	ZSTD_CCtx_setParameter(w->compressor, ZSTD_c_compressionLevel, LEVEL);
	*out = w;
	return 0;
}

void store_writer_free(struct store_writer *w)
{
	if (!w)
		return;
	buffer_free(&w->contents.raw);
	buffer_free(&w->trees.raw);
	free(w->contents.objects);
	free(w->trees.objects);
	buffer_free(&w->compressed);
	ZSTD_freeCCtx(w->compressor);
	free(w);
}

struct store *store_writer_store(struct store_writer *w)
{
	return w->store;
}

static int check_writer(struct store_writer *w, struct error *err)
{
	if (w->failure.code)
		return error_set(err, w->failure.code, "%s", w->failure.text);
	return store_check_broken(w->store, err);
}

/* Remembers what went wrong. */
static int failed(struct store_writer *w, int r, const struct error *why, struct error *err)
{
	if (!w->failure.code)
		w->failure = *why;
	return error_set(err, (enum error_code) - r, "%s", why->text);
}

/* ---- frames ----------------------------------------------------------------------------------------- */

/* Compressed where that saves more than a sixty-fourth. */
static int compress(
	struct store_writer *w, const void **bytes, size_t *n, enum pack_form *form, struct error *err)
{
	size_t got;

	buffer_clear(&w->compressed);
	if (!buffer_reserve(&w->compressed, ZSTD_compressBound(*n)))
		return error_no_memory(err, "compress objects");
	got = ZSTD_compress2(w->compressor, w->compressed.data, w->compressed.capacity, *bytes, *n);
	if (ZSTD_isError(got))
		return error_set(err, ERROR_SYSTEM, "compress objects: %s", ZSTD_getErrorName(got));
	*form = got < *n - *n / 64 ? PACK_ZSTD : PACK_RAW;
	if (*form == PACK_ZSTD) {
		*bytes = w->compressed.data;
		*n = got;
	}
	return 0;
}

static int write_frame(struct store_writer *w, const void *bytes, size_t n, const struct pack_object *objects,
	uint32_t count, struct error *err)
{
	enum pack_form form = PACK_RAW;
	int r = compress(w, &bytes, &n, &form, err);

	return r < 0 ? r : store_append(w->store, form, bytes, n, objects, count, err);
}

static int end_frame(struct store_writer *w, struct building *b, struct error *err)
{
	int r = b->count ? write_frame(w, b->raw.data, b->raw.size, b->objects, b->count, err) : 0;

	buffer_clear(&b->raw);
	b->count = 0;
	return r;
}

static int add(struct store_writer *w, struct building *b, const struct pack_object *o, const void *bytes,
	struct error *err)
{
	if (b->count == b->room) {
		uint32_t room = b->room ? 2 * b->room : 64;
		void *p = reallocarray(b->objects, room, sizeof *b->objects);

		if (!p)
			return error_no_memory(err, "store an object");
		b->objects = p;
		b->room = room;
	}
	if (!buffer_append(&b->raw, bytes, o->size))
		return error_no_memory(err, "store an object");
	b->objects[b->count++] = *o;
	return b->raw.size >= b->enough ? end_frame(w, b, err) : 0;
}

/* ---- objects ---------------------------------------------------------------------------------------- */

static bool is_building(const struct building *b, const struct object_id *id)
{
	for (uint32_t i = 0; i < b->count; i++)
		if (object_id_equal(&b->objects[i].id, id))
			return true;
	return false;
}

/* It is in a frame, of this writer or in a pack. What another writer has not flushed does not count: that one
 * may still fail. */
static bool is_pending(struct store_writer *w, const struct building *b, const struct object_id *id)
{
	bool pending = is_building(b, id);

	if (pending)
		return true;
	pthread_mutex_lock(&w->store->lock);
	pending = map_get(&w->store->pending, id->bytes, sizeof id->bytes);
	pthread_mutex_unlock(&w->store->lock);
	return pending;
}

static void count(struct store *s, size_t n, bool fresh)
{
	pthread_mutex_lock(&s->lock);
	s->written.put += n;
	s->written.objects++;
	s->written.fresh += fresh ? n : 0;
	pthread_mutex_unlock(&s->lock);
}

static struct building *building_of(struct store_writer *w, uint8_t type)
{
	return type == OBJECT_CHUNK || type == OBJECT_VALUE ? &w->contents : &w->trees;
}

static int keep(struct store_writer *w, const struct pack_object *o, const void *bytes, struct error *err)
{
	struct building *b = building_of(w, o->type);

	return o->size >= b->enough ? write_frame(w, bytes, o->size, o, 1, err) : add(w, b, o, bytes, err);
}

static int put(struct store_writer *w, const struct pack_object *o, const void *bytes, bool *fresh,
	struct error *err)
{
	struct index_place place;
	int r = is_pending(w, building_of(w, o->type), &o->id) ? 1
							       : store_lookup(w->store, &o->id, &place, err);

	*fresh = r == 0;
	if (r == 0)
		r = keep(w, o, bytes, err);
	return r < 0 ? r : 0;
}

int store_put(struct store_writer *w, enum object_type type, const void *bytes, size_t n,
	struct object_id *id, bool *fresh, struct error *err)
{
	struct pack_object o = {.type = (uint8_t)type, .size = (uint32_t)n};
	struct error why;
	bool is_fresh = false;
	int r = check_writer(w, err);

	if (r < 0)
		return r;
	if (n == 0 || n > object_type_most(type))
		return error_set(err, ERROR_LIMIT, "store a %s of %zu bytes: 1 to %u are possible",
			object_type_name(type), n, object_type_most(type));
	r = crypt_id(w->store->crypt, type, bytes, n, &o.id, &why);
	if (r == 0)
		r = put(w, &o, bytes, &is_fresh, &why);
	if (r < 0)
		return failed(w, r, &why, err);
	count(w->store, n, is_fresh);
	*id = o.id;
	if (fresh)
		*fresh = is_fresh;
	return 0;
}

int store_copy(struct store_writer *w, const struct pack_object *o, const void *bytes, struct error *err)
{
	struct error why;
	int r = check_writer(w, err);

	if (r < 0 || is_pending(w, building_of(w, o->type), &o->id))
		return r;
	r = keep(w, o, bytes, &why);
	return r < 0 ? failed(w, r, &why, err) : 0;
}

int store_writer_flush(struct store_writer *w, struct error *err)
{
	struct error why;
	int r = check_writer(w, err);

	if (r < 0)
		return r;
	r = end_frame(w, &w->contents, &why);
	if (r == 0)
		r = end_frame(w, &w->trees, &why);
	return r < 0 ? failed(w, r, &why, err) : 0;
}
