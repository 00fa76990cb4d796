/* SPDX-License-Identifier: Apache-2.0 */
/* Images by name: what the store has, and what is pulled into it from registries. */
#pragma once

#include "base/error.h"
#include "oci/image.h"

/* Opens the image that the store has under a name, pulling it first where options->pull says so, and fills in
 * *image: its root file system is made of layers while they arrive. image->pulled: the name leads to
 * something else than before. */
int image_open_name(struct store *s, const char *text, const struct image_options *options,
	struct image *image, struct error *err);
