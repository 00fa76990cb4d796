/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A file or a directory in the root directory, owned by root. */
struct ext4_entry {
	const char *name;
	uint32_t mode;        /* with S_IFREG or S_IFDIR */
	const uint8_t *bytes; /* of a file */
	size_t size;
};

struct ext4_options {
	uint64_t size; /* bytes, a multiple of 4,096, at least 16 MiB */
	bool journal;  /* false: for a disk that is never written to */
	const struct ext4_entry *entries;
	size_t entry_count; /* 0: an empty file system */
};

/* Makes an ext4 file system in fd, a fresh regular file opened read-write: sparse, of options->size bytes,
 * its root directory 0755 root, with options->entries in it and nothing else. libext2fs creates it and never
 * reads it again: what a guest has written is never opened on the host. */
int ext4_create(int fd, const struct ext4_options *options, struct error *err);

/* Makes an ext4 in fd, a fresh regular file opened read-write, of all that is in the EROFS image `from`,
 * which our own writer made: as small as it can be, to be mounted read-only. The same image gives the same
 * bytes. INVALID, LIMIT: something in it that ext4 cannot hold (a file over 16 TiB, more than 65,000 links to
 * a file, attributes whose names do not fit a block); CORRUPT: the image is damaged. Times that ext4 cannot
 * hold, before 1901 or after 2446, become the nearest that it can. */
int ext4_from_erofs(int from, int fd, struct error *err);

/* Whether fd holds an ext4 that ext4_from_erofs() made, by its superblock and its size in bytes, which *size
 * gets; CORRUPT where not. */
int ext4_check(int fd, uint64_t *size, struct error *err);
