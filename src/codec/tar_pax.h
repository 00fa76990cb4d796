/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of a PAX extended header ("LENGTH KEY=VALUE\n"), of one entry or of all that follow.
 * Sources: POSIX.1-2017 "pax", section "pax Extended Header"; GNU tar manual for GNU.sparse.*; star(5) for
 * SCHILY.*. A key that is given twice holds its last value, an empty value takes a record back, keys that
 * nobody here needs are skipped. Extended attributes and sparse maps in a global header are refused: they
 * would have to be copied into every entry.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "codec/tar.h"
#include "codec/tar_sparse.h"

#define TAR_XATTRS_MAX 1024

enum tar_pax_key {
	TAR_PAX_PATH = 1 << 0,
	TAR_PAX_LINK = 1 << 1,
	TAR_PAX_SIZE = 1 << 2,
	TAR_PAX_UID = 1 << 3,
	TAR_PAX_GID = 1 << 4,
	TAR_PAX_MTIME = 1 << 5,
	TAR_PAX_MAJOR = 1 << 6,
	TAR_PAX_MINOR = 1 << 7,
	TAR_PAX_STAR_SIZE = 1 << 8, /* SCHILY.realsize */
	TAR_PAX_REAL_SIZE = 1 << 9, /* GNU.sparse.size, GNU.sparse.realsize */
	TAR_PAX_SPARSE_NAME = 1 << 10,
	TAR_PAX_SPARSE_MAJOR = 1 << 11,
	TAR_PAX_SPARSE_MINOR = 1 << 12,
	TAR_PAX_SPARSE_BLOCKS = 1 << 13,
	TAR_PAX_SPARSE_OFFSET = 1 << 14, /* an offset waits for its numbytes */
	TAR_PAX_SPARSE_MAP = 1 << 15
};

struct tar_pax {
	unsigned have;    /* TAR_PAX_*: which of these are set */
	unsigned deleted; /* given with an empty value: hides a global record */
	char *path, *link, *sparse_name;
	uint64_t size, star_size, real_size;
	uint64_t uid, gid, major, minor; /* each fits 32 bits */
	int64_t mtime;
	uint32_t mtime_nanoseconds;
	uint64_t sparse_major, sparse_minor, sparse_blocks, sparse_offset;
	struct tar_map map;
	struct tar_xattr *xattrs;
	size_t xattr_count;
};

void tar_pax_free(struct tar_pax *p); /* leaves it empty */

/* Adds the records in data to *p. parts: most parts of a sparse file. */
int tar_pax_read(
	struct tar_pax *p, const uint8_t *data, size_t n, bool global, size_t parts, struct error *err);
