/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new tree is put together from what a walk tells, in the walk's order. It stands on up to two others: the
 * parent's, whose ids are kept by path, and the one that was imported last from the same place, where what is
 * known not to have changed is. Where both are the same one, a directory of which the walk tells changes only
 * is that one with these.
 */
#pragma once

#include "monofs/import_known.h"
#include "monofs/tree.h"

struct import_tree;

/* parent, known: NULL: none. w: for content entries, ids: for identities. */
int import_tree_new(struct repository *r, const struct object_id *parent, const struct known_roots *known,
	struct store_writer *w, struct store_writer *ids, struct import_tree **out, struct error *err);
void import_tree_free(struct import_tree *t);
CLEANUP_DEFINE(import_tree, struct import_tree, import_tree_free);

/* Whether a directory that is known may be told by its changes alone. */
bool import_tree_takes_changes(const struct import_tree *t);

/* Into the root ("") or a directory of this name. changes: only what differs from what is known is told. */
int import_tree_enter(struct import_tree *t, const char *name, bool changes, struct error *err);

/* A name and its entry, encoded. id: of all of a file's names (in: the first one has none yet, and gets it).
 */
struct import_id {
	bool set;
	uint8_t bytes[ENTRY_ID_SIZE];
};
int import_tree_put(struct import_tree *t, const char *name, const uint8_t *entry, size_t entry_size,
	struct import_id *id, struct error *err);

/* It is as it is known. */
int import_tree_keep(struct import_tree *t, const char *name, struct import_id *id, struct error *err);

/* Whether the directory that it is in is told by its changes. */
bool import_tree_is_changes(const struct import_tree *t);

/* It is not there any more; only in a directory of changes. */
int import_tree_remove(struct import_tree *t, const char *name, struct error *err);

/* Out of the directory, whose own metadata this is; its children are filled in. meta NULL: as it is known. At
 * the end of the root, `roots` gets what was made. */
int import_tree_leave(
	struct import_tree *t, struct entry *meta, struct known_roots *roots, struct error *err);
