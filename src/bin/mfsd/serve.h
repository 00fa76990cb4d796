/* SPDX-License-Identifier: Apache-2.0 */
/* The child: opens a repository, mounts a tree of it, serves that, and answers who asks
 * (monofs/mount_wire.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "monofs/crypt.h"
#include "monofs/object.h"

struct mfsd_start {
	char *repository, *directory, *revision, *author;
	uint32_t flags; /* enum mount_start_flags */
	uint64_t quiet, most;
	struct object_id commit;
	uint8_t master[CRYPT_KEY_SIZE];
};
int mfsd_start_decode(const struct buffer *message, struct mfsd_start *start, struct error *err);
void mfsd_start_forget(struct mfsd_start *start);

/* keeper: the socket to the parent. Returns the exit status. */
int mfsd_serve(int keeper, const struct mfsd_start *start);
