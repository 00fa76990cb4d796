/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "monofs/index_parts.h"

/* ---- looking ---------------------------------------------------------------------------------------- */

int index_find(struct index *i, const struct object_id *id, struct index_place *place, struct error *err)
{
	struct connection *c;
	int r = index_take_connection(i, &c, err);

	if (r < 0)
		return r;
	db_bind_blob(c->find, 1, id->bytes, sizeof id->bytes);
	r = db_step(c->find, err);
	if (r > 0)
		*place = (struct index_place){
			.pack = db_number(c->find, 0), .frame = (uint32_t)db_number(c->find, 1)};
	db_reset(c->find);
	index_give_connection(i, c);
	return r;
}

#define PACK_COLUMNS "SELECT number, name, size, session, condemned, witnessed FROM pack "

static int read_pack(struct db_query *q, struct index_pack *out, struct error *err)
{
	const char *session = db_text(q, 3);
	const void *name;
	size_t n;

	*out = (struct index_pack){.number = db_number(q, 0),
		.size = (uint64_t)db_number(q, 2),
		.condemned = db_number(q, 4),
		.witnessed = db_number(q, 5) != 0};
	if (strlen(session) < sizeof out->session)
		memcpy(out->session, session, strlen(session) + 1);
	name = db_blob(q, 1, &n);
	if (n != SHA256_SIZE)
		return error_set(err, ERROR_CORRUPT, "the index has a pack whose name has %zu bytes", n);
	memcpy(out->name, name, n);
	return 1;
}

static int next_pack(struct db_query *q, struct index_pack *out, struct error *err)
{
	int r = db_step(q, err);

	return r <= 0 ? r : read_pack(q, out, err);
}

int index_pack(struct index *i, int64_t number, struct index_pack *out, struct error *err)
{
	struct connection *c;
	struct db_query *q = NULL;
	int r = index_take_connection(i, &c, err);

	if (r < 0)
		return r;
	r = db_prepare(c->db, PACK_COLUMNS "WHERE number = ?", &q, err);
	if (r == 0) {
		db_bind_number(q, 1, number);
		r = next_pack(q, out, err);
	}
	db_query_free(q);
	index_give_connection(i, c);
	return r;
}

static int find_named(
	struct db *db, const uint8_t name[SHA256_SIZE], struct index_pack *out, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	int r = db_prepare(db, PACK_COLUMNS "WHERE name = ?", &q, err);

	if (r < 0)
		return r;
	db_bind_blob(q, 1, name, SHA256_SIZE);
	return next_pack(q, out, err);
}

int index_pack_named(
	struct index *i, const uint8_t name[SHA256_SIZE], struct index_pack *out, struct error *err)
{
	struct connection *c;
	int r = index_take_connection(i, &c, err);

	if (r < 0)
		return r;
	r = find_named(c->db, name, out, err);
	index_give_connection(i, c);
	return r;
}

int index_packs(struct index *i, int64_t above, struct index_pack *out, size_t room, struct error *err)
{
	struct connection *c;
	struct db_query *q = NULL;
	int r = index_take_connection(i, &c, err), count = 0;

	if (r < 0)
		return r;
	r = db_prepare(c->db, PACK_COLUMNS "WHERE number > ? ORDER BY number", &q, err);
	if (r == 0)
		db_bind_number(q, 1, above);
	while (r >= 0 && (size_t)count < room && (r = next_pack(q, &out[count], err)) > 0)
		count++;
	db_query_free(q);
	index_give_connection(i, c);
	return r < 0 ? r : count;
}

/* ---- adding ----------------------------------------------------------------------------------------- */

struct row {
	const struct object_id *id;
	int64_t pack;
	uint32_t frame;
};

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return memcmp(x->id->bytes, y->id->bytes, OBJECT_ID_SIZE);
}

/* fresh: it was written just now, by that session, though one of this name be there. */
static int add_pack(struct db *db, struct pack *p, const char *session, bool fresh, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	struct index_pack there;
	int r = db_prepare(db,
		fresh ? "INSERT INTO pack (name, size, session) VALUES (?, ?, ?) ON CONFLICT (name)"
			" DO UPDATE SET session = excluded.session, condemned = 0, witnessed = 0"
		      : "INSERT INTO pack (name, size, session) VALUES (?, ?, ?) ON CONFLICT (name)"
			" DO UPDATE SET condemned = 0, witnessed = 0",
		&q, err);

	if (r < 0)
		return r;
	db_bind_blob(q, 1, p->name, sizeof p->name);
	db_bind_number(q, 2, (int64_t)p->size);
	db_bind_text(q, 3, session);
	r = db_step(q, err);
	if (r == 0)
		r = find_named(db, p->name, &there, err);
	if (r > 0)
		p->number = there.number;
	return r < 0 ? r : 0;
}

static int add_rows(struct db *db, const struct row *rows, size_t count, bool replace, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	int r = db_prepare(db,
		replace ? "INSERT OR REPLACE INTO object (id, pack, frame) VALUES (?, ?, ?)"
			: "INSERT OR IGNORE INTO object (id, pack, frame) VALUES (?, ?, ?)",
		&q, err);

	for (size_t k = 0; r == 0 && k < count; k++) {
		db_bind_blob(q, 1, rows[k].id->bytes, OBJECT_ID_SIZE);
		db_bind_number(q, 2, rows[k].pack);
		db_bind_number(q, 3, rows[k].frame);
		r = db_step(q, err);
		db_reset(q);
	}
	return r;
}

/* Rows that come in order go into the tree of the database a page at a time. */
static int add_objects(
	struct db *db, struct pack *const *packs, size_t count, bool replace, struct error *err)
{
	_cleanup_free_ struct row *rows = NULL;
	size_t n = 0, total = 0;

	for (size_t k = 0; k < count; k++)
		total += packs[k]->directory.object_count;
	rows = calloc(total + 1, sizeof *rows);
	if (!rows)
		return error_no_memory(err, "write the index");
	for (size_t k = 0; k < count; k++) {
		const struct pack_directory *d = &packs[k]->directory;

		for (uint32_t f = 0; f < d->frame_count; f++)
			for (uint32_t o = 0; o < d->frames[f].count; o++)
				rows[n++] = (struct row){.id = &d->objects[d->frames[f].first + o].id,
					.pack = packs[k]->number,
					.frame = f};
	}
	qsort(rows, n, sizeof *rows, compare_rows);
	return add_rows(db, rows, n, replace, err);
}

int index_add(struct index *i, struct pack *const *packs, size_t count, const char *session, bool fresh,
	struct error *err)
{
	struct connection *c;
	int r = index_begin(i, &c, err);

	if (r < 0)
		return r;
	for (size_t k = 0; r == 0 && k < count; k++)
		r = add_pack(c->db, packs[k], session, fresh, err);
	if (r == 0)
		r = add_objects(c->db, packs, count, fresh, err);
	if (r == 0)
		r = db_commit(c->db, err);
	index_end(i, c);
	return r < 0 ? error_prefix(err, "write the index") : 0;
}

int index_move(struct index *i, const struct object_id *id, const struct index_place *to, struct error *err)
{
	const struct row row = {.id = id, .pack = to->pack, .frame = to->frame};
	struct connection *c;
	int r = index_begin(i, &c, err);

	if (r < 0)
		return r;
	r = add_rows(c->db, &row, 1, true, err);
	if (r == 0)
		r = db_commit(c->db, err);
	index_end(i, c);
	return r;
}

/* ---- state ------------------------------------------------------------------------------------------ */

int index_complete(struct index *i, struct error *err)
{
	struct connection *c;
	struct db_query *q = NULL;
	int r = index_take_connection(i, &c, err);

	if (r < 0)
		return r;
	r = db_prepare(c->db, "SELECT 1 FROM state WHERE name = 'complete'", &q, err);
	if (r == 0)
		r = db_step(q, err);
	db_query_free(q);
	index_give_connection(i, c);
	return r;
}

int index_set_complete(struct index *i, struct error *err)
{
	struct connection *c;
	int r = index_take_connection(i, &c, err);

	if (r < 0)
		return r;
	r = db_run(c->db, err, "INSERT OR REPLACE INTO state (name, value) VALUES ('complete', 1)", NULL);
	index_give_connection(i, c);
	return r < 0 ? r : 0;
}

/* ---- all of it -------------------------------------------------------------------------------------- */

static int next_object(struct db_query *q, struct object_id *id, struct index_place *place, struct error *err)
{
	int r = db_step(q, err);
	const void *bytes;
	size_t n;

	if (r <= 0)
		return r;
	bytes = db_blob(q, 0, &n);
	if (n != OBJECT_ID_SIZE)
		return error_set(err, ERROR_CORRUPT, "the index has an id of %zu bytes", n);
	memcpy(id->bytes, bytes, n);
	*place = (struct index_place){.pack = db_number(q, 1), .frame = (uint32_t)db_number(q, 2)};
	return 1;
}

int index_objects(struct index *i, index_take *take, void *context, struct error *err)
{
	static const struct object_id first;
	struct object_id last;

	memset(last.bytes, 0xff, sizeof last.bytes);
	return index_between(i, &first, &last, take, context, err);
}

int index_between(struct index *i, const struct object_id *first, const struct object_id *last,
	index_take *take, void *context, struct error *err)
{
	struct index_place place;
	struct object_id id;
	struct connection *c;
	struct db_query *q = NULL;
	int r = index_take_connection(i, &c, err);

	if (r < 0)
		return r;
	r = db_prepare(
		c->db, "SELECT id, pack, frame FROM object WHERE id BETWEEN ? AND ? ORDER BY id", &q, err);
	if (r == 0) {
		db_bind_blob(q, 1, first->bytes, sizeof first->bytes);
		db_bind_blob(q, 2, last->bytes, sizeof last->bytes);
	}
	while (r == 0 && (r = next_object(q, &id, &place, err)) > 0)
		r = take(context, &id, &place, err);
	db_query_free(q);
	index_give_connection(i, c);
	return r;
}

int index_verify(struct index *i, struct error *err)
{
	struct connection *c;
	struct db_query *q = NULL;
	int r = index_take_connection(i, &c, err);

	if (r < 0)
		return r;
	r = db_prepare(c->db, "PRAGMA integrity_check(1)", &q, err);
	if (r == 0)
		r = db_step(q, err);
	if (r > 0 && strcmp(db_text(q, 0), "ok") != 0)
		r = error_set(err, ERROR_CORRUPT, "%s", db_text(q, 0));
	db_query_free(q);
	index_give_connection(i, c);
	return r < 0 ? r : 0;
}
