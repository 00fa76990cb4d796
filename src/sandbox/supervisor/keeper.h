/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What starts a sandbox again, where that is its policy (restart.h).
 *
 * The supervisor of a running sandbox has given up whatever could start a machine. So the process that was
 * started for such a sandbox, the keeper, only holds its lock and has a child, a life, that is its
 * supervisor. It reads nothing of the guest's. When a life has ended, it waits, answers at the control
 * socket that there is nothing to be had (or stops, where that is asked for), and begins the next.
 */
#pragma once

#include <stdbool.h>

#include "sandbox/restart.h"

struct supervisor;

/* Shared by the keeper and the life. */
struct life {
	struct restart restart;
	bool again; /* the life has ended, and is to be followed by another: that is written down */
};

/* The process is the keeper until the sandbox has ended for good, and then it is over: the exit status. In
 * each life, `live` is called. client: the connection that the first one takes, and no other has. */
int keeper_run(struct supervisor *s, const struct restart *policy, int client,
	int (*live)(struct supervisor *s, int client, struct error *err), struct error *err);
