/* SPDX-License-Identifier: Apache-2.0 */
/* What steps of builds have made, in monocore.db. */
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "oci/store_parts.h"

#define FRESH (NANOSECONDS_PER_SECOND * 3600) /* a time as new as that need not be written again */

int store_step_set(struct store *s, const char *key, const char *digest, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	struct db *db;
	int r = store_database(s, &db, err);

	if (r == 0)
		r = db_prepare(
			db, "INSERT OR REPLACE INTO step (key, digest, used) VALUES (?, ?, ?)", &q, err);
	if (r < 0)
		return r;
	db_bind_text(q, 1, key);
	db_bind_text(q, 2, digest);
	db_bind_number(q, 3, (int64_t)clock_realtime());
	return db_step(q, err);
}

int store_step_get(struct store *s, const char *key, char digest[OCI_DIGEST_SIZE], struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	struct db *db;
	int r = store_database(s, &db, err);

	if (r == 0)
		r = db_prepare(db, "SELECT digest FROM step WHERE key = ?", &q, err);
	if (r < 0)
		return r;
	db_bind_text(q, 1, key);
	r = db_step(q, err);
	if (r < 0)
		return r;
	if (r == 0 || !oci_digest_valid(db_text(q, 0)))
		return error_set(err, ERROR_NOT_FOUND, "no such step");
	memcpy(digest, db_text(q, 0), OCI_DIGEST_SIZE);
	return 0;
}

static int touch(struct db *db, const char *key, uint64_t now, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	int r = db_prepare(db, "UPDATE step SET used = ?1 WHERE key = ?2 AND used < ?3", &q, err);

	if (r < 0)
		return r;
	db_bind_number(q, 1, (int64_t)now);
	db_bind_text(q, 2, key);
	db_bind_number(q, 3, (int64_t)(now - FRESH));
	return db_step(q, err);
}

int store_steps_used(struct store *s, char *const *keys, struct error *err)
{
	uint64_t now = clock_realtime();
	struct db *db;
	int r = store_database(s, &db, err);

	for (size_t i = 0; r >= 0 && keys && keys[i]; i++)
		r = touch(db, keys[i], now, err);
	return r < 0 ? r : 0;
}
