/* SPDX-License-Identifier: Apache-2.0 */
#include "db/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define BUSY_MILLISECONDS 10000
#define LOG_LARGE         (4 << 20) /* bytes; SQLite writes 1,000 pages of 4 KiB back by itself */

struct db {
	sqlite3 *handle;
	char *path;
	bool within;  /* a transaction */
	bool relaxed; /* it was once: closing makes no checkpoint */
};

struct db_query {
	struct db *db;
	sqlite3_stmt *statement;
	bool failed; /* a parameter could not be bound */
};

static enum error_code code_of(int result)
{
	switch (result & 0xff) {
	case SQLITE_NOMEM:
		return ERROR_NO_MEMORY;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERROR_BUSY;
	case SQLITE_FULL:
		return ERROR_NO_SPACE;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERROR_CORRUPT;
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_AUTH:
		return ERROR_DENIED;
	case SQLITE_CONSTRAINT:
		return ERROR_EXISTS;
	default:
		return ERROR_SYSTEM;
	}
}

static int failed(struct db *db, int result, struct error *err)
{
	return error_set(err, code_of(result), "%s: %s", db->path,
		db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(result));
}

static int execute(struct db *db, const char *sql, struct error *err)
{
	int result = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return result == SQLITE_OK ? 0 : failed(db, result, err);
}

/* ---- the schema ------------------------------------------------------------------------------------- */

static int read_version(struct db *db, const char *name, size_t *version, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	int r = db_prepare(db, "SELECT version FROM schema WHERE name = ?", &q, err);

	*version = 0;
	if (r < 0)
		return r;
	db_bind_text(q, 1, name);
	r = db_step(q, err);
	if (r > 0)
		*version = (size_t)db_number(q, 0);
	return r < 0 ? r : 0;
}

static int migrate_step(struct db *db, const struct db_schema *s, size_t at, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	int r = execute(db, s->steps[at], err);

	if (r == 0)
		r = db_prepare(db, "INSERT OR REPLACE INTO schema (name, version) VALUES (?, ?)", &q, err);
	if (r < 0)
		return r;
	db_bind_text(q, 1, s->name);
	db_bind_number(q, 2, (int64_t)at + 1);
	return db_step(q, err);
}

/* In one transaction: a process that is killed leaves the old version. */
static int migrate(struct db *db, const struct db_schema *s, struct error *err)
{
	size_t version;
	int r = db_begin(db, err);

	if (r == 0)
		r = execute(db,
			"CREATE TABLE IF NOT EXISTS schema (name TEXT PRIMARY KEY, version INTEGER NOT NULL)",
			err);
	if (r == 0)
		r = read_version(db, s->name, &version, err);
	for (; r == 0 && version < s->count; version++)
		r = migrate_step(db, s, version, err);
	if (r == 0)
		r = db_commit(db, err);
	db_end(db);
	return r < 0 ? error_prefix(err, "bring the tables of %s up to date", s->name) : 0;
}

/* Looked at without a lock for writing, which a process that only reads does not need. */
static int check_schema(struct db *db, const struct db_schema *s, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	size_t version = 0;
	int r = db_prepare(
		db, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema'", &q, err);

	if (r == 0)
		r = db_step(q, err);
	if (r > 0)
		r = read_version(db, s->name, &version, err);
	if (r < 0)
		return r;
	if (version > s->count)
		return error_set(err, ERROR_UNAVAILABLE,
			"%s was written by a newer monocore (its tables of %s have version %zu, this program "
			"knows "
			"%zu): use that one",
			db->path, s->name, version, s->count);
	cleanup_db_query(&q);
	q = NULL;
	return version == s->count ? 0 : migrate(db, s, err);
}

/* ---- open ------------------------------------------------------------------------------------------- */

/* SQLite makes files readable by all; its journals get the mode of the database. */
static int make_file(const char *path, struct error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 && errno != EEXIST)
		return error_errno(err, errno, "make %s", path);
	if (fd >= 0)
		close(fd);
	return 0;
}

/* Two that make the file at once: each has read it and wants to write to it, so SQLite lets neither wait. */
static int set_modes(struct db *db, struct error *err)
{
	const struct timespec pause = {.tv_nsec = 5000000};
	uint64_t deadline = clock_monotonic() + MILLISECONDS(BUSY_MILLISECONDS);

	for (;;) {
		int r = execute(db,
			"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; "
			"PRAGMA cell_size_check = ON",
			err);

		if (r != -ERROR_BUSY || clock_monotonic() > deadline)
			return r;
		nanosleep(&pause, NULL);
	}
}

static int open_file(struct db *db, struct error *err)
{
	int result = make_file(db->path, err);

	if (result < 0)
		return result;
	result = sqlite3_open_v2(db->path, &db->handle,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);
	if (result != SQLITE_OK)
		return failed(db, result, err);
	sqlite3_busy_timeout(db->handle, BUSY_MILLISECONDS);
	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	return set_modes(db, err);
}

/* In WAL mode NORMAL syncs at checkpoints only, and closing makes none (sqlite.org/pragma.html). */
int db_relax(struct db *db, struct error *err)
{
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	db->relaxed = true;
	return execute(db, "PRAGMA synchronous = NORMAL", err);
}

int db_insist(struct db *db, struct error *err)
{
	return execute(db, "PRAGMA synchronous = FULL", err);
}

int db_open(const char *path, const struct db_schema *schema, struct db **out, struct error *err)
{
	_cleanup_(cleanup_db) struct db *db = calloc(1, sizeof *db);
	int r;

	if (!db)
		return error_no_memory(err, "open a database");
	db->path = text_copy(path, err);
	if (!db->path)
		return -ERROR_NO_MEMORY;
	r = open_file(db, err);
	if (r == 0)
		r = check_schema(db, schema, err);
	if (r < 0)
		return r;
	*out = TAKE_PTR(db);
	return 0;
}

/* The log of one large transaction, which the next process would read from end to end, though all of it has
 * long been written back. Whoever uses the database just now is not waited for. */
static void empty_large_log(struct db *db)
{
	sqlite3_file *log = NULL;
	sqlite3_int64 size;

	if (sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK ||
		!log || !log->pMethods || log->pMethods->xFileSize(log, &size) != SQLITE_OK ||
		size <= LOG_LARGE)
		return;
	sqlite3_busy_timeout(db->handle, 0);
	sqlite3_wal_checkpoint_v2(db->handle, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

void db_close(struct db *db)
{
	if (!db)
		return;
	if (db->relaxed)
		empty_large_log(db);
	sqlite3_close_v2(db->handle);
	free(db->path);
	free(db);
}

/* ---- transactions ----------------------------------------------------------------------------------- */

int db_begin(struct db *db, struct error *err)
{
	int r = execute(db, "BEGIN IMMEDIATE", err);

	db->within = r == 0;
	return r;
}

int db_commit(struct db *db, struct error *err)
{
	int r = execute(db, "COMMIT", err);

	if (r == 0)
		db->within = false;
	return r;
}

void db_end(struct db *db)
{
	if (db->within)
		execute(db, "ROLLBACK", NULL);
	db->within = false;
}

/* ---- queries ---------------------------------------------------------------------------------------- */

int db_prepare(struct db *db, const char *sql, struct db_query **out, struct error *err)
{
	struct db_query *q = calloc(1, sizeof *q);
	int result;

	if (!q)
		return error_no_memory(err, "query a database");
	q->db = db;
	result = sqlite3_prepare_v2(db->handle, sql, -1, &q->statement, NULL);
	if (result != SQLITE_OK) {
		free(q);
		return failed(db, result, err);
	}
	*out = q;
	return 0;
}

void db_query_free(struct db_query *q)
{
	if (!q)
		return;
	sqlite3_finalize(q->statement);
	free(q);
}

void db_bind_text(struct db_query *q, int parameter, const char *text)
{
	q->failed |= sqlite3_bind_text(q->statement, parameter, text, -1, SQLITE_STATIC) != SQLITE_OK;
}

void db_bind_number(struct db_query *q, int parameter, int64_t number)
{
	q->failed |= sqlite3_bind_int64(q->statement, parameter, number) != SQLITE_OK;
}

void db_bind_blob(struct db_query *q, int parameter, const void *bytes, size_t n)
{
	q->failed |= n > INT_MAX ||
		     sqlite3_bind_blob(q->statement, parameter, bytes, (int)n, SQLITE_STATIC) != SQLITE_OK;
}

int db_step(struct db_query *q, struct error *err)
{
	int result = q->failed ? SQLITE_MISUSE : sqlite3_step(q->statement);

	if (result == SQLITE_ROW)
		return 1;
	return result == SQLITE_DONE ? 0 : failed(q->db, result, err);
}

const char *db_text(struct db_query *q, int column)
{
	const unsigned char *text = sqlite3_column_text(q->statement, column);

	return text ? (const char *)text : "";
}

int64_t db_number(struct db_query *q, int column)
{
	return sqlite3_column_int64(q->statement, column);
}

const void *db_blob(struct db_query *q, int column, size_t *n)
{
	const void *bytes = sqlite3_column_blob(q->statement, column);

	*n = (size_t)sqlite3_column_bytes(q->statement, column);
	return bytes;
}

void db_reset(struct db_query *q)
{
	sqlite3_reset(q->statement);
	q->failed = false;
}

int db_run(struct db *db, struct error *err, const char *sql, ...)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	const char *text;
	int r = db_prepare(db, sql, &q, err), parameter = 0;
	va_list args;

	if (r < 0)
		return r;
	va_start(args, sql);
	while ((text = va_arg(args, const char *)))
		db_bind_text(q, ++parameter, text);
	va_end(args);
	while ((r = db_step(q, err)) > 0)
		;
	return r < 0 ? r : sqlite3_changes(db->handle);
}
