/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of the device: what QEMU has said of it, in any order, and the ring, once all is said. Its lock
 * covers all of it; requests are served without.
 */
#pragma once

#include <pthread.h>

#include "vfs/virtiofs/ring.h"

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t rest; /* nothing is under way any more */

	uint32_t size; /* 0: not said yet, as an address of 0 */
	struct vhost_addresses addresses;
	bool started, enabled;
	int kick, call, error; /* descriptors, or -1 */
	int events;            /* epoll, which kicks wake */
	uint32_t event;        /* what it then tells */

	struct guest_memory *memory; /* that the ring lies in; NULL: it is not found yet */
	struct ring ring;
	bool fresh;  /* the place in used is still to be read */
	bool broken; /* until it is stopped */
};

/* A chain that is being served, and the memory that it lies in. */
struct job {
	struct chain chain;
	struct guest_memory *memory;
};

int queue_prepare(struct queue *q, int events, uint32_t event); /* 0, or -1 */
void queue_release(struct queue *q);

/* Waits for kicks on fd, which is the queue's from now on; -1: on none. -1 with errno. */
int queue_listen(struct queue *q, int fd);

/* Finds the ring, once all is said. -1: it does not lie in the memory. The caller has the lock. */
int queue_place(struct queue *q, struct guest_memory *memory, bool indirect);

/* Waits for what is under way, and stops. The place in the ring that would have come next. */
uint16_t queue_stop(struct queue *q);

/* The next job: 1, and *more is whether there is another one; 0. */
int queue_take(struct queue *q, struct job *job, bool *more);
void queue_give(struct queue *q, struct job *job, uint32_t written);
