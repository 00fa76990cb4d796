/* SPDX-License-Identifier: Apache-2.0 */
/* Images on disk made by hand: as an OCI layout or as `docker save` writes them, honest unless told to lie.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "codec/oci_json.h"

enum oci_make_compression { OCI_MAKE_PLAIN, OCI_MAKE_GZIP, OCI_MAKE_ZSTD };

struct oci_make {
	const char *const *layers; /* in the words of merge_make.h, the oldest first; NULL at the end */
	enum oci_make_compression compression;
	const char *architecture; /* NULL: amd64 */
	const char *tag;          /* NULL: none */
	size_t cut;               /* bytes cut off the last layer before it gets its digest */
	const char *diff_id;      /* of the last layer, NULL: the right one */
	bool wrong_size;          /* of the last layer, in the manifest */
};

struct oci_made {
	char layers[8][OCI_DIGEST_SIZE], diff_ids[8][OCI_DIGEST_SIZE];
	char config[OCI_DIGEST_SIZE], manifest[OCI_DIGEST_SIZE];
};

/* Each writes below `directory`, which is there and empty; `made` may be NULL. They cannot fail: they abort.
 */
void oci_make_layout(const char *directory, const struct oci_make *image, struct oci_made *made);
void oci_make_docker(const char *directory, const struct oci_make *image);

/* The files of the directory as the tar `path`. */
void oci_make_archive(const char *directory, const char *path);

/* The tar of one layer; and bytes compressed. */
void oci_make_layer(const char *text, struct buffer *tar);
void oci_make_compressed(enum oci_make_compression how, const struct buffer *in, struct buffer *out);
