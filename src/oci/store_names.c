/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images, in monocore.db. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "oci/store_parts.h"

static const char *const steps[] = {
	"CREATE TABLE image ("
	"  name TEXT PRIMARY KEY,"
	"  digest TEXT NOT NULL,"
	"  media_type TEXT NOT NULL,"
	"  size INTEGER NOT NULL,"
	"  source TEXT NOT NULL,"
	"  updated INTEGER NOT NULL"
	") WITHOUT ROWID;"
	"CREATE TABLE whole (manifest TEXT PRIMARY KEY) WITHOUT ROWID;"
	"CREATE TABLE origin ("
	"  digest TEXT NOT NULL,"
	"  registry TEXT NOT NULL,"
	"  repository TEXT NOT NULL,"
	"  PRIMARY KEY (digest, registry, repository)"
	") WITHOUT ROWID;"
	"CREATE TABLE referrer ("
	"  subject TEXT NOT NULL,"
	"  digest TEXT NOT NULL,"
	"  PRIMARY KEY (subject, digest)"
	") WITHOUT ROWID",
	"CREATE TABLE step ("
	"  key TEXT PRIMARY KEY,"
	"  digest TEXT NOT NULL,"
	"  used INTEGER NOT NULL"
	") WITHOUT ROWID",
};

int store_database(struct store *s, struct db **db, struct error *err)
{
	const struct db_schema schema = {.name = "images", .steps = steps, .count = ARRAY_SIZE(steps)};
	int r = s->db ? 0 : db_open(s->database, &schema, &s->db, err);

	*db = s->db;
	return r;
}

void store_name_free(struct store_name *n)
{
	free(n->name);
	free(n->media_type);
	free(n->source);
	*n = (struct store_name){0};
}

void store_name_list_free(struct store_name *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		store_name_free(&list[i]);
	free(list);
}

static int set_name(struct db *db, const struct store_name *n, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	int r = db_prepare(db,
		"INSERT OR REPLACE INTO image (name, digest, media_type, size, source, updated) "
		"VALUES (?, ?, ?, ?, ?, ?)",
		&q, err);

	if (r < 0)
		return r;
	db_bind_text(q, 1, n->name);
	db_bind_text(q, 2, n->digest);
	db_bind_text(q, 3, n->media_type);
	db_bind_number(q, 4, (int64_t)n->size);
	db_bind_text(q, 5, n->source ? n->source : "");
	db_bind_number(q, 6, (int64_t)(n->updated ? n->updated : clock_realtime()));
	return db_step(q, err);
}

static int add_origins(struct db *db, const struct store_origin *o, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < o->count; i++)
		r = db_run(db, err,
			"INSERT OR IGNORE INTO origin (digest, registry, repository) VALUES (?, ?, ?)",
			o->digests[i], o->registry, o->repository, NULL);
	return r;
}

static int set_all(struct db *db, const struct store_name *n, const char *manifest,
	const struct store_origin *origin, struct error *err)
{
	int r = n ? set_name(db, n, err) : 0;

	if (r >= 0 && manifest)
		r = db_run(db, err, "INSERT OR IGNORE INTO whole (manifest) VALUES (?)", manifest, NULL);
	if (r >= 0 && origin)
		r = add_origins(db, origin, err);
	return r;
}

static int set_within(struct store *s, const struct store_name *n, const char *manifest,
	const struct store_origin *origin, struct error *err)
{
	struct db *db;
	int r = store_database(s, &db, err);

	if (r == 0)
		r = db_begin(db, err);
	if (r < 0)
		return r;
	r = set_all(db, n, manifest, origin, err);
	if (r >= 0)
		r = db_commit(db, err);
	db_end(db);
	return r;
}

int store_name_set(struct store *s, const struct store_name *n, const char *manifest, struct error *err)
{
	return set_within(s, n, manifest, NULL, err);
}

int store_name_set_from(struct store *s, const struct store_name *n, const char *manifest,
	const struct store_origin *origin, struct error *err)
{
	return set_within(s, n, manifest, origin, err);
}

int store_origin_add(struct store *s, const struct store_origin *origin, struct error *err)
{
	return set_within(s, NULL, NULL, origin, err);
}

bool store_is_whole(struct store *s, const char *manifest)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	struct db *db;

	if (store_database(s, &db, NULL) < 0 ||
		db_prepare(db, "SELECT 1 FROM whole WHERE manifest = ?", &q, NULL) < 0)
		return false;
	db_bind_text(q, 1, manifest);
	return db_step(q, NULL) > 0;
}

int store_referrer_add(struct store *s, const char *subject, const char *digest, struct error *err)
{
	struct db *db;
	int r = store_database(s, &db, err);

	if (r == 0)
		r = db_run(db, err, "INSERT OR IGNORE INTO referrer (subject, digest) VALUES (?, ?)", subject,
			digest, NULL);
	return r < 0 ? r : 0;
}

int store_referrers(struct store *s, const char *subject, char ***digests, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	_cleanup_text_list_ char **list = NULL;
	struct db *db;
	int r = store_database(s, &db, err);

	if (r == 0)
		r = db_prepare(db, "SELECT digest FROM referrer WHERE subject = ? ORDER BY digest", &q, err);
	if (r < 0)
		return r;
	db_bind_text(q, 1, subject);
	while ((r = db_step(q, err)) > 0) {
		r = oci_digest_valid(db_text(q, 0)) ? text_list_add(&list, db_text(q, 0), err) : 0;
		if (r < 0)
			return r;
	}
	*digests = TAKE_PTR(list);
	return r;
}

int store_origin_find(struct store *s, const char *digest, const char *registry, const char *not_in,
	char **repository, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	struct db *db;
	int r = store_database(s, &db, err);

	*repository = NULL;
	if (r == 0)
		r = db_prepare(db,
			"SELECT repository FROM origin WHERE digest = ? AND registry = ? AND repository <> ? "
			"LIMIT 1",
			&q, err);
	if (r < 0)
		return r;
	db_bind_text(q, 1, digest);
	db_bind_text(q, 2, registry);
	db_bind_text(q, 3, not_in);
	r = db_step(q, err);
	if (r <= 0)
		return r;
	*repository = text_copy(db_text(q, 0), err);
	return *repository ? 0 : -ERROR_NO_MEMORY;
}

#define COLUMNS "name, digest, media_type, size, source, updated"

static int read_row(struct db_query *q, struct store_name *n, struct error *err)
{
	*n = (struct store_name){.name = text_copy(db_text(q, 0), err),
		.media_type = text_copy(db_text(q, 2), err),
		.size = (uint64_t)db_number(q, 3),
		.source = text_copy(db_text(q, 4), err),
		.updated = (uint64_t)db_number(q, 5)};
	if (!n->name || !n->media_type || !n->source) {
		store_name_free(n);
		return -ERROR_NO_MEMORY;
	}
	if (!oci_digest_valid(db_text(q, 1))) {
		error_set(err, ERROR_CORRUPT, "image %s: monocore.db has no valid digest for it", n->name);
		store_name_free(n);
		return -ERROR_CORRUPT;
	}
	memcpy(n->digest, db_text(q, 1), OCI_DIGEST_SIZE);
	return 0;
}

int store_name_get(struct store *s, const char *name, struct store_name *out, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	struct db *db;
	int r = store_database(s, &db, err);

	*out = (struct store_name){0};
	if (r == 0)
		r = db_prepare(db, "SELECT " COLUMNS " FROM image WHERE name = ?", &q, err);
	if (r < 0)
		return r;
	db_bind_text(q, 1, name);
	r = db_step(q, err);
	if (r < 0)
		return r;
	return r > 0 ? read_row(q, out, err) : error_set(err, ERROR_NOT_FOUND, "there is no image %s", name);
}

int store_name_remove(struct store *s, const char *name, struct error *err)
{
	struct db *db;
	int r = store_database(s, &db, err);

	if (r == 0)
		r = db_run(db, err, "DELETE FROM image WHERE name = ?", name, NULL);
	if (r == 0)
		return error_set(err, ERROR_NOT_FOUND, "there is no image %s", name);
	return r < 0 ? r : 0;
}

int store_name_list(struct store *s, struct store_name **out, size_t *count, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	struct store_name *list = NULL;
	size_t n = 0;
	struct db *db;
	int r = store_database(s, &db, err);

	if (r == 0)
		r = db_prepare(db, "SELECT " COLUMNS " FROM image ORDER BY name", &q, err);
	while (r >= 0 && (r = db_step(q, err)) > 0) {
		struct store_name *more = reallocarray(list, n + 1, sizeof *list);

		r = more ? 0 : error_no_memory(err, "list images");
		if (!more)
			break;
		list = more;
		r = read_row(q, &list[n], err);
		n += r == 0;
	}
	if (r < 0) {
		store_name_list_free(list, n);
		return r;
	}
	*out = list;
	*count = n;
	return 0;
}
