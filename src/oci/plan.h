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

struct plan {
	char digest[OCI_DIGEST_SIZE]; /* of the manifest; of the config in a docker archive, which has none */
	struct plan_layer *layers;    /* the oldest first */
	size_t count;
	struct oci_config config;
};
void plan_free(struct plan *p);

struct plan_options {
	const char *tag;      /* or NULL */
	const char *digest;   /* or NULL */
	const char *platform; /* "linux/amd64" */
	uint32_t layers;      /* the most */
};

/* An OCI image layout (image-spec v1.1 image-layout.md). */
int plan_layout(const struct blobs *b, const struct plan_options *o, struct plan *p, struct error *err);

/* What `docker save` writes. */
int plan_archive(const struct blobs *b, const struct plan_options *o, struct plan *p, struct error *err);

/* What both share: checks the platform, takes the diff ids from the config. */
int plan_check(struct plan *p, const struct plan_options *o, struct error *err);
int plan_make_layers(struct plan *p, size_t count, const struct plan_options *o, struct error *err);
