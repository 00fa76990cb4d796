/* SPDX-License-Identifier: Apache-2.0 */
/* What has moved between two trees, by the ids that are at another path in one than in the other. */
#pragma once

#include "base/map.h"
#include "monofs/tree.h"

struct tree_renames {
	struct map gone; /* id: path (char *) that it had in the old tree and has no more */
	struct map come; /* id: path that it has in the new one */
	bool given_up;   /* there are too many: all are told as removed and added */
};

/* The identities of two directories, both at `path`. What is the same in both is not looked at; nor is what
 * lies in directories that have moved, but for what differs there. */
int tree_renames_find(struct tree_renames *t, struct repository *r, const char *path,
	const struct object_id *a, const struct object_id *b, struct error *err);
void tree_renames_free(struct tree_renames *t);

/* NULL: it has not. */
const char *tree_renames_gone(const struct tree_renames *t, const struct identity *id);
const char *tree_renames_come(const struct tree_renames *t, const struct identity *id);
