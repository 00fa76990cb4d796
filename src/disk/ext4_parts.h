/* SPDX-License-Identifier: Apache-2.0 */
/* What the two makers of ext4 file systems share: the channel to the file, the shape, the end. */
#pragma once

#include <ext2fs/ext2fs.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define EXT4_BLOCK       4096u
#define EXT4_BYTES_MIN   (16u << 20)
#define EXT4_BYTES_MAX   ((uint64_t)1 << 43) /* far below what 32-bit block numbers reach */
#define EXT4_EXTRA_BYTES 32u                 /* of an inode, behind its first 128 */

/* A file's place in libext2fs: the name that it is given points to a struct like this. */
struct ext4_channel {
	char text[16];
	int fd;
	errcode_t failed; /* the first error in writing: libext2fs swallows some */
	struct struct_io_manager manager;
};

void ext4_channel_init(struct ext4_channel *c, int fd);

struct ext4_shape {
	uint64_t size;   /* bytes */
	uint32_t inodes; /* at least so many */
	bool journal;    /* to be made by the caller */
	/* Both are random, and the times those of the clock, where this is NULL. */
	const uint8_t *uuid;
};

CLEANUP_DEFINE(filesystem, struct struct_ext2_filsys, ext2fs_free);

/* A file system without any file, its reserved inodes taken, in memory but for the file's size. */
int ext4_begin(struct ext4_channel *c, const struct ext4_shape *shape, ext2_filsys *fs, struct error *err);

/* Writes what is in memory, and frees *fs where it does not fail. */
int ext4_end(struct ext4_channel *c, ext2_filsys *fs, struct error *err);

int ext4_error(struct error *err, errcode_t code); /* of libext2fs */
