/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree that is mounted and written to: the newest revision and, above it, what has changed since. Every
 * change goes to the journal (journal.h) before it is answered, and fsync makes the journal durable; what one
 * changes lies in memory, but for the bytes of files, which are read from the journal. A commit cuts and
 * stores what has changed, moves `main`, and then the journal begins anew; meanwhile reading and writing go
 * on. Where more has changed than memory and the journal are to hold, and it is not to be a revision yet, it
 * is stored as a draft: a commit whose parent main leads to, and that main itself does not lead to. From then
 * on the tree stands on that.
 */
#pragma once

#include "base/error.h"
#include "monofs/repository.h"
#include "vfs/vfs.h"

struct live_options {
	uint64_t quiet, most;  /* nanoseconds without a change after which, and with changes before which, it
				* becomes a revision;  0: 2 s and 30 s */
	uint64_t journal_most; /* bytes of the journal that make it one at once, or a draft; 0: 1 GiB, or 256
				* MiB where less than 4 GiB of the disk are free */
	uint32_t dirty_most;   /* objects that differ, which make a draft at once; 0: 32,768 */
	uint32_t nodes_most;   /* objects in memory beyond which some go that nobody needs; 0: 49,152 */
	bool no_automatic;     /* only live_commit() makes revisions */
	const char *author;    /* of automatic ones */
};

/* Goes on from the journal that is there. The repository, whose `main` is claimed, is borrowed. */
int live_new(struct repository *r, const struct live_options *o, struct vfs **fs, struct error *err);

/* Whether it may have changes that no revision has: 1 or 0. Nobody has it mounted. Until a live tree has gone
 * on from them, nobody else moves main. */
int live_pending(struct repository *r, struct error *err);

/* The draft that its journal stands on. 1: there is one, 0: there is none. */
int live_find_draft(
	struct repository *r, const struct object_id *main, struct object_id *draft, struct error *err);

/* From now on drafts come by themselves, and so do revisions, unless the options say otherwise: made by a
 * thread, which has what its caller has not given up. Once. */
int live_start(struct vfs *fs, struct error *err);

/* Everything up to now is a revision when this returns: *id, which is the one there was where nothing had
 * changed
 * (*made false). message NULL: an automatic one. From any thread. */
int live_commit(struct vfs *fs, const char *author, const char *message, struct object_id *id, bool *made,
	struct error *err);

/* What differs becomes a draft. */
int live_draft(struct vfs *fs, struct error *err);

/* Throws away what no revision has, and takes the tree back to its newest revision. Only while nothing is
 * open. */
int live_roll_back(struct vfs *fs, struct error *err);

struct live_state {
	uint64_t dirty; /* objects that no revision has as they are */
	uint64_t journal_bytes;
	struct object_id base; /* the newest revision */
};
void live_state(struct vfs *fs, struct live_state *out);
