/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a sandbox whose main process has ended is started again, and when: the policies of
 * `docker run --restart`, and its pauses. Pure.
 *
 * The first pause is RESTART_PAUSE_FIRST, and each is twice as long as the one before, up to
 * RESTART_PAUSE_MOST, until the sandbox has run for RESTART_LIVED. One that ends sooner RESTART_LOOP times in
 * a row is in a crash loop; it is tried on, and the loop has a name.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"

#define RESTART_PAUSE_FIRST MILLISECONDS(100)
#define RESTART_PAUSE_MOST  (60 * NANOSECONDS_PER_SECOND)
#define RESTART_LIVED       (10 * NANOSECONDS_PER_SECOND)
#define RESTART_LOOP        5
#define RESTART_REASON_SIZE 200

enum restart_when { RESTARTED_NEVER, RESTARTED_ON_FAILURE, RESTARTED_ALWAYS, RESTARTED_UNLESS_STOPPED };

struct restart {
	enum restart_when when;
	uint64_t most;        /* restarts, where it is on failure; 0: no bound */
	uint64_t count;       /* restarts so far */
	uint64_t pause;       /* nanoseconds until the next start */
	uint32_t short_lives; /* in a row */
};

/* "", "no", "on-failure", "on-failure:N", "always", "unless-stopped". USAGE where it is none of these. */
int restart_parse(const char *text, struct restart *restart, struct error *err);

/* After an end that nobody has asked for: `lived` nanoseconds after its start, with this exit status. True:
 * it is to be started again, `pause` from now, and that is counted. */
bool restart_next(struct restart *restart, int exit_status, uint64_t lived);

/* Whether one that does not run is to be started once its host is up again, as docker's daemon does it when
 * it starts: what was cut off (`interrupted`) by any policy but "no"; what was stopped by somebody, or has
 * ended in another way, by "always" alone, which here is all that sets it apart from "unless-stopped". */
bool restart_recovers(const struct restart *restart, bool interrupted);

/* Why it is not running now, for people. `before` is why it has ended, or "". */
const char *restart_reason(const struct restart *restart, const char *before, char out[RESTART_REASON_SIZE]);
