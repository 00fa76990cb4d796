/* SPDX-License-Identifier: Apache-2.0 */
/* What opening an image from disk and pulling one share. */
#pragma once

#include "oci/blobs.h"
#include "oci/build.h"
#include "oci/image.h"
#include "oci/plan.h"
#include "oci/reference.h"
#include "oci/store.h"

/* A root file system in the making, of layers or of a directory. */
struct making {
	struct build build;
	const struct blobs *blobs; /* with a plan */
	const struct image_plan *plan;
	int directory; /* or a directory, and its name */
	const char *name;
	const char *id;
	/* Called once it is sure that this process makes it; may be NULL. */
	int (*before)(void *context, struct error *err);
	void *context;
};

/* The plan of the image that a reference on disk means, whose blobs are open. */
int image_make_plan(const struct blobs *b, const struct reference *ref, const struct image_options *o,
	struct image_plan *p, struct error *err);

/* Fills in an image by its plan, and makes its root file system where the store lacks it. */
int image_from_plan(struct store *s, struct image *image, struct image_plan *plan, struct making *m,
	const struct image_options *o, struct error *err);

/* The hash that names the root file system of these layers. */
int image_root_hash(char *const *diff_ids, size_t count, uint8_t *hash, struct error *err);

int image_hold(struct image *image, int fd, struct error *err); /* takes fd */

struct image_limits image_limits_of(const struct image_options *o);
struct plan_options image_plan_options(const struct image_options *o, char host[32]);
