/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket of a mount, served by a thread of its own: requests of all connections come one after the other.
 *
 * Who holds the tree has a connection for as long as he does. When the last has let go, a mount that was made
 * to be held is taken away.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "bin/mfsd/serve.h"
#include "monofs/repository.h"
#include "vfs/vfs.h"

struct control;

struct control_options {
	const struct mfsd_start *start;
	struct repository *repository;
	struct vfs *fs; /* live, unless the start names a revision */
	/* Takes the mount away, or ends what is served. BUSY: it is in use, unless `force`. */
	int (*end)(void *context, bool force, struct error *err);
	/* Ends the process though the mount is in use: it is out of sight already. Never returns. */
	void (*leave)(void *context, struct control *c);
	void *context;
};

/* Listens. All is borrowed. */
int control_new(const struct control_options *o, struct control **out, struct error *err);
/* Answers, in a thread, from now on. */
int control_run(struct control *c, struct error *err);
/* No more: the mount has gone. */
void control_stop(struct control *c);
/* Tells those who asked for the end what came of it: r < 0: *err. */
void control_end(struct control *c, int r, const struct error *err);
void control_free(struct control *c);
CLEANUP_DEFINE(control, struct control, control_free);
