/* SPDX-License-Identifier: Apache-2.0 */
/* What a manifest leads to in the store: its closure. */
#pragma once

#include <string.h>

#include "base/map.h"
#include "oci/store.h"

struct store_marks {
	struct map digests;  /* "sha256:…" of blobs, those that are not there too */
	struct map roots;    /* ids of root file systems */
	struct map followed; /* documents among the digests: how deep they were, plus one */
};
void store_marks_free(struct store_marks *m);
#define _cleanup_marks_ __attribute__((cleanup(store_marks_free)))

/* A document or blob that the closure names. */
struct store_visit {
	const char *digest, *parent; /* parent: what names it, or "" */
	enum oci_media media;        /* OCI_MEDIA_OTHER: not known */
	uint64_t size;               /* as its descriptor says */
	bool optional;               /* a child of an index, which may be of another platform */
	bool referrer;               /* says something about its parent, or is of what does; may be missing */
};

/* Marks the closure of a digest, with the referrers of all in it. seen() (may be NULL) is called for each
 * blob that was not marked yet, before what it leads to, and returns 1 for what is not to be followed; what
 * is not there or damaged leads to nothing. */
int store_mark(struct store *s, const char *digest, uint64_t size, struct store_marks *m,
	int (*seen)(void *context, const struct store_visit *visit, struct error *err), void *context,
	struct error *err);

static inline bool store_marked(const struct map *m, const char *key)
{
	return map_get(m, key, strlen(key)) != NULL;
}
