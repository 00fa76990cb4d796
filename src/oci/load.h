/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All images of an archive or a layout into the store, each under the names that it has there. Where there is
 * an index.json it tells what there is, since it keeps digests; manifest.json alone tells of docker archives.
 */
#pragma once

#include "base/progress.h"
#include "oci/blobs.h"
#include "oci/image.h"
#include "oci/store.h"

struct load_options {
	const char *name;     /* canonical: of the only image, whatever it is called there; NULL: none */
	const char *registry; /* that names without one mean */
	struct image_limits limits;      /* 0: defaults */
	const struct progress *progress; /* may be NULL */
};

/* What is behind fd, a directory, a file or a pipe, as blobs. What cannot seek or is compressed (gzip, zstd)
 * goes into a file of the store's first, which `spool` keeps until store_ingest_free(). text names it in
 * messages. */
int load_open(const struct store *s, int fd, const char *text, const struct load_options *options,
	struct store_ingest *spool, struct blobs *b, struct error *err);

/* *names: the canonical names that were set, a NULL-terminated list, the caller's, also when it fails: then
 * those of the images before the one that failed. */
int load_images(struct store *s, const struct blobs *b, const struct load_options *options, char ***names,
	struct error *err);
