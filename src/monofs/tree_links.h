/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether an ENTRY_LINK leads to what it may lead to: to an entry of the same revision whose path is before
 * its own, and that is neither an ENTRY_LINK nor a directory.
 */
#pragma once

#include "base/map.h"
#include "monofs/id_set.h"
#include "monofs/tree.h"

/* Zeroed, then begun for a revision, and for others after it; freed at the end. */
struct tree_links {
	struct repository *r;
	struct object_id root;  /* of the root directory's content map */
	struct map directories; /* that links lead into: ids of their maps, by path */
	/* Hashes of a directory's map and a name in it that is a first one: this holds in all revisions. */
	struct id_set firsts;
};

/* root: of the root directory's content map. */
void tree_links_begin(struct tree_links *l, struct repository *r, const struct object_id *root);
/* The same of a revision. Errors: the store's. */
int tree_links_of(
	struct tree_links *l, struct repository *r, const struct object_id *commit, struct error *err);
void tree_links_free(struct tree_links *l);

/* path: of the link, from the root. 0: it leads there. 1: it does not, and *err (not NULL) says why. Errors:
 * the store's, where that cannot be read. */
int tree_links_judge(struct tree_links *l, const char *path, size_t path_size, const struct entry *link,
	struct error *err);

/* The same; CORRUPT, naming the path, where it does not. */
int tree_links_require(struct tree_links *l, const char *path, const struct entry *link, struct error *err);
