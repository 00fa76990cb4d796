/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sandbox uses. The cpu's time is asked of the kernel, about the engine's process; all else of the
 * agent, whose word is the guest's: it is shown and added up, and nothing depends on it.
 *
 * Every ten seconds what was used since is added to metrics.db, by a thread of libuv's, since the disk may be
 * slow. A client that wants to know has the agent asked, or is told at once what was known last.
 */
#pragma once

#include "codec/frame.h"
#include "sandbox/control.h"
#include "sandbox/metrics.h"

struct supervisor;
struct client;
struct stream;
struct metrics_keeper;

/* From when the sandbox runs. NULL: no memory, and then nothing is counted. */
struct metrics_keeper *metrics_keeper_open(struct supervisor *s);
void metrics_keeper_stop(struct metrics_keeper *k); /* nothing is asked any more */
void metrics_keeper_free(struct metrics_keeper *k); /* after the loop's end */

/* The agent has answered: a USAGE on a stream that this had opened. */
int metrics_keeper_take(struct supervisor *s, struct stream *t, const struct frame *f, struct error *err);

/* A client's STATS. */
int metrics_keeper_request(struct supervisor *s, struct client *c, const struct frame *f, struct error *err);
