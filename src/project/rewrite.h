/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of the user's that is read, changed and put back: whole or not at all, with its mode and owner,
 * behind the link that leads to it, and only if it still is what was read: what an editor saved meanwhile is
 * not overwritten. Others that rewrite in the same directory wait.
 */
#pragma once

#include <sys/stat.h>

#include "base/buffer.h"
#include "base/error.h"

struct rewrite {
	struct buffer bytes; /* what was read */
	char *path, *name;   /* links resolved; name: in its directory */
	int directory;       /* locked */
	struct stat seen;
};

/* Errors: NOT_FOUND, INVALID (no regular file), LIMIT, BUSY (another has been rewriting for 10 seconds). */
int rewrite_open(const char *path, size_t limit, struct rewrite *w, struct error *err);

/* Puts these bytes in its place. BUSY: it is not what was read any more, and was left so. */
int rewrite_commit(struct rewrite *w, const void *bytes, size_t n, struct error *err);

void rewrite_close(struct rewrite *w);
#define _cleanup_rewrite_ __attribute__((cleanup(rewrite_close)))
