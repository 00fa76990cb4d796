/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the supervisor of a sandbox that this process has locked, and what it says before it answers. */
#pragma once

#include "base/error.h"
#include "codec/frame.h"
#include "lib/handle.h"
#include "sandbox/control.h"

/* Starts mcrun with one end of a connection, whose other is *peer, and with the lock, which this process
 * gives up. It is on its own from then on. */
int supervisor_spawn(struct monocore *mc, struct directory *d, struct peer *peer, struct error *err);

/* Sends START on stream 1. */
int supervisor_send_start(struct peer *peer, const struct control_attach *how, struct error *err);

/* A PROGRESS frame: to whom the handle reports. */
int supervisor_progress(struct monocore *mc, const struct frame *f, struct error *err);
