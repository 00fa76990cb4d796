/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "monofs/store_parts.h"

/* ---- packs ------------------------------------------------------------------------------------------ */

int store_pack_open(struct store *s, int64_t number, struct pack **out, struct error *err)
{
	struct index_pack there;
	struct pack *p;
	int r;

	pthread_mutex_lock(&s->lock);
	*out = store_pack_find(s, number);
	pthread_mutex_unlock(&s->lock);
	if (*out)
		return 0;
	r = index_pack(s->index, number, &there, err);
	if (r <= 0)
		return r < 0 ? r
			     : error_set(
				       err, ERROR_NOT_FOUND, "the index has no pack %lld", (long long)number);
	r = pack_open(s->packs, there.name, s->crypt, &p, err);
	if (r < 0)
		return r;
	p->number = number;
	p->references = 2;
	pthread_mutex_lock(&s->lock);
	p->serial = ++s->serials;
	store_pack_keep(s, p);
	pthread_mutex_unlock(&s->lock);
	*out = p;
	return 0;
}

/* ---- frames ----------------------------------------------------------------------------------------- */

static struct store_reader take_reader(struct store *s)
{
	struct store_reader reader = {0};

	pthread_mutex_lock(&s->lock);
	if (s->reader_count)
		reader = s->readers[--s->reader_count];
	pthread_mutex_unlock(&s->lock);
	if (!reader.decompressor)
		reader.decompressor = ZSTD_createDCtx();
	return reader;
}

static void give_reader(struct store *s, struct store_reader *reader)
{
	bool kept = false;

	pthread_mutex_lock(&s->lock);
	if (s->reader_count < ARRAY_SIZE(s->readers)) {
		s->readers[s->reader_count++] = *reader;
		kept = true;
	}
	pthread_mutex_unlock(&s->lock);
	if (!kept)
		store_reader_free(reader);
}

static int load(struct store *s, const struct pack *p, const struct pack_frame *frame, struct kept_frame *f,
	struct error *err)
{
	struct store_reader reader = take_reader(s);
	int r;

	if (!reader.decompressor)
		return error_no_memory(err, "read objects");
	r = pack_read_frame(
		p, f->frame, frame, s->crypt, reader.decompressor, &reader.scratch, f->bytes, err);
	give_reader(s, &reader);
	return r;
}

/* What others read just now is waited for; what is not there is begun. NULL: memory is out. Under `lock`. */
static struct kept_frame *find_or_begin(
	struct store *s, const struct pack *p, uint32_t number, const struct pack_frame *frame, bool *there)
{
	struct kept_frame *f;

	while ((f = store_frame_find(s, p->serial, number)) && f->loading) {
		store_frame_release(s, f);
		pthread_cond_wait(&s->loaded, &s->lock);
	}
	*there = f != NULL;
	if (f || !(f = store_frame_new(s, p, number, frame)))
		return f;
	f->loading = true;
	store_frame_keep(s, f);
	return f;
}

int store_frame_read(struct store *s, const struct pack *p, uint32_t number, const struct pack_frame *frame,
	struct kept_frame **out, struct error *err)
{
	struct kept_frame *f;
	bool there;
	int r;

	pthread_mutex_lock(&s->lock);
	f = find_or_begin(s, p, number, frame, &there);
	pthread_mutex_unlock(&s->lock);
	*out = f;
	if (!f || there)
		return f ? 0 : error_no_memory(err, "read objects");
	r = load(s, p, frame, f, err);
	pthread_mutex_lock(&s->lock);
	f->loading = false;
	if (r < 0 && f->kept)
		store_frame_forget(s, f);
	if (r < 0) {
		store_frame_release(s, f);
		*out = NULL;
	}
	pthread_cond_broadcast(&s->loaded);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* ---- objects ---------------------------------------------------------------------------------------- */

/* Where an object is. The pack is referenced; frame and object are copies, since a pack that is written to
 * has no list that stays where it is. */
struct found {
	struct pack *pack;
	uint32_t number, at, offset; /* of the frame, of the object in it, of its bytes there */
	struct pack_frame frame;
};

static bool find_in_frame(const struct pack *p, uint32_t number, const struct object_id *id, struct found *f)
{
	if (number >= p->directory.frame_count)
		return false;
	f->number = number;
	f->frame = p->directory.frames[number];
	for (uint32_t i = f->frame.first, at = 0; i < f->frame.first + f->frame.count; i++) {
		const struct pack_object *o = &p->directory.objects[i];

		if (object_id_equal(&o->id, id)) {
			f->at = i - f->frame.first;
			f->offset = at;
			return true;
		}
		at += o->size;
	}
	return false;
}

static struct pack *with_serial(struct store *s, uint64_t serial)
{
	if (s->open && s->open->serial == serial)
		return s->open;
	for (unsigned i = 0; i < s->closed_count; i++)
		if (s->closed[i]->serial == serial)
			return s->closed[i];
	return NULL;
}

static bool find_pending(struct store *s, const struct object_id *id, struct found *f)
{
	void *place;

	pthread_mutex_lock(&s->lock);
	place = map_get(&s->pending, id->bytes, sizeof id->bytes);
	f->pack = place ? with_serial(s, store_place_serial(place)) : NULL;
	if (f->pack && !find_in_frame(f->pack, store_place_frame(place), id, f))
		f->pack = NULL;
	if (f->pack)
		f->pack->references++;
	pthread_mutex_unlock(&s->lock);
	return f->pack;
}

static void release_pack(struct store *s, struct pack *p)
{
	pthread_mutex_lock(&s->lock);
	store_pack_release(s, p);
	pthread_mutex_unlock(&s->lock);
}

/* 1: found, 0: not. */
static int find_at(struct store *s, const struct object_id *id, const struct index_place *place,
	struct found *f, struct error *err)
{
	int r = store_pack_open(s, place->pack, &f->pack, err);

	if (r < 0)
		return r;
	if (find_in_frame(f->pack, place->frame, id, f))
		return 1;
	release_pack(s, f->pack);
	return 0;
}

static int find_indexed(struct store *s, const struct object_id *id, struct found *f, struct error *err)
{
	struct index_place place;
	int r = store_lookup(s, id, &place, err);

	return r <= 0 ? r : find_at(s, id, &place, f, err);
}

static int find(struct store *s, const struct object_id *id, struct found *f, struct error *err)
{
	int r = find_pending(s, id, f) ? 1 : find_indexed(s, id, f, err);

	if (r != 0 && r != -ERROR_NOT_FOUND)
		return r;
	r = store_rescue(s, id, err);
	return r <= 0 ? r : find_indexed(s, id, f, err);
}

enum verified { VERIFIED_NOT, VERIFIED_SOON, VERIFIED }; /* SOON: somebody is at it */

static int compute(
	struct store *s, const struct kept_frame *frame, uint32_t at, uint32_t offset, struct error *err)
{
	const struct pack_object *o = &frame->objects[at];
	struct object_id id;
	int r = crypt_id(s->crypt, o->type, frame->bytes + offset, o->size, &id, err);

	if (r == 0 && !object_id_equal(&id, &o->id))
		r = error_set(err, ERROR_CORRUPT, "its bytes are not those that its id is the hash of");
	pthread_mutex_lock(&s->lock);
	frame->verified[at] = r == 0 ? VERIFIED : VERIFIED_NOT;
	pthread_cond_broadcast(&s->loaded);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* ahead: what somebody else is at is left to him. */
static int verify(struct store *s, const struct kept_frame *frame, uint32_t at, uint32_t offset, bool ahead,
	struct error *err)
{
	uint8_t state = VERIFIED_NOT;

	while (!atomic_compare_exchange_strong(&frame->verified[at], &state, VERIFIED_SOON)) {
		if (state == VERIFIED || ahead)
			return 0;
		pthread_mutex_lock(&s->lock);
		while (frame->verified[at] == VERIFIED_SOON)
			pthread_cond_wait(&s->loaded, &s->lock);
		pthread_mutex_unlock(&s->lock);
		state = VERIFIED_NOT;
	}
	return compute(s, frame, at, offset, err);
}

struct wanted {
	enum object_type type;
	const struct object_id *id;
	bool ahead;
};

/* The reference is the caller's, where this succeeds. */
static int take_object(struct store *s, const struct wanted *w, struct kept_frame *frame, uint32_t at,
	uint32_t offset, struct store_bytes *out, struct error *err)
{
	const struct pack_object *o = &frame->objects[at];
	int r;

	*out = (struct store_bytes){.bytes = frame->bytes + offset, .size = o->size, .held = frame};
	r = o->type == w->type ? verify(s, frame, at, offset, w->ahead, err)
			       : error_set(err, ERROR_CORRUPT, "it is a %s",
					 object_type_name((enum object_type)o->type));
	if (r < 0)
		store_release(s, out);
	return r;
}

/* 1: it was in a frame that somebody has read lately. */
static int get_recent(struct store *s, const struct wanted *w, struct store_bytes *out, struct error *err)
{
	struct kept_frame *frame;
	uint32_t at, offset;
	int r;

	pthread_mutex_lock(&s->lock);
	frame = store_frame_holding(s, w->id, &at, &offset);
	pthread_mutex_unlock(&s->lock);
	if (!frame)
		return 0;
	r = take_object(s, w, frame, at, offset, out, err);
	return r < 0 ? r : 1;
}

static int take_found(struct store *s, const struct wanted *w, const struct found *f, struct store_bytes *out,
	struct error *err)
{
	struct kept_frame *frame;
	int r = store_frame_read(s, f->pack, f->number, &f->frame, &frame, err);

	return r < 0 ? r : take_object(s, w, frame, f->at, f->offset, out, err);
}

/* 0: it is nowhere. */
static int get_found(struct store *s, const struct wanted *w, struct store_bytes *out, struct error *err)
{
	struct error unused;
	struct found f, copy;
	struct index_place place;
	int r = find(s, w->id, &f, err);

	if (r <= 0)
		return r;
	r = take_found(s, w, &f, out, err);
	if (r == -ERROR_CORRUPT && store_find_copy(s, w->id, f.pack->name, &place, &unused) == 1 &&
		find_at(s, w->id, &place, &copy, &unused) == 1) {
		r = take_found(s, w, &copy, out, err);
		release_pack(s, copy.pack);
	}
	release_pack(s, f.pack);
	return r < 0 ? r : 1;
}

int store_get(struct store *s, enum object_type type, const struct object_id *id, struct store_bytes *out,
	struct error *err)
{
	const struct wanted w = {.type = type, .id = id};
	char hex[OBJECT_HEX_SIZE];
	int r = get_recent(s, &w, out, err);

	if (r == 0 || r == -ERROR_CORRUPT)
		r = get_found(s, &w, out, err);
	if (r == 0)
		return error_set(err, ERROR_NOT_FOUND, "the %s %s is not in the repository",
			object_type_name(type), object_id_hex(id, hex));
	return r < 0 ? error_prefix(err, "read the %s %s", object_type_name(type), object_id_hex(id, hex))
		     : 0;
}

void store_prefetch(struct store *s, enum object_type type, const struct object_id *id)
{
	const struct wanted w = {.type = type, .id = id, .ahead = true};
	struct store_bytes bytes = {0};

	if (get_recent(s, &w, &bytes, NULL) == 0)
		get_found(s, &w, &bytes, NULL);
	store_release(s, &bytes);
}

void store_release(struct store *s, struct store_bytes *bytes)
{
	if (bytes->held) {
		pthread_mutex_lock(&s->lock);
		store_frame_release(s, bytes->held);
		pthread_mutex_unlock(&s->lock);
	}
	*bytes = (struct store_bytes){0};
}

int store_has(struct store *s, const struct object_id *id, struct error *err)
{
	struct index_place place;
	bool pending;

	pthread_mutex_lock(&s->lock);
	pending = map_get(&s->pending, id->bytes, sizeof id->bytes);
	pthread_mutex_unlock(&s->lock);
	return pending ? 1 : store_lookup(s, id, &place, err);
}

/* ---- all of them ------------------------------------------------------------------------------------- */

struct between {
	store_take *take;
	void *context;
};

static int give_id(
	void *context, const struct object_id *id, const struct index_place *place, struct error *err)
{
	const struct between *b = context;

	(void)place;
	return b->take(b->context, id, err);
}

int store_between(struct store *s, const struct object_id *first, const struct object_id *last,
	store_take *take, void *context, struct error *err)
{
	struct between b = {take, context};

	return index_between(s->index, first, last, give_id, &b, err);
}
