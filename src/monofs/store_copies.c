/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that are damaged where the index has them, and whole in another pack: two writers at once, or a
 * sweep that died, leave such copies. */
#include <string.h>

#include "monofs/store_parts.h"

bool store_matches(const struct store *s, const struct pack_object *o, const void *bytes)
{
	struct object_id id;

	return crypt_id(s->crypt, o->type, bytes, o->size, &id, NULL) == 0 && object_id_equal(&id, &o->id);
}

/* 1: it is in this frame, and whole; 0: it is not; damage of the copy is no error. */
static int look_into(
	struct store *s, const struct pack *p, uint32_t number, const struct object_id *id, struct error *err)
{
	const struct pack_frame *f = &p->directory.frames[number];
	struct kept_frame *kept;
	uint32_t offset = 0;
	int found = 0, r;

	for (uint32_t i = f->first; !found && i < f->first + f->count; i++) {
		const struct pack_object *o = &p->directory.objects[i];

		if (object_id_equal(&o->id, id)) {
			r = store_frame_read(s, p, number, f, &kept, err);
			if (r < 0)
				return r == -ERROR_CORRUPT ? 0 : r;
			found = store_matches(s, o, kept->bytes + offset);
			pthread_mutex_lock(&s->lock);
			store_frame_release(s, kept);
			pthread_mutex_unlock(&s->lock);
		}
		offset += o->size;
	}
	return found;
}

static int look_at(struct store *s, int64_t number, const struct object_id *id, struct index_place *out,
	struct error *err)
{
	struct pack *p;
	int r = store_pack_open(s, number, &p, err);

	if (r < 0)
		return r == -ERROR_CORRUPT || r == -ERROR_NOT_FOUND ? 0 : r;
	for (uint32_t f = 0; r == 0 && f < p->directory.frame_count; f++) {
		*out = (struct index_place){.pack = number, .frame = f};
		r = look_into(s, p, f, id, err);
	}
	pthread_mutex_lock(&s->lock);
	store_pack_release(s, p);
	pthread_mutex_unlock(&s->lock);
	return r;
}

int store_find_copy(struct store *s, const struct object_id *id, const uint8_t damaged[SHA256_SIZE],
	struct index_place *out, struct error *err)
{
	struct index_pack packs[64];
	int64_t above = 0;
	int n, r = 0;

	while (r == 0 && (n = index_packs(s->index, above, packs, ARRAY_SIZE(packs), err)) != 0) {
		if (n < 0)
			return n;
		for (int i = 0; r == 0 && i < n; i++)
			if (memcmp(packs[i].name, damaged, SHA256_SIZE) != 0)
				r = look_at(s, packs[i].number, id, out, err);
		above = packs[n - 1].number;
	}
	/* Where that cannot be written down, it is looked for again. A condemned pack comes back with the
	 * next sweep, which finds that this one is needed of it. */
	if (r == 1)
		index_move(s->index, id, out, NULL);
	return r;
}
