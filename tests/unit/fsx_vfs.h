/* SPDX-License-Identifier: Apache-2.0 */
/* fsx on a file of a file system behind vfs/vfs.h, by its calls. */
#pragma once

#include "fsx.h"
#include "vfs/vfs.h"

/* A run on VFS_ROOT/NAME, which is made where options->start is NULL, and removed at the end. A failure ends
 * the test, with the report. holes: it is allocated, punched and sought in, too. */
void fsx_vfs(struct vfs *fs, const char *name, bool holes, const struct fsx_options *options);

/* The same, and it says what was found. */
bool fsx_vfs_finds_nothing(struct vfs *fs, const char *name, bool holes, const struct fsx_options *options,
	struct fsx_report *report);
