/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories of the sandboxes, and their names.
 *
 * A directory appears under its final name only when it is complete, and disappears by one rename, so that
 * at any instant what is there is whole. `directory_sweep` removes what killed processes have left: half-made
 * and half-removed directories, throw-away sandboxes whose supervisor is gone, names that lead nowhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "sandbox/home.h"
#include "sandbox/record.h"

#define SANDBOX_ID_SIZE 16 /* 15 hex digits and a NUL */

struct directory {
	char id[SANDBOX_ID_SIZE];
	int fd;   /* of the directory, or -1 */
	int lock; /* of its lock file while this process holds it, or -1 */
};
#define DIRECTORY_NONE \
	{ \
		.fd = -1, .lock = -1 \
	}
void directory_close(struct directory *d);
#define _cleanup_directory_ __attribute__((cleanup(directory_close)))

bool sandbox_name_valid(const char *name);

/* Starts a new directory under a temporary name, locked: fill it, then directory_publish(). */
int directory_create(const struct home *home, struct directory *d, struct error *err);

/* Gives it its final name, and the sandbox its `name` (EXISTS where that is taken). On failure nothing of it
 * is left. `durable`: survives a power cut from here on. */
int directory_publish(
	const struct home *home, struct directory *d, const char *name, bool durable, struct error *err);

/* Finds a sandbox by name, id, or unique prefix of an id (4 digits at least). Not locked. */
int directory_find(const struct home *home, const char *name, struct directory *d, struct error *err);

/* Locks it exclusively: BUSY where its supervisor (or another command) holds it and wait is false. */
int directory_lock(struct directory *d, bool wait, struct error *err);
bool directory_is_locked(const struct directory *d); /* by another process */

/* Removes a sandbox that this process has locked, and its name. */
int directory_remove(const struct home *home, struct directory *d, const char *name, struct error *err);

/* Ids of all sandboxes, unordered; a NULL-terminated list, the caller's. */
int directory_list(const struct home *home, char ***ids, struct error *err);

int directory_sweep(const struct home *home, struct error *err);
