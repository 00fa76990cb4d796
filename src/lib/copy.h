/* SPDX-License-Identifier: Apache-2.0 */
/* What copying into a sandbox and out of one share: names, and telling how far it is. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "monocore.h"

/* What `source` is called where it is copied to: the last part of its path. *name is the caller's; NULL where
 * the contents of a directory are meant (its path ends in "/.", or is "." or "/"). */
int copy_source_name(const char *source, char **name, struct error *err);

/* Parts a path that is yet to be made into its directory and its name, both the caller's. INVALID where it
 * ends in "." or "..": nothing can be made there. */
int copy_split(const char *path, char **directory, char **name, struct error *err);

/* Counts bytes and tells the handle's progress, as often as that may be told. */
struct copy_meter {
	struct monocore *mc;
	const char *task;
	uint64_t done, told_at;
};
void copy_meter_add(struct copy_meter *meter, size_t n);
void copy_meter_finish(struct copy_meter *meter);
