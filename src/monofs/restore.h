/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A revision, or what lies beneath a path in it, written out: to a directory of the host, or as a tar
 * archive. The repository is hostile: nothing is written outside the target, whatever the tree says.
 */
#pragma once

#include "base/error.h"
#include "base/progress.h"
#include "monofs/repository.h"

struct restore_options {
	const char *path; /* in the revision; NULL or "": all */
	bool mirror; /* the target becomes the same: what the revision has not is removed, what is equal is
			left alone */
	bool owners; /* uid and gid are set: root alone can; otherwise everything is the caller's */
	unsigned workers;                /* 0: one for each processor, at most 8 */
	const struct progress *progress; /* bytes, may be NULL */
	void (*skipped)(void *context, const char *path, const char *why); /* as in import_options */
	void *context;
};

struct restore_result {
	uint64_t files, directories, others, bytes; /* written */
	uint64_t kept, removed;                     /* mirror */
};

/* target is made where it is missing; without mirror one that is not empty is EXISTS. */
int restore_directory(struct repository *r, const struct object_id *commit, const char *target,
	const struct restore_options *o, struct restore_result *out, struct error *err);
int restore_tar(struct repository *r, const struct object_id *commit, int fd, const struct restore_options *o,
	struct restore_result *out, struct error *err);
