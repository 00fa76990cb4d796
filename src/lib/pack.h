/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree of the host as a tar for a sandbox: everything is root's there; modes, times and hard links among
 * the files are kept; sockets are left out. Memory is bounded by the depth of the tree and the number of
 * files that have more than one name.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"

/* Takes a piece of the archive. */
typedef int pack_taker(void *context, const void *data, size_t n, struct error *err);

/* Packs `source` as an entry called `name`, with all below it; name NULL: what is below it. */
int pack_tree(const char *source, const char *name, pack_taker *take, void *context, struct error *err);
