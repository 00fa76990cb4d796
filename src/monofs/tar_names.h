/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that an archive has told of so far, in any order and any of them more than once: what was told
 * last counts. Memory has those of late; where it is full, all of them become a run (tar_runs.h), and later
 * ones lie over those of the run, as layers do. In the end they are gone through in order.
 *
 * Of an object of several names memory has its first name's path until the end.
 */
#pragma once

#include "base/map.h"
#include "monofs/entry.h"
#include "monofs/import_tree.h"
#include "monofs/tar_runs.h"

struct tar_names;
struct tar_node;

/* most: bytes of names in memory, about; 0: 64 MiB. */
int tar_names_new(struct repository *r, size_t most, struct tar_names **out, struct error *err);
void tar_names_free(struct tar_names *t);
CLEANUP_DEFINE(tar_names, struct tar_names, tar_names_free);

/* The node of a path, with the directories above it; good until the next call. Of the root: *root is set.
 * Errors: INVALID, LIMIT. */
int tar_names_at(struct tar_names *t, const char *path, struct tar_node **out, bool *root, struct error *err);
/* It is this from now on. */
int tar_names_set(struct tar_names *t, struct tar_node *n, const struct entry *e, struct error *err);
/* It is one more name of what `target` means by now. INVALID where that is a directory or nothing. path: for
 * messages. */
int tar_names_link(
	struct tar_names *t, struct tar_node *n, const char *path, const char *target, struct error *err);

/* What several names lead to. */
struct tar_linked {
	char *first; /* path of the first one that was taken; NULL: none was yet */
	struct import_id id;
};

/* All that there is, in the order of a walk; nothing is added any more. */
struct tar_walk {
	void *context;
	/* path: with NUL; name: its last part, "" of the root. linked: NULL where the object has one name. */
	int (*enter)(void *context, const char *name, struct error *err);
	int (*leave)(void *context, const uint8_t *entry, size_t entry_size, struct error *err);
	int (*put)(void *context, const char *path, const char *name, const uint8_t *entry, size_t entry_size,
		struct tar_linked *linked, struct error *err);
};
int tar_names_walk(struct tar_names *t, const struct tar_walk *w, struct error *err);
