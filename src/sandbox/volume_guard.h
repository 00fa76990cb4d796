/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a volume its sandbox must not change, since the host reads it next: the configuration of its
 * project (the record's `guarded`). Each path there is absolute and without links on the way to its last
 * name, which need not be there. Directories are compared by device and inode: a volume may be the project's
 * directory, one above or below, by whatever path.
 */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "sandbox/record.h"

/* The guarded paths that lie in the volume, from its root, as guard_new() has them, into `names`. `source` is
 * volume_open()'s of it. *all: it is such a file itself, so that nothing of it may change. Nothing is said of
 * a volume that is not written to. */
int volume_guard(const struct record *r, const struct record_mount *m, int source, struct buffer *names,
	bool *all, struct error *err);

/* The same of any volume: also of a staged one, whose changes may be applied. */
int volume_guard_names(const struct record *r, const struct record_mount *m, int source, struct buffer *names,
	bool *all, struct error *err);
