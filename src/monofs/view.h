/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A revision as a file system, read-only (vfs/vfs.h). Inode numbers and persistent handles come from the
 * identities, so they are the same wherever and whenever the object is shown. What the store cannot give is
 * -EIO.
 */
#pragma once

#include "base/error.h"
#include "monofs/repository.h"
#include "vfs/vfs.h"

/* The repository is borrowed. */
int view_new(struct repository *r, const struct object_id *commit, struct vfs **fs, struct error *err);
