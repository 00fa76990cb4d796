/* SPDX-License-Identifier: Apache-2.0 */
/* Who keeps a mount busy, by what /proc tells of the processes that this user may look at. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

#define HOLDER_NAME 64

struct holder {
	pid_t pid;
	char name[HOLDER_NAME]; /* of the program */
	char what[HOLDER_NAME]; /* "works in it", "has FILE open" … */
};

/* Looks for those that hold something at or beneath a directory (an absolute path without links), at most
 * `most` of them. Nothing there is touched, so that a mount that hangs cannot hang the caller. Returns how
 * many were found. */
size_t holders_find(const char *directory, struct holder *out, size_t most);
