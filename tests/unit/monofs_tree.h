/* SPDX-License-Identifier: Apache-2.0 */
/* Trees of file systems as text, and random changes of them, for the tests of monofs. */
#pragma once

#include "base/buffer.h"
#include "monofs/repository.h"
#include "vfs/vfs.h"

/* What is in a tree, a line for each name, in order: what POSIX shows of it and a hash of its contents.
 * `all`: with numbers, generations and times of change, too, which are each file system's own. The caller
 * frees.
 */
char *tree_text(struct vfs *fs, bool all);
void tree_check_equal(const char *file, int line, const char *a, const char *b);
#define CHECK_TREE(actual, expected) tree_check_equal(__FILE__, __LINE__, actual, expected)

/* check_repository(), with all data, finds no damage. Returns how many commits it looked at. */
uint64_t tree_check_clean(struct repository *r);

/* Changes the same in some file systems at once, and checks that they answer the same. */
struct tree_changer {
	struct vfs *fs[2];
	unsigned count; /* of fs */
	uint64_t random;
	bool only_main; /* no exchange, no holes: what is in every journal */
};
void tree_change(struct tree_changer *c);
