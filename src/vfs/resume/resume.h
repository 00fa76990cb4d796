/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system whose clients had an earlier process: they have numbers and open files that this one never
 * gave out. Put before a file system whose numbers are the same in every process:
 *
 * A number that it does not know is looked for in the whole tree, once for all such numbers, and is known
 * from then on. An open file that it does not know is taken for the object itself: that its opening was
 * allowed has been judged before.
 *
 * What is gone, or has no name any more, is -ESTALE.
 */
#pragma once

#include "base/error.h"
#include "vfs/vfs.h"

/* until: nothing that the clients know by an earlier process was made later (clock_realtime()). fs is the new
 * one's from now on, also where this fails. */
int resume_new(struct vfs *fs, uint64_t until, struct vfs **out, struct error *err);
