/* SPDX-License-Identifier: Apache-2.0 */
/* The chain merge, spool, writer, and the progress shown of it: the same for layers and for a directory. */
#pragma once

#include "oci/build.h"
#include "oci/merge.h"
#include "oci/spool.h"

struct assembly {
	struct erofs_writer *writer;
	struct spool *spool;
	struct merge *merge;
	int fd;         /* of the image */
	uint64_t begun; /* bytes of it that the disk was asked to write */
	const struct progress *progress;
	uint64_t shown, total; /* when progress was last told (clock_monotonic), bytes in all */
};

int assembly_start(struct assembly *a, const struct build *build, bool plain, struct error *err);
void assembly_free(struct assembly *a);
#define _cleanup_assembly_ _cleanup_(assembly_free)

void assembly_show(struct assembly *a, uint64_t done, bool finished);
int assembly_finish(struct assembly *a, struct error *err); /* writes the tree */
