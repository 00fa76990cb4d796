/* SPDX-License-Identifier: Apache-2.0 */
/* fsx on a file by its path: the kernel's calls. Needs nothing but a C library. */
#pragma once

#include "fsx.h"

enum fsx_path_calls {
	FSX_PATH_HOLES = 1, /* fallocate and SEEK_HOLE */
	FSX_PATH_MAPS = 2   /* mmap, also for writing */
};

/* A run on the file, which is made where options->start is NULL, and removed at the end. */
bool fsx_path(const char *path, unsigned calls, const struct fsx_options *options, struct fsx_report *report);
