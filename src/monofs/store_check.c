/* SPDX-License-Identifier: Apache-2.0 */
/* Whether packs and index are whole, and say the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monofs/store_parts.h"

struct checking {
	struct store *store;
	struct store_check *check;
	int64_t *whole; /* numbers of packs that could be opened */
	size_t whole_count, whole_room;
	int64_t newest; /* pack of which there was word when this began: later ones are not looked at */
	bool index_wrong;
	uint64_t matched, rows; /* objects of these packs that the index has where they are; that it has */
	struct object_id *lost; /* that the index has in packs that cannot be opened */
	size_t lost_count, lost_room;
	uint64_t total; /* bytes of all packs, for the progress */
	ZSTD_DCtx *decompressor;
	struct buffer scratch, frame;
	unsigned copies; /* objects that are damaged in a pack, and whole in another */
};

static void tell(struct checking *c, const struct object_id *id, const char *file, const char *what)
{
	if (c->check->damaged)
		c->check->damaged(c->check->context, id, file, what);
}

static const char *file_of(const uint8_t name[SHA256_SIZE], char out[8 + PACK_PATH_SIZE])
{
	char path[PACK_PATH_SIZE];

	snprintf(out, 8 + PACK_PATH_SIZE, "packs/%s", pack_path(name, path));
	return out;
}

static int grow(void **list, size_t *room, size_t count, size_t each, struct error *err)
{
	size_t more = *room ? 2 * *room : 64;
	void *p;

	if (count < *room)
		return 0;
	p = reallocarray(*list, more, each);
	if (!p)
		return error_no_memory(err, "check the repository");
	*list = p;
	*room = more;
	return 0;
}

/* ---- the bytes of a pack ----------------------------------------------------------------------------- */

/* One that cannot be had from this pack. */
static int tell_object(struct checking *c, const struct pack *p, const struct object_id *id, const char *file,
	const char *what, struct error *err)
{
	struct index_place place;
	int r = store_find_copy(c->store, id, p->name, &place, err);

	if (r < 0)
		return r;
	c->copies += r == 1;
	if (r == 0)
		tell(c, id, file, what);
	return 0;
}

/* How many of the frame's objects are bad. */
static int read_frame(
	struct checking *c, const struct pack *p, uint32_t number, const char *file, struct error *err)
{
	const struct pack_frame *f = &p->directory.frames[number];
	struct error damage = {.code = ERROR_NONE};
	uint32_t at = 0;
	int bad = 0, told, r;

	buffer_clear(&c->frame);
	if (!buffer_reserve(&c->frame, f->raw + (size_t)CRYPT_TAG_SIZE))
		return error_no_memory(err, "check a pack");
	r = pack_read_frame(
		p, number, f, c->store->crypt, c->decompressor, &c->scratch, c->frame.data, &damage);
	if (r < 0 && r != -ERROR_CORRUPT)
		return error_set(err, damage.code, "%s", damage.text);
	for (uint32_t i = f->first; i < f->first + f->count; i++) {
		const struct pack_object *o = &p->directory.objects[i];
		struct object_id id = {{0}};

		if (r == 0 && crypt_id(c->store->crypt, o->type, c->frame.data + at, o->size, &id, err) < 0)
			return -ERROR_SYSTEM;
		at += o->size;
		if (r == 0 && object_id_equal(&id, &o->id))
			continue;
		told = tell_object(c, p, &o->id, file,
			r < 0 ? damage.text : "its bytes are not those that its id is the hash of", err);
		if (told < 0)
			return told;
		bad++;
	}
	return bad;
}

static int read_pack(struct checking *c, const struct pack *p, const char *file, struct error *err)
{
	struct error damage;
	int sum = pack_verify(p, &damage), bad = 0, r = 0;
	char copies[128];

	c->copies = 0;
	if (sum < 0 && sum != -ERROR_CORRUPT)
		return error_set(err, damage.code, "%s", damage.text);
	for (uint32_t i = 0; r >= 0 && i < p->directory.frame_count; i++) {
		r = read_frame(c, p, i, file, err);
		bad += r > 0 ? r : 0;
	}
	if (r < 0)
		return r;
	if (sum < 0)
		tell(c, NULL, file, bad ? damage.text : "bytes of it were changed, none of them an object's");
	else if (bad)
		tell(c, NULL, file, "it was written with objects that are damaged");
	if (c->copies) {
		snprintf(copies, sizeof copies,
			"%u of its damaged objects are whole in other packs, and repack mends that",
			c->copies);
		tell(c, NULL, file, copies);
	}
	return 0;
}

/* ---- the index beside the packs ---------------------------------------------------------------------- */

static bool frame_has(const struct pack_directory *d, uint32_t frame, const struct object_id *id)
{
	if (frame >= d->frame_count)
		return false;
	for (uint32_t i = d->frames[frame].first; i < d->frames[frame].first + d->frames[frame].count; i++)
		if (object_id_equal(&d->objects[i].id, id))
			return true;
	return false;
}

/* Objects that it does not have at all are left by a sweep, where another pack had them, too: *missing. */
static int compare_objects(
	struct checking *c, const struct pack *p, int64_t number, bool *missing, struct error *err)
{
	const struct pack_directory *d = &p->directory;

	for (uint32_t f = 0; f < d->frame_count; f++)
		for (uint32_t i = d->frames[f].first; i < d->frames[f].first + d->frames[f].count; i++) {
			struct index_place place;
			int r = index_find(c->store->index, &d->objects[i].id, &place, err);

			if (r < 0)
				return r;
			*missing |= r == 0;
			if (r > 0 && place.pack == number) {
				c->matched += place.frame == f;
				c->index_wrong |= !frame_has(d, place.frame, &d->objects[i].id);
			}
		}
	return 0;
}

/* One that the index does not know at all was just made. */
static int check_index(struct checking *c, struct pack *p, struct error *err)
{
	struct index_pack known;
	bool missing = false;
	int r = index_pack_named(c->store->index, p->name, &known, err);

	if (r <= 0 || known.number > c->newest)
		return r < 0 ? r : 0;
	r = grow((void **)&c->whole, &c->whole_room, c->whole_count, sizeof *c->whole, err);
	if (r < 0)
		return r;
	c->whole[c->whole_count++] = known.number;
	if (known.condemned)
		return 0;
	r = compare_objects(c, p, known.number, &missing, err);
	if (r == 0 && missing && !c->store->read_only)
		r = store_index_packs(c->store, &p, 1, known.session, err);
	return r;
}

static int check_pack(void *context, const uint8_t name[SHA256_SIZE], struct error *err)
{
	struct checking *c = context;
	_cleanup_(cleanup_pack) struct pack *p = NULL;
	char file[8 + PACK_PATH_SIZE];
	struct error damage;
	int r = pack_open(c->store->packs, name, c->store->crypt, &p, &damage);

	file_of(name, file);
	c->check->files++;
	if (r == -ERROR_CORRUPT) {
		tell(c, NULL, file, damage.text);
		return 0;
	}
	if (r < 0) /* a sweep may have removed it meanwhile */
		return r == -ERROR_NOT_FOUND ? 0 : error_set(err, damage.code, "%s", damage.text);
	c->check->bytes += p->size;
	progress_report(c->check->progress,
		&(struct progress_event){
			.task = "check", .unit = "bytes", .done = c->check->bytes, .total = c->total});
	r = check_index(c, p, err);
	if (r < 0 && r != -ERROR_CORRUPT)
		return r;
	c->index_wrong |= r < 0;
	return c->check->read_data ? read_pack(c, p, file, err) : 0;
}

static int compare_numbers(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool is_whole(const struct checking *c, int64_t number)
{
	return c->whole_count && bsearch(&number, c->whole, c->whole_count, sizeof number, compare_numbers);
}

static int look_at_row(
	void *context, const struct object_id *id, const struct index_place *place, struct error *err)
{
	struct checking *c = context;
	int r;

	if (place->pack > c->newest)
		return 0;
	if (is_whole(c, place->pack)) {
		c->rows++;
		return 0;
	}
	r = grow((void **)&c->lost, &c->lost_room, c->lost_count, sizeof *c->lost, err);
	if (r == 0)
		c->lost[c->lost_count++] = *id;
	return r;
}

/* Looked at where rows are more than matched: whether one is of an object that its pack does not have. */
static int look_closely(
	void *context, const struct object_id *id, const struct index_place *place, struct error *err)
{
	struct checking *c = context;
	struct pack *p;
	int r;

	if (place->pack > c->newest || !is_whole(c, place->pack))
		return 0;
	r = store_pack_open(c->store, place->pack, &p, err);
	if (r < 0)
		return r == -ERROR_NOT_FOUND ? 0 : r;
	c->index_wrong |= !frame_has(&p->directory, place->frame, id);
	pthread_mutex_lock(&c->store->lock);
	store_pack_release(c->store, p);
	pthread_mutex_unlock(&c->store->lock);
	return 0;
}

/* Calls take() for all packs that the index has. */
static int each_known(
	struct checking *c, void (*take)(struct checking *c, const struct index_pack *p), struct error *err)
{
	struct index_pack packs[64];
	int64_t above = 0;
	int n;

	while ((n = index_packs(c->store->index, above, packs, ARRAY_SIZE(packs), err)) > 0) {
		for (int i = 0; i < n; i++)
			take(c, &packs[i]);
		above = packs[n - 1].number;
	}
	return n;
}

static void count_pack(struct checking *c, const struct index_pack *p)
{
	c->newest = p->number;
	c->total += p->size;
}

static void look_for_missing(struct checking *c, const struct index_pack *known)
{
	_cleanup_(cleanup_pack) struct pack *p = NULL;
	char file[8 + PACK_PATH_SIZE];
	struct error why;

	if (known->number <= c->newest && !known->condemned && !is_whole(c, known->number) &&
		pack_open(c->store->packs, known->name, c->store->crypt, &p, &why) == -ERROR_NOT_FOUND)
		tell(c, NULL, file_of(known->name, file), "it is missing");
}

/* Objects that are lost where the index had them may be in another pack: the index is made of what is there.
 */
static int mend(struct checking *c, struct error *err)
{
	int r = 0;

	if (c->index_wrong)
		tell(c, NULL, "index.db", "it says other than the packs, and is made anew from them");
	if ((c->index_wrong || c->lost_count) && !c->store->read_only) {
		pthread_mutex_lock(&c->store->syncing);
		r = store_renew_index(c->store, c->check->progress, err);
		pthread_mutex_unlock(&c->store->syncing);
	}
	for (size_t i = 0; r >= 0 && i < c->lost_count; i++) {
		struct index_place place;

		r = c->store->read_only ? 0 : index_find(c->store->index, &c->lost[i], &place, err);
		if (r == 0)
			tell(c, &c->lost[i], "packs", "the pack that has it is missing or damaged");
	}
	return r < 0 ? r : 0;
}

/* 0 though the index is damaged; then it is wrong. */
static int unless_corrupt(struct checking *c, int r)
{
	c->index_wrong |= r == -ERROR_CORRUPT;
	return r == -ERROR_CORRUPT ? 0 : r;
}

static int check_all(struct checking *c, struct error *err)
{
	unsigned added;
	int r = unless_corrupt(c, index_verify(c->store->index, err));

	if (r == 0 && !c->index_wrong && !c->store->read_only)
		r = unless_corrupt(c, store_scan(c->store, NULL, &added, err));
	if (r == 0 && !c->index_wrong)
		r = unless_corrupt(c, each_known(c, count_pack, err));
	if (r == 0)
		r = store_each_pack(c->store, check_pack, c, err);
	if (c->whole_count)
		qsort(c->whole, c->whole_count, sizeof *c->whole, compare_numbers);
	if (r == 0 && !c->index_wrong)
		r = unless_corrupt(c, each_known(c, look_for_missing, err));
	if (r == 0 && !c->index_wrong)
		r = unless_corrupt(c, index_objects(c->store->index, look_at_row, c, err));
	if (r == 0 && !c->index_wrong && c->rows > c->matched)
		r = unless_corrupt(c, index_objects(c->store->index, look_closely, c, err));
	return r < 0 ? r : mend(c, err);
}

int store_check(struct store *s, struct store_check *check, struct error *err)
{
	struct checking c = {.store = s, .check = check, .decompressor = ZSTD_createDCtx()};
	int r = c.decompressor ? check_all(&c, err) : error_no_memory(err, "check the repository");

	progress_report(check->progress, &(struct progress_event){.task = "check",
						 .unit = "bytes",
						 .done = check->bytes,
						 .total = c.total,
						 .finished = true});
	ZSTD_freeDCtx(c.decompressor);
	buffer_free(&c.scratch);
	buffer_free(&c.frame);
	free(c.whole);
	free(c.lost);
	return r;
}
