/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blobs brought from a registry into the store, in the order in which their reader wants them.
 *
 * The bytes of all blobs, one behind the other, are one sequence of pieces of a few MiB, and every connection
 * takes the next piece of it. So several connections carry one blob, what the reader waits for comes first,
 * and when the last byte arrives everything but the last few pieces has been read. Bytes are hashed as they
 * come, in order; a blob is published in the store when its digest is what was asked for.
 *
 * A piece that breaks off goes on where it stopped. What a killed process left of a blob is gone on with,
 * too; such a blob is not given out before its digest is checked, and fetched anew where it is wrong. A blob
 * that another process is fetching is waited for.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/progress.h"
#include "oci/registry.h"
#include "oci/store.h"

struct fetch;

struct fetch_blob {
	char digest[OCI_DIGEST_SIZE];
	uint64_t size;
};

struct fetch_options {
	const struct store *store;
	struct registry *const *registries; /* the first that has a blob is asked */
	size_t registry_count;
	const struct fetch_blob *blobs; /* in the order in which they are wanted; no digest twice */
	size_t count;
	atomic_bool *stop;               /* the one that the registries watch; set when it fails or ends */
	const struct progress *progress; /* may be NULL; called from several threads, one at a time */
};

/* Starts to fetch. Options and what they point to are borrowed until fetch_free(). */
int fetch_start(const struct fetch_options *options, struct fetch **f, struct error *err);

/* A descriptor of a blob, to read as far as fetch_wait() says; the caller's. Waits until there is one. */
int fetch_open(struct fetch *f, size_t blob, int *fd, struct error *err);

/* Waits until more than `have` bytes of a blob are there, a tenth of a second at most: *available may be what
 * it was. A fetch that failed gives its error. */
int fetch_wait(struct fetch *f, size_t blob, uint64_t have, uint64_t *available, struct error *err);

/* Waits until all are published; *hold gets their descriptors. */
int fetch_finish(struct fetch *f, struct store_hold *hold, struct error *err);

void fetch_drop(struct fetch *f); /* fetch_free() is to leave no halves */
void fetch_free(struct fetch *f); /* ends what is under way; halves stay for the next time */
CLEANUP_DEFINE(fetch, struct fetch, fetch_free);
