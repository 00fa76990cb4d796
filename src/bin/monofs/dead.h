/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts whose process was killed together with its parent, which would have taken them away (mfsd/keeper.h).
 * Every call on one fails with ENOTCONN.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

/* Whether a dead mount of monofs is on a directory: an absolute path without symbolic links. */
bool dead_mount_is_at(const char *directory);

/* Takes it away. What its process had not made a revision yet is in the journal, for the next mount. */
int dead_mount_remove(const char *directory, struct error *err);
