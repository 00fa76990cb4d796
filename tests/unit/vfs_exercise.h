/* SPDX-License-Identifier: Apache-2.0 */
/* Long random sequences of calls on a tree, each compared with a file system that is known to be right; those
 * on the data of one file are in fsx.h. */
#pragma once

#include <stdint.h>

#include "vfs/vfs.h"

/* Names, links, modes, sizes and times against a real directory, which is empty as the file system is: the
 * same calls end with the same errors, and leave the same tree. */
void vfs_exercise_tree(struct vfs *fs, int directory, uint32_t seed, unsigned operations);
