/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the index share; nobody else includes it. */
#pragma once

#include <pthread.h>

#include "db/db.h"
#include "monofs/index.h"

/* A connection belongs to one thread at a time: who needs one takes it from the idle ones, or opens one. */
struct connection {
	struct db *db;
	struct db_query *find;
	struct connection *next;
};

struct index {
	char *path;
	pthread_rwlock_t gate; /* shared by who has a connection */
	pthread_mutex_t lock;
	struct connection *idle; /* under `lock` */
};

/* Who took one gives it back. */
int index_take_connection(struct index *i, struct connection **out, struct error *err);
void index_give_connection(struct index *i, struct connection *c);

/* The same around a transaction: index_begin() takes, index_end() gives back, and undoes what was not
 * committed. */
int index_begin(struct index *i, struct connection **out, struct error *err);
void index_end(struct index *i, struct connection *c);
