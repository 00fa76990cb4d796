/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be built: the layers of one image, and its config, checked against their digests. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "codec/oci_json.h"
#include "oci/blobs.h"

struct plan_layer {
	char *name;                   /* among the blobs */
	char digest[OCI_DIGEST_SIZE]; /* of the blob; "": not known */
	char diff_id[OCI_DIGEST_SIZE];
	uint64_t size; /* of the blob */
};

struct image_plan {
	char digest[OCI_DIGEST_SIZE]; /* of the manifest; of the config in a docker archive, which has none */
	struct plan_layer *layers;    /* the oldest first */
	size_t count;
	struct oci_config config;
	char config_digest[OCI_DIGEST_SIZE];
	char *config_name; /* of a docker archive, among the blobs; NULL: there is a manifest */
};
void image_plan_free(struct image_plan *p);

struct plan_options {
	const char *tag;      /* or NULL */
	const char *digest;   /* or NULL */
	const char *platform; /* "linux/amd64" */
	uint32_t layers;      /* the most */
};

/* The manifest or index with these bytes' digest among the blobs, and what it leads to. */
int plan_target(const struct blobs *b, const struct oci_descriptor *target, const struct plan_options *o,
	struct image_plan *p, struct error *err);

/* The descriptor of an index that the options mean; without tag and digest the only one that fits the
 * platform, or the one called latest. Borrowed from the index. */
int plan_choose(const struct oci_index *index, const struct plan_options *o,
	const struct oci_descriptor **chosen, struct error *err);

/* An OCI image layout (image-spec v1.1 image-layout.md). */
int plan_layout(const struct blobs *b, const struct plan_options *o, struct image_plan *p, struct error *err);

/* What `docker save` writes. */
int plan_archive(
	const struct blobs *b, const struct plan_options *o, struct image_plan *p, struct error *err);

/* The 64 hexadecimal digits in "<digits>.json" or "blobs/sha256/<digits>", or NULL: many archives name their
 * members by digests. */
const char *plan_digits(const char *name);

/* What both share: checks the platform, takes the diff ids from the config. */
int plan_check(struct image_plan *p, const struct plan_options *o, struct error *err);
int plan_make_layers(struct image_plan *p, size_t count, const struct plan_options *o, struct error *err);
