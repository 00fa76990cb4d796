/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between a walk, which goes ahead, and what is made of it in the walk's order: a ring of events. Those that
 * need work are done by workers meanwhile, in runs that lie next to each other, so that what one worker
 * stores or reads together belongs together. The walk and what is made of it are one thread's, which calls
 * all functions here. Workers start with the first work.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"

/* A directory of the host that is open for as long as it is needed. */
struct work_place {
	int fd;
	unsigned uses;
};

/* The beginning of each event. */
struct work_event {
	bool work;        /* it is for a worker */
	atomic_bool done; /* the ring's */
	uint64_t weight;  /* bytes, about: a run ends after some */
	struct buffer bytes;
	struct work_place *place; /* held until the event was taken; may be NULL */
	/* of the worker; err is set where the code is negative */
	int code;
	struct error err;
};

struct work_ring_options {
	size_t event_size;
	unsigned workers; /* 0: one for each processor; at most 8 */
	int (*begin)(void *context, void **worker, struct error *err); /* makes what a worker needs */
	void (*work)(void *worker, struct work_event *event);
	int (*end)(void *worker, struct error *err); /* with all done; nobody works any more */
	void (*free)(void *worker);
	int (*take)(void *context, struct work_event *event, struct error *err);
	void *context;
};

struct work_ring;
int work_ring_new(const struct work_ring_options *o, struct work_ring **out, struct error *err);
void work_ring_free(struct work_ring *q); /* ends the workers, whatever they do */
CLEANUP_DEFINE(work_ring, struct work_ring, work_ring_free);

/* The next event to be filled in, zeroed but for memory of `bytes`; work_ring_push() hands it over. */
int work_ring_event(struct work_ring *q, struct work_event **out, struct error *err);
int work_ring_push(struct work_ring *q, struct work_event *event, struct error *err);

int work_ring_drain(struct work_ring *q, struct error *err);  /* until all events were taken */
int work_ring_finish(struct work_ring *q, struct error *err); /* the same, and ends the workers */

/* ---- places ---- */

/* The descriptor is the callee's, also where this fails (NULL). */
struct work_place *work_place_new(struct work_ring *q, int fd, struct error *err);
void work_place_use(struct work_place *p);
void work_place_drop(struct work_ring *q, struct work_place *p); /* NULL is fine */
bool work_places_full(const struct work_ring *q);                /* drain before there are more */
