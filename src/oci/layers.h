/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain bytes of an image's layers, the newest layer first. A thread of its own reads the blobs, checks
 * their sizes and digests and decompresses; it runs ahead of the taker by a few pieces.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "oci/plan.h"

struct layers;

struct layers_limits {
	uint64_t bytes; /* of one uncompressed layer */
	uint32_t ratio;
};

struct layers_piece {
	size_t layer; /* its place in the plan */
	const uint8_t *bytes;
	size_t size;
	bool end;       /* of the layer; then size may be 0 */
	uint64_t taken; /* bytes of blobs read so far, of all layers */
};

/* Blobs and plan are borrowed until layers_free(). */
int layers_start(const struct blobs *b, const struct image_plan *p, const struct layers_limits *limits,
	struct layers **l, struct error *err);

/* The next piece, which is valid until the next call. Returns 1, or 0 behind the last, or an error that
 * names the layer. */
int layers_next(struct layers *l, struct layers_piece *piece, struct error *err);

void layers_free(struct layers *l); /* stops the thread, wherever it is */

/* Puts "layer 2 of 5 (sha256:...)" before the text of *err. */
int layers_error(const struct image_plan *p, size_t layer, struct error *err);
