/* SPDX-License-Identifier: Apache-2.0 */
/* The extended attributes of an object: few, and bounded. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vfs/memory/budget.h"

#define MEMORY_XATTRS_NAMES (64u << 10) /* bytes of all names, with a NUL each: what listxattr can carry */
#define MEMORY_XATTRS_BYTES (1u << 20)  /* of all names and values */

struct memory_xattr;

struct memory_xattrs {
	struct memory_xattr *first;
	size_t names, bytes;
};

void memory_xattrs_free(struct memory_xattrs *x, struct memory_budget *budget);

/* As the calls of vfs.h, with their errors; -ENOSPC where it is over a limit. */
int64_t memory_xattrs_get(const struct memory_xattrs *x, const char *name, void *value, size_t size);
int64_t memory_xattrs_list(const struct memory_xattrs *x, char *names, size_t size);
int memory_xattrs_set(struct memory_xattrs *x, const char *name, const void *value, size_t size,
	unsigned flags, struct memory_budget *budget);
int memory_xattrs_remove(struct memory_xattrs *x, const char *name, struct memory_budget *budget);
