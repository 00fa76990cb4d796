/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WRITE: a file's new contents. Links at the path's end are followed. A regular file, or one that is not
 * there yet, is written under a temporary name and appears whole, with the mode that was asked for; it keeps
 * the owner of the one that it replaces. A device or a fifo is opened and written to. It may block.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "guest/beneath.h"
#include "guest/replace.h"

struct write_file {
	const char *path; /* as it was asked for; borrowed */
	uint32_t mode;
	int directory, fd;
	char leaf[BENEATH_LEAF_SIZE];
	char temporary[REPLACE_NAME_SIZE]; /* "": it is written in place, or there is nothing to remove */
	bool replaces;
	uint32_t uid, gid; /* of the file that is replaced */
};
#define WRITE_FILE_NONE \
	{ \
		.directory = -1, .fd = -1 \
	}

int write_file_begin(struct write_file *f, int root, const char *path, uint32_t mode, struct error *err);
int write_file_add(struct write_file *f, const void *bytes, size_t n, struct error *err);
int write_file_finish(struct write_file *f, struct error *err);
void write_file_drop(struct write_file *f); /* what is unfinished is gone */
