/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the store share. */
#pragma once

#include "db/db.h"
#include "oci/store.h"

struct store {
	char *home, *path, *database;
	int roots, temporary, blobs, partial; /* directories */
	struct db *db;                        /* opened when a name is first asked for */
};

/* The file that the name means now is the one that is open. */
bool store_same_file(int directory, const char *name, int fd);
int store_lock_shared(int fd, struct error *err);

/* Calls `each` for every file of a directory of the store, until it returns something but 0, which is
 * returned. */
int store_each(int directory, int (*each)(void *context, const char *name, struct error *err), void *context,
	struct error *err);

/* The database, opened when it is first needed. Borrowed. */
int store_database(struct store *s, struct db **db, struct error *err);

/* "sha256:<hex>" → "<hex>", a file's name. */
static inline const char *store_blob_name(const char *digest)
{
	return digest + sizeof "sha256:" - 1;
}

/* Held shared while an exclusive lock of a blob becomes a shared one, which is two steps, and exclusively by
 * whoever collects garbage. *fd is the caller's. */
int store_lock_sweep(const struct store *s, bool exclusive, int *fd, struct error *err);
