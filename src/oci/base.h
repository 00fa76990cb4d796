/* SPDX-License-Identifier: Apache-2.0 */
/* An image of the store that another one is made of: its documents, and locks of all its blobs. */
#pragma once

#include "base/buffer.h"
#include "codec/oci_json.h"
#include "oci/image.h"
#include "oci/store.h"

struct base_image {
	char digest[OCI_DIGEST_SIZE]; /* of the manifest */
	struct buffer manifest, config;
	struct oci_config parsed; /* the config */
	struct store_hold hold;
};
void base_image_free(struct base_image *b); /* a zeroed one is fine */
#define _cleanup_base_image_ __attribute__((cleanup(base_image_free)))

/* The image with a digest, and the reference that it was opened by: what the store lacks of one on disk is
 * taken from there. layers: the most that it may have; 0: 512. NOT_FOUND: it is not all in the store, and
 * neither where the reference says; LIMIT. */
int base_image_open(struct store *s, const char *digest, const char *reference, uint32_t layers,
	struct base_image *b, struct error *err);

/* One without layers, for a platform ("linux/amd64"; NULL: this host's). */
int base_image_empty(struct store *s, const char *platform, struct base_image *b, struct error *err);

/* Has a canonical name lead to it, unless it does so already. */
int base_image_name(struct store *s, const struct base_image *b, const char *name, struct error *err);
