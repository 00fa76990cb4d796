/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What reaches out of a project (struct project_reach_out: a path outside, a port for everybody, a variable
 * of the host) needs the user's word, once: the configuration may be somebody else's. It is kept in
 * monocore.db by the project's id (identity.h), the kind, the component and the exact value, so that a line
 * that changed asks again, and so does the same line in another component.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "project/project.h"

/* Those of p->reaches that were not granted: *missing is an array of pointers into p, each kind, component
 * and value once; the caller's: free(). `id` NULL: a project that has no identity yet. */
int grants_missing(const char *home, const char *id, const struct project *p,
	const struct project_reach_out ***missing, size_t *count, struct error *err);

/* Grants these, all or none. */
int grants_give(const char *home, const char *id, const struct project_reach_out *const *list, size_t count,
	struct error *err);

/* Takes all back; *count: how many there were. */
int grants_revoke(const char *home, const char *id, size_t *count, struct error *err);

/* The word for its kind: "volume". */
const char *grants_kind(const struct project_reach_out *reach);

/* What it is, as the end of a sentence that begins with the component: "mounts /home/me/.ssh (read-only)".
 * The caller frees it; NULL: out of memory. */
char *grants_describe(const struct project_reach_out *reach, struct error *err);
