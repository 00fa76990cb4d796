/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite, for state that several processes share: one file in WAL mode, opened by each that needs it.
 *
 * A connection and its queries belong to one thread at a time. Who finds the file locked waits, ten seconds
 * at most, then BUSY. What was committed survives a power cut (synchronous=FULL).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct db;
struct db_query;

/* The tables of one part of the program: steps[n] leads from version n to n + 1 and is never changed once it
 * was released. Each step may hold several statements. */
struct db_schema {
	const char *name;
	const char *const *steps;
	size_t count;
};

/* Opens the file, making it (0600) where it is missing, and brings the schema up to date. A file of a newer
 * version is UNAVAILABLE, one that is no database CORRUPT. */
int db_open(const char *path, const struct db_schema *schema, struct db **db, struct error *err);
void db_close(struct db *db);

/* What this connection commits from here on waits for no disk: a power cut may undo it, with what was
 * committed behind it, but leaves the file whole. Closing it makes no checkpoint, unless the log is large. */
int db_relax(struct db *db, struct error *err);
int db_insist(struct db *db, struct error *err); /* as it was before that */
CLEANUP_DEFINE(db, struct db, db_close);

/* A transaction that may write, from its first statement on (BEGIN IMMEDIATE). It is rolled back unless it
 * was committed; db_end() after db_commit() does nothing. */
int db_begin(struct db *db, struct error *err);
int db_commit(struct db *db, struct error *err);
void db_end(struct db *db);

/* One statement; parameters are numbered from 1, columns from 0. */
int db_prepare(struct db *db, const char *sql, struct db_query **q, struct error *err);
void db_query_free(struct db_query *q);
CLEANUP_DEFINE(db_query, struct db_query, db_query_free);

/* Failures of binding are told by the next db_step(). The text is borrowed until then. */
void db_bind_text(struct db_query *q, int parameter, const char *text);
void db_bind_number(struct db_query *q, int parameter, int64_t number);
void db_bind_blob(struct db_query *q, int parameter, const void *bytes, size_t n); /* borrowed, as text */

int db_step(struct db_query *q, struct error *err); /* 1: a row, 0: done */

const char *db_text(struct db_query *q, int column); /* "" for NULL; valid until the next step */
int64_t db_number(struct db_query *q, int column);
/* NULL for an empty one; valid until the next step. */
const void *db_blob(struct db_query *q, int column, size_t *n);

/* Back to its beginning, for other parameters: a statement that is kept holds no lock meanwhile. */
void db_reset(struct db_query *q);

/* A statement with text parameters up to a NULL, run to its end. Returns the number of rows it changed. */
int db_run(struct db *db, struct error *err, const char *sql, ...) __attribute__((sentinel));
