/* SPDX-License-Identifier: Apache-2.0 */
/* What gathering and writing share. */
#pragma once

#include "oci/save.h"

/* One image that is saved, and one name of it. */
struct save_item {
	const struct catalog_image *image;
	const char *name; /* canonical, or NULL */
	char target[OCI_DIGEST_SIZE], manifest[OCI_DIGEST_SIZE];
	const char *media_type; /* of the target */
	uint64_t size;          /* of the target */
};

struct save_blob {
	char digest[OCI_DIGEST_SIZE];
	uint64_t size;
};

struct save {
	struct store *s;
	const struct save_options *options;
	struct save_item *items;
	size_t item_count;
	char **referrers; /* digests of the manifests about those that are saved, sorted */
	struct save_blob *blobs;
	size_t blob_count;
	uint64_t total; /* bytes of the blobs */
	uint64_t shown_at;
};

/* index.json and manifest.json. */
int save_index(const struct save *x, struct buffer *json, struct error *err);
int save_manifests(const struct save *x, struct buffer *json, struct error *err);
