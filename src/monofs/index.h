/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.db: in which frame of which pack each object is, and which packs are condemned. An SQLite database
 * with nothing in it that packs do not say, but for what is condemned; so it can be made again from them, and
 * who reads a repository needs none.
 *
 *     pack     number, name (32 bytes), size, session (that wrote it; ""), condemned (seconds since 1970 when
 *              it was; 0: it is not), witnessed (1: `witness` has the sessions that were there then)
 *     object   id (32 bytes), pack (its number), frame; of packs that are not condemned, for each object one
 *     witness  pack, session
 *     state    name, value: "complete" 1, once all packs were read into it
 *
 * What was committed may be lost by a power cut; then packs are there that it does not know, and are found
 * when an object is missed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "monofs/object.h"
#include "monofs/pack_file.h"

struct index;

#define SESSION_NAME_SIZE 33u /* of sessions/ (session.h), with its NUL */

/* path: of the file; renew: as index_renew(), before it is looked at. Errors: as db_open(). */
int index_open(const char *path, bool renew, struct index **out, struct error *err);
void index_close(struct index *i);
CLEANUP_DEFINE(index, struct index, index_close);

struct index_place {
	int64_t pack;
	uint32_t frame;
};

struct index_pack {
	int64_t number;
	uint8_t name[SHA256_SIZE];
	uint64_t size;
	char session[SESSION_NAME_SIZE];
	int64_t condemned;
	bool witnessed;
};

/* All from many threads at once. 1: found, 0: not. */
int index_find(struct index *i, const struct object_id *id, struct index_place *place, struct error *err);
int index_pack(struct index *i, int64_t number, struct index_pack *out, struct error *err);
int index_pack_named(
	struct index *i, const uint8_t name[SHA256_SIZE], struct index_pack *out, struct error *err);

/* Those with a higher number, in the order of numbers, at most `room` of them: how many. */
int index_packs(struct index *i, int64_t above, struct index_pack *out, size_t room, struct error *err);

/* Puts packs in, with all their objects, and sets their numbers. One that was there is not condemned any
 * more, and stays whose it is. fresh: the session has written them just now, so that they are its, and
 * objects that are elsewhere are here from now on. */
int index_add(struct index *i, struct pack *const *packs, size_t count, const char *session, bool fresh,
	struct error *err);

/* One object is there from now on. */
int index_move(struct index *i, const struct object_id *id, const struct index_place *to, struct error *err);

int index_complete(struct index *i, struct error *err); /* 1 or 0 */
int index_set_complete(struct index *i, struct error *err);

/* An empty one in its place, whatever is wrong with this one. */
int index_renew(struct index *i, struct error *err);

/* Calls take() for each object, by id. Other than 0 ends it. */
typedef int index_take(
	void *context, const struct object_id *id, const struct index_place *place, struct error *err);
int index_objects(struct index *i, index_take *take, void *context, struct error *err);

/* The same for those from `first` to `last`, both included. */
int index_between(struct index *i, const struct object_id *first, const struct object_id *last,
	index_take *take, void *context, struct error *err);

/* What SQLite itself finds wrong with the file: CORRUPT. */
int index_verify(struct index *i, struct error *err);

/* ---- condemned packs (store_sweep.c) ---- */

/* The pack is condemned since `now`, and no object is in it any more. */
int index_condemn(
	struct index *i, int64_t number, const struct pack_directory *d, int64_t now, struct error *err);
/* These sessions were there when it was. */
int index_witness(struct index *i, int64_t number, char (*sessions)[SESSION_NAME_SIZE], size_t count,
	struct error *err);
/* 1: lives() says so of one of its sessions. */
int index_is_witnessed(struct index *i, int64_t number,
	bool (*lives)(const void *context, const char *session), const void *context, struct error *err);
/* It is gone, unless it is condemned no more: 1 or 0. */
int index_forget(struct index *i, int64_t number, struct error *err);
