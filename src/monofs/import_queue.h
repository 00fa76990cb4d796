/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the walk, which goes ahead, and the tree, which is put together in the walk's order: a ring of what
 * the walk has met. Files are read by workers meanwhile, in runs that lie next to each other, so that what a
 * worker stores together belongs together. Walk and tree are one thread's.
 */
#pragma once

#include "monofs/import_file.h"
#include "monofs/import_known.h"
#include "monofs/import_tree.h"

/* A directory of the host that is open for as long as files in it are to be read. */
struct import_place {
	int fd;
	unsigned uses;
};

/* What has several names. */
struct import_names {
	char *path; /* of the first */
	struct import_id id;
	bool failed; /* the first was left out */
};

enum import_event_kind {
	IMPORT_ENTER,
	IMPORT_LEAVE,
	IMPORT_PUT,  /* its entry is there */
	IMPORT_FILE, /* its entry is made by a worker */
	IMPORT_KEEP,
	IMPORT_REMOVE
};

struct import_event {
	enum import_event_kind kind;
	char name[MST_NAME_MAX + 1];
	enum known_kind known; /* how it is known the next time */
	struct known_key key;
	bool changes;               /* IMPORT_ENTER: by changes alone */
	struct buffer entry;        /* IMPORT_PUT, IMPORT_FILE, IMPORT_LEAVE (empty: as it is known) */
	struct import_names *names; /* may be NULL */
	struct import_place *place; /* IMPORT_FILE */
	struct stat stat;
	/* of the worker */
	bool done;
	int code;
	struct error err;
};

struct import_queue;

/* take() gets the events in order, from the thread that calls the functions here. */
typedef int import_take(void *context, struct import_event *event, struct error *err);
int import_queue_new(struct repository *r, unsigned workers, import_take *take, void *context,
	struct import_queue **out, struct error *err);
void import_queue_free(struct import_queue *q); /* ends the workers; what they have stored may be lost */
CLEANUP_DEFINE(import_queue, struct import_queue, import_queue_free);

/* The next event to be filled in; import_queue_push() hands it over. */
int import_queue_event(struct import_queue *q, enum import_event_kind kind, const char *name,
	struct import_event **out, struct error *err);
int import_queue_push(struct import_queue *q, struct import_event *event, struct error *err);

/* Waits until the tree has got everything. */
int import_queue_drain(struct import_queue *q, struct error *err);

/* The same, and then the workers end, with all that they have put flushed. */
int import_queue_finish(struct import_queue *q, struct error *err);

uint64_t import_queue_read(const struct import_queue *q); /* bytes that workers have read */

/* ---- places; -1: not open ---- */

struct import_place *import_place_new(struct import_queue *q, int fd, struct error *err);
void import_place_use(struct import_place *p);
void import_place_drop(struct import_queue *q, struct import_place *p); /* NULL is fine */
/* So many are open that the queue is to be drained before there are more. */
bool import_places_full(const struct import_queue *q);
