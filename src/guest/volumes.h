/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The volumes that SETUP names: directories of the host, mounted by FUSE or virtiofs. A process of the
 * agent's own mounts them, one upon the other where their paths have it so, and then, where there are some by
 * FUSE, relays (volume_relay.h) for as long as the machine runs; the agent itself never enters a volume. It
 * is no process of the sandbox: it is in another cgroup, and TERM is not for it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "codec/message.h"

/* Returns when all are mounted; what is written to staged ones lies below the directory `storage` (staged.h).
 * first: nothing has run in the sandbox yet. pid: of the process. */
int volumes_mount(const struct message_mount *mounts, uint32_t count, int storage, bool first, pid_t *pid,
	struct error *err);

/* Writes out what processes have changed in mapped files, waiting no longer than until `deadline`
 * (clock_monotonic()), and ends the process: what still waits for the host then fails. */
void volumes_end(pid_t pid, uint64_t deadline);
