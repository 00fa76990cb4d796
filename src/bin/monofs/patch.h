/* SPDX-License-Identifier: Apache-2.0 */
/* What differs in one object, as git's patches have it, and how many lines that is. */
#pragma once

#include "base/buffer.h"
#include "bin/monofs/place.h"
#include "monofs/tree.h"

#define PATCH_FILE_MOST (32u << 20) /* bytes of a file that is compared by lines */

/* Between which revisions. */
struct patch {
	struct place *place;
	struct object_id before, after;
};

struct patch_lines {
	bool binary; /* not compared by lines: it is no text, or too large; sizes then */
	uint64_t added, removed, size_before, size_after;
};

/* Appends the patch of one difference to out (NULL: nothing), and counts. */
int patch_one(const struct patch *p, const struct tree_difference *d, struct buffer *out,
	struct patch_lines *lines, struct error *err);
