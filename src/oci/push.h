/* SPDX-License-Identifier: Apache-2.0 */
/* From the store to a registry. */
#pragma once

#include "base/error.h"
#include "base/progress.h"
#include "oci/store.h"

struct push_options {
	const char *platform;            /* of an index: only this one; NULL: all that the store has */
	bool plain_http;                 /* allowed, whatever is configured */
	const struct progress *progress; /* may be NULL */
};

struct pushed {
	char *name;                   /* canonical */
	char digest[OCI_DIGEST_SIZE]; /* what the name leads to at the registry now */
	bool partial; /* of an index one platform's manifest was pushed, since others are not here */
	uint64_t uploaded, mounted, there; /* blobs */
};
void pushed_free(struct pushed *p);

/* Pushes the image that the store has under the name `text` to the registry of that name: blobs that it
 * lacks, those of other repositories of it by mounting them; then manifests, the one that the tag leads to
 * last; then the referrers that the store has. */
int image_push(struct store *s, const char *text, const struct push_options *options, struct pushed *pushed,
	struct error *err);
