/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holding all processes of the sandbox still (cgroup2's freezer) while its files are read, so that what is
 * read is of one moment. Those that are started meanwhile stand still from birth; KILL works as ever. It ends
 * with the streams that wanted it, however these end.
 */
#pragma once

#include "guest/agent.h"

int freeze_begin(struct agent *a, struct error *err);
void freeze_end(struct agent *a);

/* In a worker: waits until all stand still in the cgroup. BUSY: one does not, since the kernel does not let
 * go of it. */
int freeze_wait(int cgroup, struct error *err);

/* events: cgroup.events, opened for reading. */
bool freeze_is_complete(int events);
