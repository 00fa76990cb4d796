/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the store share; nobody else includes it.
 *
 * Three locks, taken in this order: `syncing` (one at a time publishes packs, or looks for some), `writing`
 * (the file of the open pack), `lock` (all that is in memory; never held over I/O).
 */
#pragma once

#include <pthread.h>

#include "base/map.h"
#include "monofs/index.h"
#include "monofs/pack_file.h"
#include "monofs/session.h"
#include "monofs/store.h"

#define STORE_CLOSED_ENOUGH  16u        /* packs that are whole and not yet synced: then somebody does that */
#define STORE_PENDING_ENOUGH (1u << 17) /* and so many objects, each of which takes memory until then */
#define STORE_CLOSED_MAX     64u
#define STORE_PACKS_KEPT     64u         /* whose directories are in memory, and files open */
#define STORE_OBJECTS_KEPT   (1u << 19)  /* in these directories together */
#define STORE_FRAMES_KEPT    (32u << 20) /* bytes of objects in memory that nobody reads just now */
#define STORE_BUCKETS        1024u
#define STORE_RECENT         2048u /* objects of the frames used last, among which one is looked for first */
#define STORE_FRAME_LARGE    (128u << 10) /* bytes from which on memory of a frame is used again */
#define STORE_FRAMES_IDLE    8u

/* A frame's objects in memory. */
struct kept_frame {
	struct kept_frame *next;          /* in its bucket */
	struct kept_frame *newer, *older; /* by their last use */
	size_t room;                      /* bytes that are allocated */
	uint64_t serial;                  /* of the pack */
	uint32_t frame;
	uint32_t first; /* object of the frame in the pack's directory */
	uint32_t count, raw;
	unsigned references;
	bool kept;                 /* it is in the cache; where not, the last reference frees it */
	bool loading;              /* somebody reads it just now */
	_Atomic uint8_t *verified; /* for each object: its id was right */
	uint8_t *bytes;
	struct pack_object objects[];
};

struct frame_cache {
	struct kept_frame *buckets[STORE_BUCKETS];
	struct kept_frame *newest, *oldest;
	size_t bytes;
	/* Large ones that nobody needs: memory of such a size would else come from the kernel each time, with
	 * a fault for each of its pages. */
	struct kept_frame *idle[STORE_FRAMES_IDLE];
	unsigned idle_count;
};

struct store {
	int directory; /* borrowed */
	int packs;
	const struct crypt *crypt;
	bool read_only;
	struct session session;
	struct index *index;
	char *scratch; /* the directory of an index that is this process's alone; NULL */
	pthread_mutex_t syncing, writing, lock;
	/* under `writing`, and changed under `lock`, too: */
	struct pack *open; /* NULL: none is begun */
	unsigned begun;    /* packs */
	/* under `lock`: */
	struct pack *closed[STORE_CLOSED_MAX]; /* whole, not yet in the index */
	unsigned closed_count;
	struct map pending; /* id → place_of(), of what is in packs that the index does not have */
	uint64_t serials;
	struct error broken; /* a sync failed, and nobody knows what is on disk */
	struct store_written written;
	struct pack *packs_kept[STORE_PACKS_KEPT];
	unsigned packs_kept_count;
	uint64_t objects_kept, uses;
	struct frame_cache frames;
	pthread_cond_t loaded; /* a frame was, or could not be */
	struct store_reader {  /* idle ones: what reading a frame takes */
		ZSTD_DCtx *decompressor;
		struct buffer scratch;
	} readers[8];
	unsigned reader_count;
};

/* ---- store_cache.c: all under `lock` ---- */

struct kept_frame *store_frame_find(struct store *s, uint64_t serial, uint32_t frame); /* referenced */
/* One of those used last that has the object: referenced. *at: which it is in it, *offset: of its bytes. */
struct kept_frame *store_frame_holding(
	struct store *s, const struct object_id *id, uint32_t *at, uint32_t *offset);
struct kept_frame *store_frame_new(
	struct store *s, const struct pack *p, uint32_t number, const struct pack_frame *frame);
/* Takes it into the cache, and lets go of old ones; the reference is the caller's as before. */
void store_frame_keep(struct store *s, struct kept_frame *f);
void store_frame_forget(struct store *s, struct kept_frame *f); /* out of the cache */
void store_frame_release(struct store *s, struct kept_frame *f);

struct pack *store_pack_find(struct store *s, int64_t number); /* referenced */
void store_pack_keep(struct store *s, struct pack *p);         /* the caller's reference goes to the cache */
void store_pack_release(struct store *s, struct pack *p);
void store_pack_forget(struct store *s, int64_t number);
void store_reader_free(struct store_reader *r);
void store_cache_free(struct store *s);

/* ---- store_index.c ---- */

/* One that is missing is made; read_only: where the repository cannot be written to, in a place of its own.
 */
int store_index_open(struct store *s, const struct progress *progress, struct error *err);
void store_index_close(struct store *s);

/* As index_find(); an index that is damaged is made anew. Not under a lock. */
int store_lookup(struct store *s, const struct object_id *id, struct index_place *place, struct error *err);
/* Makes the index of the packs, whatever there is of it. */
int store_renew_index(struct store *s, const struct progress *progress, struct error *err);

/* ---- store_write.c ---- */

/* As store_put() of an object that is in another pack already, and is to be in a new one. */
int store_copy(struct store_writer *w, const struct pack_object *o, const void *bytes, struct error *err);

/* A place in a pack that is not in the index yet, as a value of the map. */
static inline void *store_place(uint64_t serial, uint32_t frame)
{
	return (void *)(uintptr_t)(serial << 24 | frame);
}
static inline uint64_t store_place_serial(const void *place)
{
	return (uintptr_t)place >> 24;
}
static inline uint32_t store_place_frame(const void *place)
{
	return (uint32_t)((uintptr_t)place & 0xffffff);
}

/* Puts a frame of objects into the open pack. */
int store_append(struct store *s, enum pack_form form, const void *bytes, size_t n,
	const struct pack_object *objects, uint32_t count, struct error *err);

/* Why nothing more can be written. */
int store_check_broken(struct store *s, struct error *err);

/* ---- store_read.c ---- */

/* The pack with this number, referenced. NOT_FOUND where the index or the directory has none. */
int store_pack_open(struct store *s, int64_t number, struct pack **out, struct error *err);

/* All objects of a frame, referenced. */
int store_frame_read(struct store *s, const struct pack *p, uint32_t number, const struct pack_frame *frame,
	struct kept_frame **out, struct error *err);

/* ---- store_copies.c ---- */

bool store_matches(const struct store *s, const struct pack_object *o, const void *bytes);
/* Another pack than the one called `damaged` that has the object, and whole: 1, and the index has it there
 * from now on; 0: there is none. All packs are looked through. Not under a lock. */
int store_find_copy(struct store *s, const struct object_id *id, const uint8_t damaged[SHA256_SIZE],
	struct index_place *out, struct error *err);

/* ---- store_index.c ---- */

/* For as long as *fd is open, the file and the index's row of a pack come and go together: `alone` for who
 * takes away, together with others for who adds. Packs are named by what is in them, so one may be made anew
 * while it is removed. *fd: -1 where nobody else has the index. */
int store_lock_packs(struct store *s, bool alone, int *fd, struct error *err);

/* Adds open packs to the index whose files are still there. */
int store_index_packs(
	struct store *s, struct pack *const *packs, unsigned count, const char *session, struct error *err);
/* The same where the caller has locked the packs. */
int store_index_there(
	struct store *s, struct pack *const *packs, unsigned count, const char *session, struct error *err);

/* ---- store_scan.c ---- */

/* Calls take() for the name of each file in packs/ that is one of a pack's. Other than 0 ends it. */
int store_each_pack(struct store *s,
	int (*take)(void *context, const uint8_t name[SHA256_SIZE], struct error *err), void *context,
	struct error *err);

/* Takes packs that the index does not know into it. *added: how many. A damaged one is left out. */
int store_scan(struct store *s, const struct progress *progress, unsigned *added, struct error *err);

/* Looks for an object that the index does not have: in packs that it does not know, and in condemned ones,
 * which come back for it; NULL: for all. 1: look again, 0: there is none. */
int store_rescue(struct store *s, const struct object_id *id, struct error *err);

/* Removes what dead processes left in packs/. */
int store_clean(struct store *s, struct error *err);
