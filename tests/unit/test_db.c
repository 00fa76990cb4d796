/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/db.h"
#include "os/fs.h"
#include "test.h"

#define ROWS 3000 /* of 4 KiB: far more than SQLite leaves in its log */

static const char *const steps[] = {"CREATE TABLE t (number INTEGER PRIMARY KEY, bytes BLOB)"};
static const struct db_schema schema = {.name = "test", .steps = steps, .count = 1};

struct place {
	char directory[64], path[96], log[112];
};

static void place_open(struct place *p)
{
	snprintf(p->directory, sizeof p->directory, "/tmp/test-db-XXXXXX");
	CHECK(mkdtemp(p->directory));
	snprintf(p->path, sizeof p->path, "%s/t.db", p->directory);
	snprintf(p->log, sizeof p->log, "%s-wal", p->path);
}

static void place_close(struct place *p)
{
	fs_remove_tree(AT_FDCWD, p->directory, NULL);
}
#define PLACE(p) \
	__attribute__((cleanup(place_close))) struct place p; \
	place_open(&p)

static struct db *open_relaxed(const struct place *p)
{
	struct error err;
	struct db *db;

	CHECK_OK(db_open(p->path, &schema, &db, &err));
	CHECK_OK(db_relax(db, &err));
	return db;
}

static void add_rows(struct db *db, int64_t from, int64_t count)
{
	static const char bytes[4096];
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	struct error err;

	CHECK_OK(db_begin(db, &err));
	CHECK_OK(db_prepare(db, "INSERT INTO t VALUES (?, ?)", &q, &err));
	for (int64_t i = from; i < from + count; i++) {
		db_bind_number(q, 1, i);
		db_bind_blob(q, 2, bytes, sizeof bytes);
		CHECK_INT(db_step(q, &err), 0);
		db_reset(q);
	}
	CHECK_OK(db_commit(db, &err));
}

static int64_t count_rows(struct db *db)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	struct error err;

	CHECK_OK(db_prepare(db, "SELECT count(*) FROM t", &q, &err));
	CHECK_INT(db_step(q, &err), 1);
	return db_number(q, 0);
}

static int64_t log_size(const struct place *p)
{
	struct stat s;

	return stat(p->log, &s) == 0 ? (int64_t)s.st_size : 0;
}

TEST(the_log_of_a_large_transaction_is_not_left_to_who_opens_the_database_next)
{
	struct db *db;
	PLACE(p);

	db = open_relaxed(&p);
	add_rows(db, 0, ROWS);
	CHECK(log_size(&p) > ROWS * 4096);
	db_close(db);
	CHECK_INT(log_size(&p), 0);
	db = open_relaxed(&p);
	CHECK_INT(count_rows(db), ROWS);
	add_rows(db, ROWS, 1);
	db_close(db);
	CHECK(log_size(&p) > 0); /* which is not worth it */
	db = open_relaxed(&p);
	CHECK_INT(count_rows(db), ROWS + 1);
	db_close(db);
}

TEST(who_reads_meanwhile_goes_on_with_what_was_there_and_the_log_goes_after_that)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	struct db *reads, *writes;
	struct error err;
	PLACE(p);

	reads = open_relaxed(&p);
	add_rows(reads, 0, 2);
	CHECK_OK(db_prepare(reads, "SELECT number FROM t ORDER BY number", &q, &err));
	CHECK_INT(db_step(q, &err), 1);
	writes = open_relaxed(&p);
	add_rows(writes, 2, ROWS);
	db_close(writes);
	CHECK(log_size(&p) > ROWS * 4096);
	CHECK_INT(db_step(q, &err), 1);
	CHECK_INT(db_number(q, 0), 1);
	CHECK_INT(db_step(q, &err), 0);
	db_query_free(TAKE_PTR(q));
	CHECK_INT(count_rows(reads), ROWS + 2);
	db_close(reads);
	CHECK_INT(log_size(&p), 0);
	reads = open_relaxed(&p);
	CHECK_INT(count_rows(reads), ROWS + 2);
	db_close(reads);
}
