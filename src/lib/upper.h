/* SPDX-License-Identifier: Apache-2.0 */
/* The changes of a sandbox, as its guest tells them: a stranger's bytes. */
#pragma once

#include <stdbool.h>

#include "lib/handle.h"

typedef int upper_taker(void *context, const void *data, size_t n, struct error *err);

/* Gives `take` the archive of what the sandbox (found by find_sandbox()) has changed: from its own guest
 * where it runs, with `freeze` while its processes stand still; otherwise from a machine that is started for
 * this and mounts its disk. The sandbox is locked meanwhile, and is what it was afterwards. What was taken
 * before an error is no archive. */
int upper_read(struct monocore *mc, struct directory *d, const struct record *record, bool freeze,
	upper_taker *take, void *context, struct error *err);
