/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A commit in the making: what changed is copied while nobody writes (live_freeze.c), stored while everybody
 * goes on (live_store.c), and then what lies over the revision is taken away (live_freeze.c).
 */
#pragma once

#include "monofs/live_parts.h"

struct live_change; /* of a directory: live_store.c */

/* One of an object's names. */
struct live_snap_name {
	struct live_snap *directory;
	char *path;             /* of objects with several names: from the root */
	struct live_blob *blob; /* what the revision has of it */
	uint16_t size;
	char *name;
};

struct live_snap {
	struct live_snap *next;
	struct live_node *node; /* pinned */
	bool was_dirty;
	unsigned depth; /* of a directory */
	uint8_t id[ENTRY_ID_SIZE];
	uint32_t mode, uid, gid, major, minor;
	struct vfs_time mtime;
	struct live_xattr *xattrs;
	char *target;
	uint64_t size, base_limit; /* of a file */
	struct live_extents extents;
	struct live_base *base, *new_base;
	struct object_id content,
		identity; /* of a directory: roots, of the old revision, then of the new one */
	struct live_lost *lost;
	struct live_change *changes;
	size_t change_count, change_room;
	struct live_snap_name *names;
	size_t name_count;
	struct object_id *values; /* live_store.c: of extended attributes that are objects */
};

struct live_frozen {
	struct live *live;
	struct live_snap *first, **last;
	struct live_snap *root;
	size_t count;
	uint64_t through; /* the segment that ended */
	bool paths_changed;
	bool draft; /* it is to be no revision */
	struct object_id parent;
	struct object_id content_root, identity_root; /* of the new revision */
};

/* Copies what is dirty, and ends the segment; takes the tree's lock. 1: there was something; 0: nothing, nor
 * a draft that is to be a revision. */
int live_freeze(struct live *l, bool draft, struct live_frozen *f, struct error *err);
/* It is a revision or a draft now, or was not to be: then it is dirty again. Frees f. Takes the tree's lock.
 */
void live_thaw(struct live_frozen *f, const struct object_id *commit);

/* Stores all of it; nothing is synced. */
int live_store(struct live_frozen *f, struct store_writer *w, uint64_t clock, struct error *err);
void live_changes_free(struct live_snap *s);
