/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side of the virtiofs server, as QEMU and a guest's driver are it: memory in a file, queues in it,
 * and the messages of vhost-user. Tests take it apart: each part of the memory can be written as one likes.
 */
#pragma once

#include <linux/virtio_ring.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfs/virtiofs/vhost_user.h"

#define FRONT_QUEUES     2u                    /* 0: for urgent requests */
#define FRONT_QUEUE_SIZE 256u                  /* of each */
#define FRONT_SLOTS      16u                   /* requests at once */
#define FRONT_SLOT_BYTES ((1u << 20) + 65536u) /* of a request, and as many of its answer */

#define FRONT_GUEST 0x40000000ull     /* where the memory is for the guest: two regions, side by side */
#define FRONT_USER  0x7f0000000000ull /* and for QEMU: apart */
#define FRONT_APART 0x10000000000ull
#define FRONT_RINGS (1u << 20)                                         /* bytes before the slots */
#define FRONT_FIRST (FRONT_RINGS + 4096u)                              /* bytes in the first region */
#define FRONT_BYTES (FRONT_RINGS + FRONT_SLOTS * 2 * FRONT_SLOT_BYTES) /* in both */

struct front_slot {
	bool taken, done;
	uint8_t *request, *answer; /* FRONT_SLOT_BYTES each */
	uint32_t used;             /* what the device says that it wrote */
};

struct front_queue {
	struct vring_desc *descriptors;
	struct vring_avail *available;
	struct vring_used *used;
	uint16_t seen; /* of used */
	int kick, call, error;
};

struct front {
	int fd, memory_fd;
	uint8_t *memory;
	struct front_queue queues[FRONT_QUEUES];
	struct front_slot slots[FRONT_SLOTS];
	unsigned next; /* slot: each makes chains of another form */
	pthread_mutex_t lock;
	pthread_cond_t change;
	pthread_t reaper;
	bool reaps;
	int end; /* eventfd: the reaper's */
};

/* ---- messages --------------------------------------------------------------------------------------- */

void front_send(
	struct front *f, uint32_t request, const void *payload, uint32_t size, const int *fds, int count);
void front_send_number(struct front *f, uint32_t request, uint64_t number);
void front_send_state(struct front *f, uint32_t request, uint32_t index, uint32_t number);
/* Sends it and takes the answer; false where the connection is closed instead. */
bool front_ask(
	struct front *f, uint32_t request, const void *payload, uint32_t size, void *answer, uint32_t room);
uint64_t front_ask_number(struct front *f, uint32_t request);
bool front_is_closed(struct front *f); /* waits for it, or for a sign of life */

/* ---- the whole -------------------------------------------------------------------------------------- */

/* Makes memory and queues; says nothing yet. fd is its own from now on. */
void front_make(struct front *f, int fd);
void front_free(struct front *f);

void front_greet(struct front *f);                       /* features */
struct vhost_table front_table(void);                    /* the memory's two regions */
void front_share(struct front *f);                       /* SET_MEM_TABLE */
void front_start_queue(struct front *f, uint32_t index); /* until it is enabled */
void front_reap(struct front *f);                        /* a thread for what comes back */
void front_start(struct front *f, int fd);               /* all of it */

/* ---- requests --------------------------------------------------------------------------------------- */

uint64_t front_address(const struct front *f, const void *p); /* the guest's */
struct front_slot *front_take(struct front *f);               /* waits for a free one */
void front_give(struct front *f, struct front_slot *s);
/* The slot's bytes as a chain of several descriptors, or as an indirect table; waits for its end. */
void front_submit(struct front *f, uint32_t queue, struct front_slot *s, uint32_t request, uint32_t answer);

/* Puts a chain's head into the queue as it is, and kicks. */
void front_offer(struct front *f, uint32_t queue, uint16_t head);
void front_kick(struct front *f, uint32_t queue);
