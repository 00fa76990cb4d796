/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One layer more on an image of the store, under a name of its own:
 *
 *     commit_begin(store, base) → commit_feed(changes) … → commit_finish(options, name)
 *
 * The changes are a stranger's archive (layer_writer.h). Nothing shows before commit_finish() has set the
 * name: who dies before leaves at most blobs that nobody names, which collecting garbage removes.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "codec/oci_json.h"
#include "oci/commit_config.h"
#include "oci/image.h"
#include "oci/layer_writer.h"

struct commit;

/* The base is an image as a sandbox remembers it: its digest, and the reference that it was opened by. What
 * the store lacks of one on disk is taken from there. NOT_FOUND: it is not all in the store, and neither
 * where the reference says. The store is borrowed. */
int commit_begin(struct store *s, const char *digest, const char *reference,
	const struct image_limits *limits, struct commit **commit, struct error *err);
void image_commit_free(struct commit *c);
CLEANUP_DEFINE(commit, struct commit, image_commit_free);

/* The base's config; valid as long as c. */
const struct oci_config *commit_base(const struct commit *c);

int commit_feed(struct commit *c, const void *bytes, size_t n, struct error *err);

/* Entries that are newer than this (seconds since 1970) become as old as it. Before the first byte. */
void commit_date(struct commit *c, int64_t latest);

/* After the last byte of a whole archive, or without any: then there is no new layer. name: canonical
 * (name.h); NULL: only c keeps the image from being collected. The new manifest's digest in `digest`. */
int commit_finish(struct commit *c, const struct commit_options *options, const char *name,
	char digest[OCI_DIGEST_SIZE], struct error *err);
