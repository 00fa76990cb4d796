/* SPDX-License-Identifier: Apache-2.0 */
/* All names of a file system, to find objects by their numbers. */
#pragma once

#include "vfs/vfs.h"

struct resume_tree;

/* Walks all of it; as far as RESUME_ENTRIES_MAX names. NULL: out of memory. */
struct resume_tree *resume_tree_new(struct vfs *fs);
void resume_tree_free(struct resume_tree *t);

/* It was born later than that. */
bool resume_is_younger(const struct vfs_attributes *a, uint64_t until);

#define RESUME_ENTRIES_MAX (1u << 21)

/* Looks it up by its path, so that the file system knows it: once, which nobody forgets. False: it is not in
 * the tree, or not where it was, or was born later than `until` (resume.h), so that only its number is the
 * same. */
bool resume_tree_find(struct resume_tree *t, struct vfs *fs, uint64_t ino, uint64_t until);

/* It is called `name` in the directory `to` now. False: the tree cannot tell that, and is to be made anew. */
bool resume_tree_move(struct resume_tree *t, uint64_t ino, uint64_t to, const char *name);
