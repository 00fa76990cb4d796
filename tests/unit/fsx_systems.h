/* SPDX-License-Identifier: Apache-2.0 */
/* fsx on each file system and through each adapter, made for one run. */
#pragma once

#include "fsx.h"
#include "vfs/vfs.h"

struct fsx_system {
	const char *name; /* "a union through fuse" */
	/* False: something differs. What cannot be set up ends the test. */
	bool (*run)(const struct fsx_options *options, struct fsx_report *report);
};

extern const struct fsx_system fsx_systems[]; /* ends with a name that is NULL */

/* A run on one of them; a failure ends the test, with the report. */
void fsx_on(const char *system, uint32_t seed, unsigned operations);

struct vfs *fsx_new_memory(void);
