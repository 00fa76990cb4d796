/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system in which some names stay as the host has them, as if each were a read-only bind mount of its
 * own. Put before a file system whose clients nobody trusts, while what they may change holds files that the
 * host will read and believe: its project's configuration.
 *
 * A name is a path from the root. It and every name on the way to it keep what they lead to: none of them is
 * made, removed, renamed or replaced, also where there is nothing yet; so no other directory can be put where
 * an ancestor was. The object that the name leads to is neither written to nor changed in its attributes,
 * whatever name, number or handle it is asked for by: hard links are the same object. All that is -EROFS;
 * what only reads is as it was. Where a directory takes names for the same that differ in their case, all
 * that might be one of its guarded names is.
 *
 * The host itself may change what is guarded: where a name leads is looked up again when it was last more
 * than GUARD_AGE ago, and when a client has looked at the directory since.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "vfs/vfs.h"

#define GUARD_AGE       MILLISECONDS(50)
#define GUARD_NAMES_MAX 1024u  /* with those on the way to them */
#define GUARD_BYTES_MAX 65536u /* of all paths */

/* `paths`: each a path from the root without "." and "..", with a NUL, one behind the other; `size` bytes.
 * *out owns fs, also where this fails; without paths it is fs. LIMIT, INVALID, NO_MEMORY. */
int guard_new(struct vfs *fs, const char *paths, size_t size, struct vfs **out, struct error *err);

/* What guard_new() was given. */
struct vfs *guard_inner(struct vfs *fs);
