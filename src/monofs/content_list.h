/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of chunks and of lists (docs/formats/monofs.md, "Lists"):
 *
 *     u8 depth     of the refs: 0: chunks and holes; n: lists whose depth is n - 1
 *     refs         as of entries (entry.h): 1 to 1,024
 *
 * How they come about: all chunks and holes of a file are refs of depth 0. Of up to 256, the entry has them
 * itself. More are parted into lists, in order: a list ends behind the first ref that is no hole and whose
 * id's last byte is 0, or that is the 1,023rd or a later one in its list; the last one ends with the file.
 * These lists are the refs of depth 1, for which the same holds, and so on.
 */
#pragma once

#include "monofs/content.h"

struct content_list {
	struct store_bytes held;
	struct cursor refs;
	size_t left;
};

/* What the ref of depth + 1 leads to, judged as a whole. Errors: the store's; CORRUPT, naming it.
 * content_list_release() also where this failed. */
int content_list_load(struct store *s, const struct content_ref *ref, unsigned depth,
	struct content_list *out, struct error *err);
bool content_list_next(struct content_list *l, struct content_ref *ref); /* false: the end */
void content_list_release(struct store *s, struct content_list *l);

/* NULL, or what is wrong with these bytes as a list of this depth and size. */
const char *content_list_fault(const uint8_t *bytes, size_t n, unsigned depth, uint64_t size);

/* ---- making them ---- */

struct content_refs {
	struct store_writer *w;
	struct content_level {
		struct content_ref *refs; /* room for LIST_REFS_MAX */
		size_t count;
		bool lists; /* there were more than an entry has: they are parted into lists */
	} levels[CONTENT_DEPTH_MAX + 1];
	uint64_t hole; /* zeroes behind the last ref */
};

int content_refs_add(struct content_refs *b, const struct content_ref *chunk, struct error *err);
void content_refs_hole(struct content_refs *b, uint64_t size);
/* Takes over a list of an old file that was not its last of that depth; false: its refs must be given
 * instead. */
bool content_refs_takes_list(const struct content_refs *b, unsigned depth);
int content_refs_add_list(
	struct content_refs *b, const struct content_ref *list, unsigned depth, struct error *err);
/* out's refs are the builder's until the next content_refs_clear(). */
int content_refs_finish(struct content_refs *b, struct content *out, struct error *err);
void content_refs_clear(struct content_refs *b);
void content_refs_free(struct content_refs *b);
