/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the server have in common. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "vfs/fuse/session.h"
#include "vfs/virtiofs/queue.h"

struct virtiofs_server {
	int fd;     /* to QEMU */
	int events; /* epoll: kicks (edge-triggered, so that each wakes one worker), wake and end */
	int wake;   /* eventfd: a worker should look at all queues */
	int end;    /* eventfd: no worker should go on */
	unsigned threads;

	/* The front end's. */
	uint64_t features, protocol;
	struct guest_memory *memory;
	struct queue queues[VIRTIOFS_QUEUES_MAX];
	unsigned prepared; /* queues that are there */

	/* The session lasts from one FUSE_INIT to the next, which replaces it under the writers' lock. */
	pthread_rwlock_t lock;
	struct fuse_options options;
	struct fuse_session_data data;
	struct fuse_session *session;
	bool greeted; /* it has had its FUSE_INIT */
};

/* What events tell: the queue's index, or one of these. */
enum { EVENT_WAKE = VIRTIOFS_QUEUES_MAX, EVENT_END };

void virtiofs_wake(struct virtiofs_server *s); /* a worker */

/* Takes one message of QEMU's and does what it says: 1; 0 at the end; INVALID. */
int front_end_serve(struct virtiofs_server *s, struct error *err);

/* Serves requests. */
struct worker;
struct worker *worker_new(struct virtiofs_server *s); /* NULL: no memory */
void worker_free(struct worker *w);
void worker_look(struct worker *w); /* once, what waits in any queue */
void *worker_run(void *worker);     /* until the end: a thread */
