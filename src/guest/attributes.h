/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes between files and entries of a tar. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "codec/tar.h"

#define ATTRIBUTES_MOST (256 * 1024) /* bytes of all attributes of one file */

/* Whether an attribute goes into the archive. */
typedef bool attribute_filter(const char *name);

/* What belongs to a file as a process of the sandbox sees it: all but "trusted.". */
bool attributes_of_files(const char *name);

/* Adds those `wanted` of the open file or directory fd to e, which then owns them. LIMIT: over
 * ATTRIBUTES_MOST. */
int attributes_read(int fd, attribute_filter *wanted, struct tar_entry *e, struct error *err);
void attributes_free(struct tar_entry *e); /* only these */

/* Sets those of e but "trusted."; what the file system has no place for is left out. */
int attributes_write(int fd, const struct tar_entry *e, struct error *err);
