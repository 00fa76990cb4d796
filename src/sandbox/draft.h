/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories that are being made: each has a temporary name, and a file `lock` that its maker holds (flock)
 * until it is whole and has its real name.
 *
 * What a killed maker has left is known by the lock that nobody holds. A directory is made and locked in one
 * turn at `.making` beside it, and who sweeps takes a turn, too: so it never meets one that is about to be
 * locked.
 */
#pragma once

#include "base/error.h"

/* Makes parent/name (0700) and locks it. *fd, of the directory, and *lock are the caller's; after an error
 * nothing is left. Errors: NO_SPACE, DENIED, SYSTEM. */
int draft_make(int parent, const char *name, int *fd, int *lock, struct error *err);

/* Removes parent/name where nobody holds its lock; also what was whole once and got a temporary name for its
 * removal. */
void draft_sweep(int parent, const char *name);
