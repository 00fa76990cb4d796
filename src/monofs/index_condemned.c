/* SPDX-License-Identifier: Apache-2.0 */
/* Condemned packs, and the sessions that were there when they were. */
#include <string.h>

#include "monofs/index_parts.h"

/* A statement with numbers, run to its end. */
static int run(struct db *db, const char *sql, const int64_t *numbers, int count, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	int r = db_prepare(db, sql, &q, err);

	for (int k = 0; r == 0 && k < count; k++)
		db_bind_number(q, 1 + k, numbers[k]);
	return r < 0 ? r : db_step(q, err);
}

static int leave(struct db *db, int64_t number, const struct pack_directory *d, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	int r = db_prepare(db, "DELETE FROM object WHERE id = ? AND pack = ?", &q, err);

	for (uint32_t k = 0; r == 0 && k < d->object_count; k++) {
		db_bind_blob(q, 1, d->objects[k].id.bytes, OBJECT_ID_SIZE);
		db_bind_number(q, 2, number);
		r = db_step(q, err);
		db_reset(q);
	}
	return r;
}

int index_condemn(
	struct index *i, int64_t number, const struct pack_directory *d, int64_t now, struct error *err)
{
	const int64_t numbers[] = {now, number};
	struct connection *c;
	int r = index_begin(i, &c, err);

	if (r < 0)
		return r;
	r = run(c->db, "UPDATE pack SET condemned = ?, witnessed = 0 WHERE number = ?", numbers, 2, err);
	if (r == 0)
		r = run(c->db, "DELETE FROM witness WHERE pack = ?", &number, 1, err);
	if (r == 0)
		r = leave(c->db, number, d, err);
	if (r == 0)
		r = db_commit(c->db, err);
	index_end(i, c);
	return r;
}

static int add_witnesses(
	struct db *db, int64_t number, char (*sessions)[SESSION_NAME_SIZE], size_t count, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	int r = db_prepare(db, "INSERT OR IGNORE INTO witness (pack, session) VALUES (?, ?)", &q, err);

	for (size_t k = 0; r == 0 && k < count; k++) {
		db_bind_number(q, 1, number);
		db_bind_text(q, 2, sessions[k]);
		r = db_step(q, err);
		db_reset(q);
	}
	return r;
}

int index_witness(
	struct index *i, int64_t number, char (*sessions)[SESSION_NAME_SIZE], size_t count, struct error *err)
{
	struct connection *c;
	int r = index_begin(i, &c, err);

	if (r < 0)
		return r;
	r = add_witnesses(c->db, number, sessions, count, err);
	if (r == 0)
		r = run(c->db, "UPDATE pack SET witnessed = 1 WHERE number = ?", &number, 1, err);
	if (r == 0)
		r = db_commit(c->db, err);
	index_end(i, c);
	return r;
}

int index_is_witnessed(struct index *i, int64_t number,
	bool (*lives)(const void *context, const char *session), const void *context, struct error *err)
{
	struct connection *c;
	struct db_query *q = NULL;
	bool found = false;
	int r = index_take_connection(i, &c, err);

	if (r < 0)
		return r;
	r = db_prepare(c->db, "SELECT session FROM witness WHERE pack = ?", &q, err);
	if (r == 0)
		db_bind_number(q, 1, number);
	while (r == 0 && !found && (r = db_step(q, err)) > 0) {
		found = lives(context, db_text(q, 0));
		r = 0;
	}
	db_query_free(q);
	index_give_connection(i, c);
	return r < 0 ? r : found;
}

/* Whether the statement before changed a row. */
static int changed(struct db *db, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	int r = db_prepare(db, "SELECT changes()", &q, err);

	if (r == 0)
		r = db_step(q, err);
	return r > 0 ? db_number(q, 0) > 0 : r;
}

static int forget(struct db *db, int64_t number, struct error *err)
{
	int r = db_begin(db, err), was = 0;

	if (r == 0)
		r = run(db, "DELETE FROM pack WHERE number = ? AND condemned <> 0", &number, 1, err);
	if (r == 0)
		r = was = changed(db, err);
	if (r > 0)
		r = run(db, "DELETE FROM witness WHERE pack = ?", &number, 1, err);
	if (r == 0 && was)
		r = db_commit(db, err);
	db_end(db);
	return r < 0 ? r : was;
}

/* On disk when this returns, with all that was committed before: were its condemnation lost, the index would
 * have objects of a file that is gone. */
int index_forget(struct index *i, int64_t number, struct error *err)
{
	struct connection *c;
	int r = index_take_connection(i, &c, err);

	if (r < 0)
		return r;
	r = db_insist(c->db, err);
	if (r == 0)
		r = forget(c->db, number, err);
	db_relax(c->db, NULL);
	index_give_connection(i, c);
	return r;
}
