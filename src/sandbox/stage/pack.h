/* SPDX-License-Identifier: Apache-2.0 */
/* The host's objects as a tar, as a volume shows them: what a sandbox gets back when it discards a change. */
#pragma once

#include "sandbox/stage/stage.h"

typedef int stage_taker(void *context, const void *bytes, size_t n, struct error *err);

/* The entry of what is at `path` now, a directory without what is in it; nothing where there is nothing. The
 * archive's end is the caller's. */
int stage_pack(struct vfs *fs, const char *path, stage_taker *take, void *context, struct error *err);
