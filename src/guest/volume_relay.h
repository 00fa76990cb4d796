/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the port of volumes and the kernel's FUSE connections: a thread for each volume takes the kernel's
 * requests to the port, and one thread takes what comes from the port to the kernel. Each only waits for
 * itself: a volume whose requests are not answered runs out of its window and stands alone.
 *
 * Linux's FUSE device gives and takes whole messages; a write to it does not wait for anybody.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct volume_relay;

/* For a port that is open for reading and writing, blocking. In *unsettled is a bit for each volume of which
 * the kernel has been told that something is done which the host has not answered yet (volume_behind.h). */
int volume_relay_new(int port, uint32_t count, _Atomic uint32_t *unsettled, struct volume_relay **relay,
	struct error *err);

/* Starts the thread that reads the port: when that ends, so does the process, and with it all mounts. */
int volume_relay_start(struct volume_relay *relay, struct error *err);

/* What a mounted volume is to the relay, whose descriptors these are from now on. */
struct volume_mount {
	int fuse;  /* /dev/fuse, the mount's connection */
	int mount; /* its root, O_PATH: held, so that it is not unmounted where it can only be broken off */
	int readahead; /* what sets it in /sys, open for writing; or -1 */
};

/* Serves volume `number` by NFS, on a port of the loopback interface; its mount, once it is there. */
int volume_relay_add_nfs(struct volume_relay *relay, uint32_t number, uint16_t *port, struct error *err);
void volume_relay_nfs_mounted(struct volume_relay *relay, uint32_t number, int mount);

/* What waits to be told to the host is told now. */
void volume_relay_hurry(struct volume_relay *relay);

/* The machine is a copy, whose host has not told what has changed: nothing that the kernel or the relay knows
 * of what volumes hold is good any more. To be called while the sandbox's processes stand still. */
void volume_relay_renew(struct volume_relay *relay);

/* Serves volume `number`. */
int volume_relay_add(
	struct volume_relay *relay, uint32_t number, const struct volume_mount *mount, struct error *err);
