/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What files hold, as chunks and lists of them. The same bytes give the same refs, however they were written:
 * cuts depend on the bytes (codec/chunker.h), a chunk of zeroes alone is a hole and holes that follow each
 * other are one, and where a list ends depends on the refs in it alone (content_list.h).
 */
#pragma once

#include <sys/types.h>

#include "monofs/entry.h"
#include "monofs/store.h"

#define LIST_REFS_MAX 1024u /* refs of one list */

/* ---- writing ---- */

/* Where bytes come from, in order. read(): up to n bytes to `to`, fewer only at the end; or skips: where
 * *hole is set to other than 0, that many bytes are zeroes, and none were read. Negative: an error. */
struct content_source {
	ssize_t (*read)(void *context, void *to, size_t n, uint64_t *hole, struct error *err);
	void *context;
};

/* A writer of contents has buffers and belongs to one thread. */
struct content_writer;
int content_writer_new(
	struct store_writer *w, const struct crypt *crypt, struct content_writer **out, struct error *err);
void content_writer_free(struct content_writer *w);
CLEANUP_DEFINE(content_writer, struct content_writer, content_writer_free);

/* All of a file. out's memory is the writer's until the next call. */
int content_write(struct content_writer *w, const struct content_source *source, struct content *out,
	struct error *err);

/* A file that was `base` and of which the ranges were changed (sorted, apart; what was cut off meanwhile,
 * too) and which now has `size` bytes: source reads the NEW file at an offset. Chunks that no change touches
 * are not read. The base's lists are: a writer that has just put them is flushed before. */
struct content_range {
	uint64_t offset, size;
};
struct content_reader_at {
	ssize_t (*read)(
		void *context, void *to, size_t n, uint64_t offset, uint64_t *hole, struct error *err);
	void *context;
};
int content_update(struct content_writer *w, const struct content *base, const struct content_range *ranges,
	size_t range_count, uint64_t size, const struct content_reader_at *source, struct content *out,
	struct error *err);

/* ---- reading: from many threads at once ---- */

/* Up to n bytes from offset, fewer at the end alone. Errors: the store's, CORRUPT. */
ssize_t content_read(
	struct store *s, const struct content *c, void *to, size_t n, uint64_t offset, struct error *err);

/* What is in this range is likely to be read soon: so the store has it in memory, if it can. */
void content_prefetch(struct store *s, const struct content *c, uint64_t offset, uint64_t end);

/* The chunk or hole that holds `offset`: the ref, and where in the file it begins. NOT_FOUND behind the end.
 */
int content_find(struct store *s, const struct content *c, uint64_t offset, struct content_ref *ref,
	uint64_t *begins, struct error *err);

/* A chunk's bytes, which are as many as the ref says. */
int content_chunk(struct store *s, const struct content_ref *ref, struct store_bytes *out, struct error *err);

/* Calls take() for the chunks and holes in order, and list() (may be NULL) for the lists on the way, before
 * what is in them; other than 0 ends it, but 1 from list() leaves that list out. */
typedef int content_take(void *context, uint64_t offset, const struct content_ref *ref, struct error *err);
int content_walk(struct store *s, const struct content *c, content_take *take, content_take *list,
	void *context, struct error *err);
