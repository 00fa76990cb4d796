/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system whose calls fail when a test says so, in front of one that works: once, or for ever from some
 * call on, as if the process that calls had died there. Calls that only let go of something never fail.
 */
#pragma once

#include "vfs/vfs.h"

/* inner: borrowed. NULL: out of memory. */
struct vfs *vfs_fault_new(struct vfs *inner);
/* The call number `at` (from 1, counted from now on) is -number, and with `forever` all later ones are, too;
 * at 0: none. */
void vfs_fault_at(struct vfs *fs, unsigned at, int number, bool forever);
unsigned vfs_fault_calls(const struct vfs *fs); /* since vfs_fault_at() */
