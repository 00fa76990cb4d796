/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a repository is whole, and what of it nobody needs any more. */
#pragma once

#include "base/error.h"
#include "base/progress.h"
#include "monofs/repository.h"

struct check_options {
	bool read_data; /* every byte of the packs, not their directories alone */
	const struct progress *progress;
	/* Told of each damage: the object's id or the file's name, what it is, and the revision and path that
	 * need it (NULL where none does, or it is no part of a tree). */
	void (*damaged)(
		void *context, const char *what, const char *revision, const char *path, const char *why);
	void *context;
};
struct check_result {
	uint64_t commits, objects, files; /* that references lead to */
	uint64_t packs, bytes;            /* all there are, and what they take */
	uint64_t damaged;
};
/* Follows all that references lead to: each object is there and is what it says, and the trees of all
 * revisions keep what check_tree.h tells. 0 though there is damage. */
int check_repository(
	struct repository *r, const struct check_options *o, struct check_result *out, struct error *err);

struct collect_options {
	uint64_t grace;        /* seconds */
	unsigned keep_percent; /* as store_sweep.keep_percent */
	bool dry_run;
	const struct progress *progress;
};
/* Mark and sweep: what neither a reference nor the journal's base leads to goes. */
int collect_garbage(
	struct repository *r, const struct collect_options *o, struct store_sweep *result, struct error *err);
