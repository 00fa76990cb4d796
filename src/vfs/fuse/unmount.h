/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a mount of FUSE away from outside of the process that serves it. */
#pragma once

#include <stdbool.h>

/* Whether what is mounted there is a mount of FUSE whose server has gone. */
bool fuse_mount_is_dead(const char *directory);

/* Unmounts what is mounted on a directory, by fusermount3 where the caller is no root; lazy: though something
 * in it is open, as umount -l does. -1: it stays. */
int fuse_unmount(const char *directory, bool lazy);
