/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes that are trees of a monofs (codec/monofs_uri.h). The tree is mounted on the host, where its user
 * has mounted it already or in $MONOCORE_HOME/monofs/, by a process that ends with the last sandbox that
 * holds it; the sandbox gets that directory as any other. So one tree can be used by several sandboxes and on
 * the host at the same time.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "sandbox/home.h"
#include "sandbox/record.h"

#define VOLUME_MONOFS "monofs" /* record_mount.type; source is the repository's path */

/* What `uri` asks for, into m. USAGE, NOT_FOUND: there is no repository. */
int volume_monofs_set(struct record_mount *m, const char *uri, struct error *err);

/* Before a sandbox is made of it: that it can be mounted, or is. DENIED: its key is not known here. */
int volume_monofs_check(const struct record_mount *m, struct error *err);

/* The root of the tree where it is mounted, O_PATH. NOT_FOUND: it is not. */
int volume_monofs_open(const struct record_mount *m, struct error *err);

/* The trees that a running sandbox holds. */
struct volume_trees;

/* Mounts what is not, and holds all that the record asks for. *out NULL: it has none. */
int volume_trees_hold(
	const struct home *home, const struct record *r, struct volume_trees **out, struct error *err);

/* The run is over, and nothing of the sandbox writes any more: where it was asked for, what it did becomes a
 * revision, or is undone where it went wrong. how: "exited with 1". note() is told of each revision, and of
 * what fails. */
void volume_trees_release(struct volume_trees *t, bool well, const char *how,
	void (*note)(void *context, const char *text), void *context);
void volume_trees_free(struct volume_trees *t); /* NULL is fine; without a release each run has failed */
