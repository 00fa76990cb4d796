/* SPDX-License-Identifier: Apache-2.0 */
/* Long random sequences of calls, each compared with something that is known to be right. */
#pragma once

#include <stdint.h>

#include "vfs/vfs.h"

/* The data of one file against a plain buffer, as fsx does it. `can`: enum vfs_can. */
void vfs_exercise_file(struct vfs *fs, unsigned can, uint32_t seed, unsigned operations);

/* Names, links, modes, sizes and times against a real directory, which is empty as the file system is: the
 * same calls end with the same errors, and leave the same tree. */
void vfs_exercise_tree(struct vfs *fs, int directory, uint32_t seed, unsigned operations);
