/* SPDX-License-Identifier: Apache-2.0 */
/* From layers, or from a directory, to one EROFS file. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "oci/blobs.h"
#include "oci/image.h"
#include "oci/plan.h"

struct build {
	int fd;        /* an empty file, open for reading and writing */
	int directory; /* for what must be kept aside */
	uint8_t uuid[16];
	struct image_limits limits; /* all set */
	const struct progress *progress;
};

/* Digests are checked as the bytes pass; CORRUPT names the layer, what it is and what it should be. */
int build_layers(
	const struct build *build, const struct blobs *b, const struct image_plan *p, struct error *err);

/* The directory `root`, called `name` in messages. */
int build_directory(const struct build *build, int root, const char *name, struct error *err);
