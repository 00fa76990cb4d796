/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of a hostile archive as paths beneath a directory of the host: first as text (path_map, which does no
 * I/O), then by descriptors.
 */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"

/* Replaces the root's name in the archive by the one that it gets here. */
struct path_map {
	struct buffer root; /* its name in the archive, tidied, with a NUL; "" where it is "." or "/" */
	const char *name;   /* its name here, borrowed; NULL: none */
};
void path_map_free(struct path_map *m);
int path_map_start(struct path_map *m, const char *name, const char *root, struct error *err);

/* The path here of a path of the archive, into *out, with a NUL: relative, no part of it empty, "." or "..";
 * "" for the directory itself. INVALID for what is not below the root, or holds "..". */
int path_map_find(const struct path_map *m, const char *path, struct buffer *out, struct error *err);

/* Opens a directory (O_PATH) part by part, following no link. With `make`, parts that are missing are made.
 * A descriptor, or negative. */
int path_open_directory(int directory, const char *path, bool make, struct error *err);

/* The same, for reading. */
int path_open_readable(int directory, const char *path, struct error *err);
