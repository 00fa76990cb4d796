/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes between files and entries of a tar. "trusted." is the overlay's own, and stays out. */
#pragma once

#include "base/error.h"
#include "codec/tar.h"

#define ATTRIBUTES_MOST (256 * 1024) /* bytes of all attributes of one file */

/* Adds those of the open file or directory fd to e, which then owns them. LIMIT: over ATTRIBUTES_MOST. */
int attributes_read(int fd, struct tar_entry *e, struct error *err);
void attributes_free(struct tar_entry *e); /* only these */

/* Sets those of e; what the file system has no place for is left out. */
int attributes_write(int fd, const struct tar_entry *e, struct error *err);
