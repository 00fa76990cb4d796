/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The place of a volume that is a tree of a monofs: monofs://PATH[?KEY=VALUE[&KEY=VALUE]...], with
 *
 *     rev=REVISION            that revision, read-only
 *     commit=on-exit          each run of the sandbox becomes one revision
 *     rollback=on-failure     and one that fails leaves nothing behind
 *
 * PATH is written as that of a directory (./notes, /srv/notes, ~/notes); a '?' or ':' cannot be in it.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

#define MONOFS_URI "monofs://"

struct monofs_uri {
	char *path, *revision; /* revision: NULL: the tree that is written to */
	bool mark, undo;       /* undo implies mark */
};

/* Whether the text begins so. */
bool monofs_uri_is(const char *text);
/* Errors: INVALID, what is wrong and what there is. */
int monofs_uri_parse(const char *text, struct monofs_uri *out, struct error *err);
void monofs_uri_free(struct monofs_uri *u); /* a zeroed one is fine */
static inline void cleanup_monofs_uri(struct monofs_uri *u)
{
	monofs_uri_free(u);
}
#define _cleanup_monofs_uri_ __attribute__((cleanup(cleanup_monofs_uri)))
