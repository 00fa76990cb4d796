/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that a guard keeps, and where each leads just now: a tree, of which only what the host changes
 * moves. Its calls are for several threads at once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "vfs/vfs.h"

struct chain;

/* As guard_new() has them; fs is borrowed. */
int chain_new(struct vfs *fs, const char *paths, size_t size, struct chain **out, struct error *err);
void chain_free(struct chain *c); /* NULL is fine */

/* Looks up where all names lead, unless that was done GUARD_AGE ago or less and nobody has called
 * chain_doubt() since. Negative errno: that cannot be said, so nothing may be changed. */
int chain_refresh(struct chain *c);
void chain_doubt(struct chain *c);

/* The name is one of them, or on the way to one. Negative errno: that cannot be said. */
int chain_has_name(struct chain *c, uint64_t parent, const char *name);
/* The same without asking which directory it is in. */
bool chain_may_have_name(const struct chain *c, const char *name);
/* One of the names leads to it. */
bool chain_has_object(struct chain *c, uint64_t ino);
