/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects of a repository on disk: packs, immutable once they have their name, and the index over them,
 * which can be made again from them (docs/formats/monofs.md, "Packs").
 *
 * Objects that are put one after the other by one writer share a frame: about 512 KiB that are
 * compressed, and sealed, together. So small ones cost little, and what was put together is read together.
 *
 * Nothing that was put is promised to be there after a power cut before store_sync() has returned. Who dies
 * leaves files under temporary names, which the next one removes. Several processes may write at once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/progress.h"
#include "monofs/crypt.h"
#include "monofs/object.h"

struct store;
struct store_writer;

/* directory: the repository's; borrowed, as crypt is. Registers a session: gc leaves alone what was there
 * since, for as long as this process lives. A missing or damaged index is made again from the packs, which
 * `progress` (may be NULL) tells. Errors: NOT_FOUND, CORRUPT, SYSTEM. */
int store_open_at(int directory, const struct crypt *crypt, bool read_only, const struct progress *progress,
	struct store **out, struct error *err);
void store_close(struct store *s); /* what was not synced is lost */
CLEANUP_DEFINE(store, struct store, store_close);

/* ---- writing: a writer belongs to one thread at a time, a store to all ---- */

int store_writer_new(struct store *s, struct store_writer **out, struct error *err);
void store_writer_free(struct store_writer *w); /* what is in its frame is lost, unless it was flushed */
CLEANUP_DEFINE(store_writer, struct store_writer, store_writer_free);
struct store *store_writer_store(struct store_writer *w);

/* Makes the object's id, and keeps the object unless it is there. *fresh (may be NULL): it was not. Errors:
 * LIMIT (longer than its type may be), NO_SPACE, SYSTEM: a writer that failed fails from then on. */
int store_put(struct store_writer *w, enum object_type type, const void *bytes, size_t n,
	struct object_id *id, bool *fresh, struct error *err);

/* What this writer put can be read (store_get()) from now on. */
int store_writer_flush(struct store_writer *w, struct error *err);

/* What all writers have flushed is on disk, and in the index. On a full disk it may be called again; where
 * the disk itself fails to sync, nothing more is written until store_recover() or until the store is opened
 * anew. */
int store_sync(struct store *s, struct error *err);

/* After a sync that failed: all that was not synced is lost, and may be put again. There is no writer. */
void store_recover(struct store *s);

/* Bytes since store_open_at(): what was put, what of it was new, and what that takes in packs. */
struct store_written {
	uint64_t put, fresh, stored, objects;
};
void store_written(struct store *s, struct store_written *out);

/* ---- reading: from many threads at once ---- */

/* The object's bytes, whose id is verified. *bytes points into memory that is kept until store_release().
 * Errors: NOT_FOUND or CORRUPT, which name the object. */
struct store_bytes {
	const uint8_t *bytes;
	size_t size;
	void *held; /* the store's */
};
int store_get(struct store *s, enum object_type type, const struct object_id *id, struct store_bytes *out,
	struct error *err);
void store_release(struct store *s, struct store_bytes *bytes); /* a zeroed one is fine */

/* Who gets this object next has it at once, if that can be done. */
void store_prefetch(struct store *s, enum object_type type, const struct object_id *id);

/* 1: the index has it, 0: it does not. */
int store_has(struct store *s, const struct object_id *id, struct error *err);

/* The index has what lies in condemned packs again, until the next sweep. 1: there were some, 0: none. */
int store_rescue_all(struct store *s, struct error *err);

/* Calls take() for each object whose id is from `first` to `last`, in order; other than 0 ends it, and is
 * returned. */
typedef int store_take(void *context, const struct object_id *id, struct error *err);
int store_between(struct store *s, const struct object_id *first, const struct object_id *last,
	store_take *take, void *context, struct error *err);

/* ---- keeping house ---- */

struct store_statistics {
	uint64_t packs, pack_bytes;     /* files, and bytes of them */
	uint64_t objects, object_bytes; /* and their bytes before compression */
	uint64_t frames, frame_bytes;   /* and their bytes before compression */
	uint64_t type_objects[OBJECT_TYPE_LAST + 1], type_bytes[OBJECT_TYPE_LAST + 1];
	uint64_t condemned, condemned_bytes; /* packs that wait for their removal */
};
int store_statistics(struct store *s, struct store_statistics *out, struct error *err);

/* Verifies that the index and the packs say the same; with read_data every byte of every pack and the id of
 * every object. `damaged` is called for each object that cannot be had any more, and for each file (id NULL),
 * with what is wrong; the calls go on. Returns 0 though there is damage. */
struct store_check {
	bool read_data;
	void (*damaged)(void *context, const struct object_id *id, const char *file, const char *what);
	void *context;
	const struct progress *progress; /* may be NULL */
	uint64_t files, bytes;           /* results: what was read */
};
int store_check(struct store *s, struct store_check *check, struct error *err);

/* Removes what nobody needs. `live` says whether an object is needed; it was found after this call has begun,
 * which is why the mark is a callback: mark() is called once, when the sessions that matter are known. Packs
 * of which nothing is needed are condemned: out of the index, so that no writer relies on them, and removed
 * by a later call, `grace` seconds on, when no session is left that was there at that time and still nothing
 * of it is needed. What turns out to be needed comes back into the index. Packs that are needed by less than
 * `keep_percent` of their bytes are written anew and condemned (repack). One call at a time: BUSY. */
struct store_sweep {
	int (*mark)(void *context, struct error *err);
	bool (*live)(void *context, const struct object_id *id);
	void *context;
	uint64_t grace;        /* seconds */
	unsigned keep_percent; /* 0: nothing is written anew */
	bool dry_run;
	const struct progress *progress; /* may be NULL */
	/* results */
	uint64_t objects, removed_packs, removed_bytes, condemned_packs, condemned_bytes, rewritten_packs;
};
int store_tidy(struct store *s, struct store_sweep *sweep, struct error *err);
