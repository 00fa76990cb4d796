/* SPDX-License-Identifier: Apache-2.0 */
/* The file of the index, and connections to it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "monofs/index_parts.h"

static const char *const steps[] = {
	"CREATE TABLE pack (number INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL UNIQUE,"
	" size INTEGER NOT NULL, session TEXT NOT NULL, condemned INTEGER NOT NULL DEFAULT 0,"
	" witnessed INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE object (id BLOB PRIMARY KEY, pack INTEGER NOT NULL, frame INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE TABLE witness (pack INTEGER NOT NULL, session TEXT NOT NULL,"
	" PRIMARY KEY (pack, session)) WITHOUT ROWID;"
	"CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
};
static const struct db_schema schema = {.name = "monofs", .steps = steps, .count = ARRAY_SIZE(steps)};

/* ---- connections ------------------------------------------------------------------------------------ */

static void connection_free(struct connection *c)
{
	db_query_free(c->find);
	if (c->db)
		db_close(c->db);
	free(c);
}
CLEANUP_DEFINE(connection, struct connection, connection_free);

static int connect(struct index *i, struct connection **out, struct error *err)
{
	_cleanup_(cleanup_connection) struct connection *c = calloc(1, sizeof *c);
	int r = c ? db_open(i->path, &schema, &c->db, err) : error_no_memory(err, "open the index");

	if (r == 0)
		r = db_relax(c->db, err);
	if (r == 0)
		r = db_prepare(c->db, "SELECT pack, frame FROM object WHERE id = ?", &c->find, err);
	if (r == 0)
		*out = TAKE_PTR(c);
	return r;
}

int index_take_connection(struct index *i, struct connection **out, struct error *err)
{
	int r;

	pthread_rwlock_rdlock(&i->gate);
	pthread_mutex_lock(&i->lock);
	*out = i->idle;
	if (*out)
		i->idle = (*out)->next;
	pthread_mutex_unlock(&i->lock);
	r = *out ? 0 : connect(i, out, err);
	if (r < 0)
		pthread_rwlock_unlock(&i->gate);
	return r;
}

void index_give_connection(struct index *i, struct connection *c)
{
	pthread_mutex_lock(&i->lock);
	c->next = i->idle;
	i->idle = c;
	pthread_mutex_unlock(&i->lock);
	pthread_rwlock_unlock(&i->gate);
}

int index_begin(struct index *i, struct connection **out, struct error *err)
{
	int r = index_take_connection(i, out, err);

	if (r == 0)
		r = db_begin((*out)->db, err);
	if (r < 0 && *out)
		index_give_connection(i, *out);
	return r;
}

void index_end(struct index *i, struct connection *c)
{
	db_end(c->db);
	index_give_connection(i, c);
}

/* ---- open and close --------------------------------------------------------------------------------- */

int index_open(const char *path, bool renew, struct index **out, struct error *err)
{
	_cleanup_(cleanup_index) struct index *i = calloc(1, sizeof *i);
	struct connection *c;
	int r;

	if (!i)
		return error_no_memory(err, "open the index");
	pthread_rwlock_init(&i->gate, NULL);
	pthread_mutex_init(&i->lock, NULL);
	i->path = text_copy(path, err);
	r = i->path ? 0 : -ERROR_NO_MEMORY;
	if (r == 0 && renew)
		r = index_renew(i, err);
	if (r == 0)
		r = index_take_connection(i, &c, err);
	if (r == 0)
		index_give_connection(i, c);
	if (r == 0)
		*out = TAKE_PTR(i);
	return r;
}

static void close_idle(struct index *i)
{
	for (struct connection *c = i->idle, *next; c; c = next) {
		next = c->next;
		connection_free(c);
	}
	i->idle = NULL;
}

void index_close(struct index *i)
{
	if (!i)
		return;
	close_idle(i);
	pthread_rwlock_destroy(&i->gate);
	pthread_mutex_destroy(&i->lock);
	free(i->path);
	free(i);
}

static int remove_file(const char *path, const char *suffix, struct error *err)
{
	_cleanup_free_ char *name = text_format(err, "%s%s", path, suffix);

	if (!name)
		return -ERROR_NO_MEMORY;
	return unlink(name) < 0 && errno != ENOENT ? error_errno(err, errno, "remove %s", name) : 0;
}

/* Another process goes on with the file that it has open, and leaves the new one alone: SQLite removes a log
 * by its name when it closes a database, but not after db_relax(). */
int index_renew(struct index *i, struct error *err)
{
	struct connection *c;
	int r;

	pthread_rwlock_wrlock(&i->gate);
	close_idle(i);
	r = remove_file(i->path, "", err);
	if (r == 0)
		r = remove_file(i->path, "-wal", err);
	if (r == 0)
		r = remove_file(i->path, "-shm", err);
	if (r == 0)
		r = connect(i, &c, err);
	if (r == 0) {
		c->next = NULL;
		i->idle = c;
	}
	pthread_rwlock_unlock(&i->gate);
	return r;
}
