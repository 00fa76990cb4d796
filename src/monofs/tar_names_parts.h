/* SPDX-License-Identifier: Apache-2.0 */
/* What tar_names.c, where names are added, and tar_walk.c, where they are gone through, share. */
#pragma once

#include "monofs/tar_names.h"

struct tar_names {
	struct repository *repository;
	struct tar_node *root; /* of the layer in memory; NULL: all are runs */
	size_t bytes, most;    /* that it takes, about, and may take */
	struct tar_runs *runs; /* NULL: none yet */
	uint64_t objects;      /* that were told of */
	struct map linked;     /* number of an object of several names: struct tar_linked */
	struct buffer path;
};

/* The last layer becomes a run, too. */
int tar_names_end(struct tar_names *t, struct error *err);

/* The entry of a directory of which nothing was told but what is in it. */
int tar_plain_directory(struct buffer *out, struct error *err);
