/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of libmonocore share: the handle, errors on their way out, and finding a sandbox. */
#pragma once

#include <pthread.h>

#include "base/error.h"
#include "base/progress.h"
#include "monocore.h"
#include "os/peer.h"
#include "sandbox/directory.h"
#include "sandbox/home.h"
#include "sandbox/record.h"

/* A sandbox that this handle has made and not yet started: its lock is kept, so that no other process takes
 * it for a leftover. */
struct held {
	struct directory directory;
	struct held *next;
};

struct monocore {
	struct home home;
	struct progress progress;
	struct monocore_progress user_progress;
	pthread_mutex_t mutex;   /* guards held */
	pthread_mutex_t telling; /* progress comes from several threads */
	struct held *held;
};

/* Copies an error out to the caller's (which may be NULL) and returns its code, negative. */
int give_error(struct monocore_error *out, const struct error *err);

/* Finds a sandbox and reads its record. The lock that this handle holds on it, if any, comes along. */
int find_sandbox(
	struct monocore *mc, const char *name, struct directory *d, struct record *record, struct error *err);

/* Keeps d, with its lock, until this handle finds the sandbox again or is closed; takes it over. */
int hold_sandbox(struct monocore *mc, struct directory *d, struct error *err);

/* A connection to the supervisor of the running sandbox in d; one that is just starting is waited for. BUSY
 * where it does not run: the text names it. */
int connect_sandbox(
	const struct directory *d, const struct record *record, struct peer *peer, struct error *err);

/* Locks a sandbox that does not run, unless the handle has its lock, or connects to the one that runs: then
 * the peer's descriptor is not -1. One that starts or ends, or that another reads, is waited for. */
int lock_or_connect(struct directory *d, const struct record *record, struct peer *peer, struct error *err);

/* Sends a request on stream 1 and waits for what ends it: 0 for DONE (or for `also`, whose frame is given
 * out), an error for ERROR. deadline as peer_wait() has it. */
int request(struct peer *peer, uint16_t type, const struct buffer *payload, uint16_t also,
	struct frame *frame, uint64_t deadline, struct error *err);

/* How a sandbox stands, from its status and its lock. */
enum monocore_state sandbox_state(const struct directory *d, const struct status *status, bool *interrupted);
