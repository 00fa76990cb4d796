/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct ext4_options {
	uint64_t size; /* bytes, a multiple of 4,096, at least 16 MiB */
	bool journal;  /* false: for a disk that nobody keeps */
};

/* Makes an empty ext4 file system in fd, a fresh regular file opened read-write: sparse, of options->size
 * bytes, its root directory 0755 root. libext2fs creates it and never reads it again: what a guest has
 * written is never opened on the host. */
int ext4_create(int fd, const struct ext4_options *options, struct error *err);
