/* SPDX-License-Identifier: Apache-2.0 */
/* Whole trees of a revision: found by path, walked, compared. */
#pragma once

#include "monofs/commit.h"
#include "monofs/entry.h"
#include "monofs/mst.h"
#include "monofs/repository.h"

/* One object of a tree. */
struct tree_object {
	struct entry entry; /* ENTRY_LINK is followed: what the first name has */
	struct identity identity;
};
void tree_object_free(struct tree_object *o);
static inline void cleanup_tree_object(struct tree_object *o)
{
	tree_object_free(o);
}
#define _cleanup_tree_object_ __attribute__((cleanup(cleanup_tree_object)))

/* The root directory of a revision. */
int tree_root(
	struct repository *r, const struct object_id *commit, struct tree_object *out, struct error *err);

/* What a name of a directory has, an ENTRY_LINK as it is. 1: it is there, 0: it is not. */
int tree_child(struct repository *r, const struct tree_object *directory, const char *name, size_t n,
	struct tree_object *out, struct error *err);

/* A map as the repository has it: of content or identity entries. */
struct mst tree_map(struct repository *r, enum object_type type);

/* path: from the root, no leading '/'; "" is the root. NOT_FOUND names what part is not there. Symbolic links
 * are not followed. */
int tree_find(struct repository *r, const struct object_id *commit, const char *path, struct tree_object *out,
	struct error *err);

/* The same, of an ENTRY_LINK what it is itself. */
int tree_find_name(struct repository *r, const struct object_id *commit, const char *path, size_t path_size,
	struct tree_object *out, struct error *err);

/* The entries of a directory in order, from a position on: as mst_walk(). identity is none where it was not
 * asked for. */
struct tree_child {
	const char *name; /* NUL-terminated */
	uint64_t position;
	const struct entry *entry; /* as it is there: an ENTRY_LINK is not followed */
	const struct identity *identity;
};
typedef int tree_take(void *context, const struct tree_child *child, struct error *err);
int tree_list(struct repository *r, const struct tree_object *directory, uint64_t from, bool identities,
	tree_take *take, void *context, struct error *err);

/* ---- differences, found by looking at what differs alone ---- */

enum tree_change { TREE_ADDED, TREE_REMOVED, TREE_CHANGED, TREE_RENAMED };
#define TREE_CONTENT 1u /* the bytes of a file, or a link's target, or another kind of object */
#define TREE_META    2u /* mode, owner, extended attributes */
#define TREE_TIME    4u /* mtime */

struct tree_difference {
	enum tree_change change;
	const char *path;                   /* where it is now, or was */
	const char *old_path;               /* TREE_RENAMED: where it was */
	unsigned what;                      /* of TREE_CHANGED and TREE_RENAMED */
	const struct entry *before, *after; /* NULL where there is none */
};
typedef int tree_difference_take(void *context, const struct tree_difference *d, struct error *err);

/* What leads from commit a (none: an empty tree) to b, by path in order; what was added or removed with a
 * directory comes too, each by itself, unless `shallow`. Renames are found by ids: then they are told once,
 * not as removed and added. path: only what is beneath or at it; "". A difference in times alone is told with
 * what == TREE_TIME. A name of a file of several is compared as what it leads to; its contents' change is
 * told of the first name alone. */
struct tree_diff_options {
	const char *path;
	bool shallow, no_renames;
};
int tree_diff(struct repository *r, const struct object_id *a, const struct object_id *b,
	const struct tree_diff_options *o, tree_difference_take *take, void *context, struct error *err);
