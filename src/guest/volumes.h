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

/* Their process. */
struct volumes {
	pid_t pid;                   /* 0: none */
	int report;                  /* what it has done: a struct error for each thing; -1: none */
	_Atomic uint32_t *unsettled; /* shared with it: not 0 while the host has not all changes */
};

/* Returns when all are mounted; what is written to staged ones lies below the directory `storage` (staged.h).
 * first: nothing has run in the sandbox yet. */
int volumes_mount(const struct message_mount *mounts, uint32_t count, int storage, bool first,
	struct volumes *volumes, struct error *err);

/* Whatever is known of files in them is not good any more (volume_relay_renew()). */
int volumes_renew(const struct volumes *volumes, struct error *err);

/* Writes out what processes have changed in mapped files, waiting no longer than until `deadline`
 * (clock_monotonic()), and ends the process: what still waits for the host then fails. */
void volumes_end(pid_t pid, uint64_t deadline);
