/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree is written into a directory of the host. Every name is made in a directory that is open, and none is
 * followed: whatever the tree has, nothing is written outside the target. Directories get their metadata when
 * all that is in them is there.
 */
#pragma once

#include "base/map.h"
#include "monofs/mst_cursor.h"
#include "monofs/restore.h"
#include "monofs/restore_file.h"
#include "monofs/tree_links.h"
#include "monofs/work_ring.h"

enum restore_event_kind {
	RESTORE_ENTER,
	RESTORE_LEAVE, /* the directory has all that is in it */
	RESTORE_FILE,  /* made by a worker */
	RESTORE_OTHER, /* was made */
	RESTORE_LINK   /* to another name that was made before */
};

/* work.bytes: the entry of RESTORE_FILE, RESTORE_LEAVE; of RESTORE_LINK the path of the other name in the
 * target, with its NUL. work.place: the directory in which the name is; of RESTORE_LEAVE itself. */
struct restore_event {
	struct work_event work;
	enum restore_event_kind kind;
	char name[MST_NAME_MAX + 1];
};

struct restore_level;
struct restore_walk {
	struct repository *r;
	struct object_id commit;
	const struct restore_options *o;
	struct restore_result *result;
	struct restore_maker maker;
	struct work_ring *ring;
	struct mst map;
	struct tree_links links;
	int target;
	const char *within; /* path in the revision of what is the target */
	struct map outside; /* first names that lie outside of that: path in the target of the name made for
			       it */
	struct map shared;  /* mirror: device and inode of files of several names that were kept */
	struct restore_level *levels;
	size_t depth, room;
	char path[ENTRY_PATH_MAX + 1]; /* of the directory that the walk is in */
	size_t path_size;
	struct buffer done; /* the path of the directory that is being finished, for messages */
	uint64_t written, reported;
};

/* The directory that `entry` is, into w->target. */
int restore_walk_run(struct restore_walk *w, const struct entry *entry, struct error *err);
void restore_walk_free(struct restore_walk *w);

/* What the ring gives back (work_ring_options.take); context: the walk. */
int restore_walk_take(void *context, struct work_event *event, struct error *err);
