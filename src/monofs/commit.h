/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revisions: commits in a DAG (docs/formats/monofs.md, "Commits"). As bytes, integers little-endian:
 *
 *     u8 1                              version of what follows
 *     u8 count, count times id[32]      parents, at most 16
 *     id[32], id[32]                    the roots: content, identity
 *     i64 seconds, u32 nanoseconds      when
 *     i32 zone                          minutes east of UTC
 *     u64 replica, u64 clock
 *     u64 generation                    at least 1
 *     u8 flags                          1: automatic; others are 0
 *     u32 size, author                  no NUL, at most 65,536 bytes each
 *     u32 size, message
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "monofs/entry.h"
#include "monofs/store.h"

#define COMMIT_PARENTS_MAX 16u
#define COMMIT_TEXT_MAX    65536u

struct commit {
	struct object_id parents[COMMIT_PARENTS_MAX];
	size_t parent_count;
	struct object_id content, identity; /* OBJECT_ROOT each */
	struct entry_time time;
	int32_t zone;            /* minutes east of UTC */
	uint64_t replica, clock; /* as of identities; a commit's clock is above those of all its parents */
	uint64_t generation;     /* 1 + the largest of its parents' */
	bool automatic;          /* made by a mounted tree by itself */
	char *author, *message;  /* UTF-8 or what the user gave; may be empty, never NULL */
};

void commit_free(struct commit *c); /* a zeroed one is fine */
static inline void cleanup_commit(struct commit *c)
{
	commit_free(c);
}
#define _cleanup_commit_ __attribute__((cleanup(cleanup_commit)))

int commit_put(struct store_writer *w, const struct commit *c, struct object_id *id, struct error *err);
int commit_get(struct store *s, const struct object_id *id, struct commit *c, struct error *err);

int commit_encode(const struct commit *c, struct buffer *out, struct error *err);
int commit_decode(const void *bytes, size_t n, struct commit *c, struct error *err);
