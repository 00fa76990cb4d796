/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/store_parts.h"

static void add_pack(struct store_statistics *out, const struct pack *p)
{
	const struct pack_directory *d = &p->directory;

	out->packs++;
	out->pack_bytes += p->size;
	out->frames += d->frame_count;
	for (uint32_t i = 0; i < d->frame_count; i++)
		out->frame_bytes += d->frames[i].raw;
	for (uint32_t i = 0; i < d->object_count; i++) {
		const struct pack_object *o = &d->objects[i];

		out->objects++;
		out->object_bytes += o->size;
		out->type_objects[o->type]++;
		out->type_bytes[o->type] += o->size;
	}
}

/* Of a damaged one the size counts alone; one that is not there does not: it was swept away meanwhile. */
static int look_at(
	struct store *s, const struct index_pack *known, struct store_statistics *out, struct error *err)
{
	_cleanup_(cleanup_pack) struct pack *p = NULL;
	int r;

	if (known->condemned) {
		out->condemned++;
		out->condemned_bytes += known->size;
		return 0;
	}
	r = pack_open(s->packs, known->name, s->crypt, &p, err);
	if (r == 0)
		add_pack(out, p);
	if (r == -ERROR_CORRUPT) {
		out->packs++;
		out->pack_bytes += known->size;
	}
	return r == -ERROR_CORRUPT || r == -ERROR_NOT_FOUND ? 0 : r;
}

int store_statistics(struct store *s, struct store_statistics *out, struct error *err)
{
	struct index_pack packs[64];
	int64_t above = 0;
	int n;

	*out = (struct store_statistics){0};
	while ((n = index_packs(s->index, above, packs, ARRAY_SIZE(packs), err)) > 0) {
		for (int i = 0; i < n; i++) {
			int r = look_at(s, &packs[i], out, err);

			if (r < 0)
				return r;
		}
		above = packs[n - 1].number;
	}
	return n;
}
