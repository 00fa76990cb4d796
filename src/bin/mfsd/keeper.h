/* SPDX-License-Identifier: Apache-2.0 */
/* The parent: mounts are taken away by who has given up nothing, since fusermount3 needs its set-user-id. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* Serves requests of the child by the socket until that ends; a mount that it leaves behind is taken away.
 * Returns the exit status. */
int mfsd_keep(int socket, pid_t child);

/* Child: where it has mounted. */
int mfsd_keeper_tell(int socket, const char *directory, struct error *err);

/* Child: takes the mount away. BUSY: something in it is open, unless `force`. */
int mfsd_keeper_unmount(int socket, bool force, struct error *err);
