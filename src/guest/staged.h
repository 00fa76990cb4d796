/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Staged volumes: an overlay over a directory of the host that is mounted read-only, so that what processes
 * write stays in the sandbox, on its own disk:
 *
 *   upper/, work/               the root's (root.h)
 *   staged/NUMBER/upper, work   of the mount NUMBER of SETUP
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Makes an overlay over the directory `lower`, the root of a mount. Its changes lie below the directory
 * `storage` (of the disk, or of one in memory). Returns the new mount, which is nowhere yet. */
int staged_mount(int storage, uint32_t number, int lower, struct error *err);

/* The upper directory; -1 where there is none yet. */
int staged_open(int storage, uint32_t number);

/* Whether something lies in one of the volumes of the bits `numbers`. */
bool staged_any(int storage, uint32_t numbers);

/* Removes `path` from the changes; ".": all of them, after which the volume is as it was before its first
 * use. No overlay may be over them. A storage that is mounted read-only becomes writable, and is synced. */
int staged_remove(int storage, uint32_t number, const char *path, struct error *err);
