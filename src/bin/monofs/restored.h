/* SPDX-License-Identifier: Apache-2.0 */
/* What a revision that was written out is told to be; restore and checkout. */
#pragma once

#include "bin/cli/command.h"
#include "monofs/restore.h"

struct restored {
	struct cli *cli;
	uint64_t skipped;
	struct restore_result result;
};

void restored_skip(void *restored, const char *path, const char *why); /* for struct restore_options */

/* Returns the exit status: 1 where something was skipped. */
int restored_print(const struct restored *r, const char *target, bool json);
