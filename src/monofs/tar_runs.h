/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of an archive that have no room in memory: runs, one behind the other in a file without a name, in
 * the repository's directory and sealed as all there is. A run has names in the order of a walk: each
 * directory before what is in it.
 */
#pragma once

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "monofs/repository.h"

/* What an archive tells of a path. */
struct tar_name {
	const char *path; /* names with a '/' between them, no NUL; "": the root */
	size_t path_size;
	bool alone;      /* what was told before of it and of all beneath does not count */
	uint64_t number; /* of the object, 0: a directory */
	const uint8_t
		*entry; /* encoded; NULL: it is a directory since something is in it, and no more is told */
	size_t entry_size;
};

/* Whether it is a directory. */
bool tar_name_is_directory(const struct tar_name *n);

/* How paths are ordered. */
int tar_path_compare(const char *a, size_t a_size, const char *b, size_t b_size);

struct tar_runs;
int tar_runs_new(struct repository *r, struct tar_runs **out, struct error *err);
void tar_runs_free(struct tar_runs *t);
CLEANUP_DEFINE(tar_runs, struct tar_runs, tar_runs_free);

/* ---- writing: one run at a time ---- */

int tar_runs_begin(struct tar_runs *t, struct error *err);
int tar_runs_put(struct tar_runs *t, const struct tar_name *n, struct error *err);
int tar_runs_end(struct tar_runs *t, struct error *err);

/* ---- reading: of runs that have ended, by their numbers from 0 on ---- */

size_t tar_runs_count(const struct tar_runs *t);

/* 1: *out is the path's, in memory that is good until the next call for this run; 0: it is not in the run. */
int tar_runs_find(struct tar_runs *t, size_t run, const char *path, size_t path_size, struct tar_name *out,
	struct error *err);

/* From the beginning of the run. */
int tar_runs_rewind(struct tar_runs *t, size_t run, struct error *err);
/* The name that the run is at; NULL: at its end. */
const struct tar_name *tar_runs_at(const struct tar_runs *t, size_t run);
int tar_runs_next(struct tar_runs *t, size_t run, struct error *err);
