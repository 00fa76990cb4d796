/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named bytes of an image on disk: the files of a directory, or the members of a tar archive, which is read
 * where it lies: opening one looks only at the headers. Some may only be on their way here: a source gives
 * them out as they come.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/map.h"

struct blob {
	int fd; /* the caller's */
	uint64_t offset, size;
	bool arriving; /* ask the source how far it is */
	size_t number; /* the source's */
};

struct blob_source {
	void *context;
	/* NOT_FOUND: not one of the source's. */
	int (*find)(void *context, const char *name, struct blob *blob, struct error *err);
	/* Waits for more than `have` bytes, a moment at most. The source checks the digest by itself. */
	int (*wait)(void *context, const struct blob *blob, uint64_t have, uint64_t *available,
		struct error *err);
};

struct blobs {
	char *path; /* as the user wrote it */
	int fd;
	bool archive;
	uint64_t size;                    /* of an archive */
	struct map members;               /* of an archive: by name, without "./" in front */
	const struct blob_source *source; /* asked first; may be NULL */
};

int blobs_open(const char *path, struct blobs *b, struct error *err);
void blobs_close(struct blobs *b);
#define _cleanup_blobs_ _cleanup_(blobs_close)

bool blobs_has(const struct blobs *b, const char *name);
int blobs_find(const struct blobs *b, const char *name, struct blob *blob, struct error *err);

/* All bytes of a small one; LIMIT where there are more than `limit`. */
int blobs_read(const struct blobs *b, const char *name, size_t limit, struct buffer *out, struct error *err);
