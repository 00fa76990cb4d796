/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel that comes with libkrun can mount. It is built elsewhere, without modules, so this is
 * found out by the first start: the agent's HELLO says what is missing, and
 * $MONOCORE_HOME/krun/<build of libkrun>.json keeps it, so that the next start takes the
 * form of the image's disk that the kernel reads, or fails before it boots.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

/* The list of HELLO ("erofs,fuse"; "": nothing is missing), the caller's; NULL: nothing is known, or memory
 * is out. A damaged file counts as none. */
char *krun_kernel_recall(const char *home, const char *build);

/* Where home cannot be written, it is found out again next time. */
void krun_kernel_remember(const char *home, const char *build, const char *missing);

/* The form of an image's disk for this build: "ext4" where its kernel is known to lack EROFS and not ext4,
 * else "erofs". */
const char *krun_kernel_root_type(const char *home, const char *build);

/* UNAVAILABLE where a kernel that lacks `missing` cannot run this image with (or without) a disk. The
 * image's file system is told by its superblock. */
int krun_kernel_suits(const char *missing, int image_fd, bool disk, struct error *err);
