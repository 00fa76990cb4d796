/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image's root file system, read-only. Inode numbers are the image's node numbers moved by a constant, so
 * nothing needs to be kept for an inode, and handles are good for ever.
 */
#pragma once

#include "base/error.h"
#include "vfs/vfs.h"

/* fd: the EROFS file; the file system's from now on, also when this fails. The image may be hostile. */
int erofs_new(int fd, struct vfs **fs, struct error *err);
