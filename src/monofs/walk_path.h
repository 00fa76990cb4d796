/* SPDX-License-Identifier: Apache-2.0 */
/* Where a walk through a tree is: names from the root on with '/' between, and a NUL; the root is "". */
#pragma once

#include "base/buffer.h"

/* To a name in the directory that the path is; returns what walk_path_leave() takes. Memory is out:
 * path->failed. */
static inline size_t walk_path_enter(struct buffer *path, const char *name, size_t n)
{
	size_t before = path->size;

	if (before)
		path->size--; /* its NUL */
	if (path->size)
		buffer_u8(path, '/');
	buffer_append(path, name, n);
	buffer_u8(path, 0);
	return before;
}

static inline void walk_path_leave(struct buffer *path, size_t before)
{
	path->size = before;
	if (before)
		path->data[before - 1] = 0;
}
