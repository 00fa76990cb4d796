/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer in the making (OCI image-spec v1.1, layer.md): a tar that a stranger sends is read strictly and
 * written anew in one form, so that the same changes always are the same bytes, compressed and not.
 *
 * The form: POSIX ustar with PAX records where a value needs one, owners as numbers, attributes sorted by
 * name, paths without "./", each directory before what is in it and its entries in the order of their bytes,
 * where a whiteout stands in the place of the name that it removes and an opaque mark before all; files
 * whole, without holes. gzip by zlib at level 6, with neither name nor time in its header.
 *
 * What a layer may not hold is INVALID: names out of that order (so none comes twice), absolute ones, "..",
 * something beneath what is no directory, a hard link to what did not come before, a whiteout that is more
 * than a name, the overlay's own attributes, a device that means a whiteout to the overlay.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "codec/oci_json.h"
#include "oci/image.h"

#define LAYER_MEDIA_TYPE "application/vnd.oci.image.layer.v1.tar+gzip"

struct layer_writer;

/* Takes a piece of the compressed layer. */
typedef int layer_taker(void *context, const void *data, size_t n, struct error *err);

struct layer {
	char diff_id[OCI_DIGEST_SIZE]; /* of the plain bytes */
	char digest[OCI_DIGEST_SIZE];  /* of the compressed */
	uint64_t plain_size, size;
	uint64_t entries;
	int64_t newest; /* the latest time of an entry, in seconds; INT64_MIN: no entry has one */
};

/* Of limits, layer_bytes and entries count. */
int layer_writer_new(const struct image_limits *limits, layer_taker *take, void *context,
	struct layer_writer **writer, struct error *err);
void layer_writer_free(struct layer_writer *w);

/* Times of entries that are later than this (seconds since 1970) become it. Before the first byte. */
void layer_writer_date(struct layer_writer *w, int64_t latest);

/* The next bytes of the archive, in pieces of any size. LIMIT: more than the limits allow. */
int layer_writer_feed(struct layer_writer *w, const void *bytes, size_t n, struct error *err);

/* The archive's end; no bytes at all are an empty layer. */
int layer_writer_finish(struct layer_writer *w, struct layer *layer, struct error *err);
