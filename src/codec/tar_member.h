/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a header block, and the extension headers before it, say together about one member of the archive.
 * An extended header of the entry wins over a global one, both over GNU's long names, all over the block.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "codec/tar.h"
#include "codec/tar_pax.h"
#include "codec/tar_sparse.h"

struct tar_extensions {
	struct tar_pax global, local;
	char *long_path, *long_link; /* GNU 'L' and 'K' */
	bool extended;               /* an 'x' header was read since the last entry */
};

/* Forgets what held for one entry only. */
void tar_extensions_reset(struct tar_extensions *x);
bool tar_extensions_wait(const struct tar_extensions *x); /* some were read, and no entry yet */

enum tar_layout {
	TAR_LAYOUT_PLAIN,  /* the data are the bytes of the file */
	TAR_LAYOUT_SPARSE, /* the data are the parts in the map */
	TAR_LAYOUT_BLOCKS, /* so, but the rest of the map follows in blocks behind the header */
	TAR_LAYOUT_LINES,  /* so, but the map is text before the data, and counted in `stored` */
	TAR_LAYOUT_EITHER, /* a hard link with a size: only the next block tells whether data follow */
	TAR_LAYOUT_NONE    /* the data are not the file's: to be skipped */
};

struct tar_member {
	struct tar_entry entry;
	bool hidden;     /* no entry to tell of: skip the data */
	uint64_t stored; /* bytes of data in the archive, without padding */
	enum tar_layout layout;
	struct tar_map map;
};

void tar_member_free(struct tar_member *m);

/* Reads the block (its checksum is right, it is no extension header) into *m, which is empty. Takes from *x
 * what it needs. */
int tar_member_read(struct tar_member *m, const uint8_t *block, struct tar_extensions *x,
	const struct tar_limits *limits, struct error *err);
