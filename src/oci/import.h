/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images from files into the store: blobs are taken over one by one, each with its digest checked, and only
 * when all that an image needs is there and locked does a name lead to it. Who is killed before leaves blobs
 * that nobody needs, which garbage collection finds.
 */
#pragma once

#include "base/map.h"
#include "base/progress.h"
#include "oci/plan.h"
#include "oci/store.h"

struct import {
	struct store *store;
	const struct blobs *blobs;
	struct store_hold *hold;         /* gets the locks of what was taken over; borrowed */
	const struct progress *progress; /* may be NULL */
	uint32_t layers;                 /* most of one image; 0: 512 */
	/* The rest is zeroed by who starts, and released by import_release(). */
	struct map held; /* digests that hold keeps */
	char **whole;    /* digests of the manifests that are in the store with all they name */
	uint8_t *bytes;
	uint64_t done, shown_at;
};
void import_release(struct import *im);
#define _cleanup_import_ __attribute__((cleanup(import_release)))

/* Takes over a manifest, or an index with those of its manifests that are among the blobs with all they name:
 * at least one. Errors: NOT_FOUND, CORRUPT, INVALID for bytes that are not what their descriptor says. */
int import_target(struct import *im, const struct oci_descriptor *target, struct error *err);

/* Takes over an image of a docker archive: its config and its layers, oldest first, by their names among the
 * blobs. The manifest that such an image lacks is made; *target, whose media type is a constant, tells it. */
int import_docker(struct import *im, const char *config, char *const *layers, struct oci_descriptor *target,
	struct error *err);

/* Has a canonical name lead to what was taken over. */
int import_name(struct import *im, const char *name, const struct oci_descriptor *target, struct error *err);

/* All of it for the image of a plan; name (canonical) may be NULL: then only *hold keeps it. manifest gets
 * the digest of its manifest. */
int import_plan(struct store *s, const struct blobs *b, const struct image_plan *p, const char *name,
	struct store_hold *hold, char manifest[OCI_DIGEST_SIZE], struct error *err);
