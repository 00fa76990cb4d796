/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/error.h"

/* No core, and up to so many descriptors where the hard limit allows them. */
void mcfs_limit(unsigned descriptors);

struct mcfs_tree {
	int directory;   /* a descriptor; a file's, too */
	unsigned rights; /* landlock's; 0: none */
};

/* This process keeps nothing but the descriptors that it has open, and what is beneath the trees with their
 * rights, with /proc/self, by which its files are opened. A host without landlock keeps the filter of system
 * calls. */
int mcfs_confine(const struct mcfs_tree *trees, size_t count, struct error *err);

/* Before that: where this host lets us, the process gets a mount namespace in which nothing can be named but
 * what is beneath `directory`, which becomes the root of a mount of its own (landlock says nothing of modes,
 * owners and times), and /proc; it loses all capabilities but root's over files. Returns the descriptor to go
 * on with, which may be `directory` itself. */
int mcfs_isolate(int directory);
