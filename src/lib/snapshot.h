/* SPDX-License-Identifier: Apache-2.0 */
/* What snapshot.c, fork.c and fork_group.c share. */
#pragma once

#include "lib/handle.h"
#include "sandbox/snapshot.h"

/* A running sandbox that is being saved. */
struct shot {
	struct directory d;
	struct record record;
	struct peer peer;
	struct snapshot_draft draft;
};
#define SHOT_NONE ((struct shot){.d = DIRECTORY_NONE, .peer = PEER_NONE, .draft = SNAPSHOT_DRAFT_NONE})

/* Finds it and has its supervisor save it; with `hold` it stands still and is not yet saved. */
int shot_take(struct monocore *mc, const char *sandbox, bool hold, struct shot *s, struct error *err);
int shot_save_held(struct shot *s, struct error *err);

/* Writes down what it is. */
int shot_finish(struct shot *s, bool durable, struct error *err);

/* Lets go of all, and of a snapshot that has no tag. */
void shot_close(struct monocore *mc, struct shot *s);

/* Makes a sandbox of the snapshot in `fd` and lets it go on. Where it does not, nothing of it is left. */
int snapshot_revive(struct monocore *mc, int fd, const struct snapshot_wishes *w, struct error *err);
