/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system in memory. It has everything that vfs.h has, gives room back when something is removed, and
 * never takes more than its limits say.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "vfs/vfs.h"

#define MEMORY_DEFAULT_BYTES   (1ull << 30)
#define MEMORY_DEFAULT_INODES  (1ull << 20)
#define MEMORY_DEFAULT_HANDLES (1ull << 16)

struct memory_options {
	/* All that objects take: pages of data, names, attributes and what is needed to find them. 0: the
	 * default. Beyond it calls are -ENOSPC. */
	uint64_t bytes;
	uint64_t inodes;         /* objects, with those that are only held; 0: the default. -ENOSPC */
	uint64_t handles;        /* open at once; 0: the default, at most 2^31. -ENFILE */
	uint32_t uid, gid, mode; /* of the root; mode 0: 0755 */
	/* The time, instead of the system's clock. Called with a lock held: must not call the file system. */
	void (*now)(void *context, struct vfs_time *time);
	void *context;
};

/* options: NULL for all defaults. */
int memory_new(const struct memory_options *options, struct vfs **fs, struct error *err);
