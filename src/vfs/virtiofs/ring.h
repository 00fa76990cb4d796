/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A split virtqueue (VIRTIO 1.2, section 2.7) as the device sees it, over memory that the driver changes
 * meanwhile: whatever it does, what is given out lies in that memory, and a loop ends.
 */
#pragma once

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfs/virtiofs/guest_memory.h"
#include "vfs/virtiofs/virtiofs.h"

/* Descriptors of a chain at most, with those of an indirect table; a few more vectors, as a buffer may lie in
 * several regions. */
#define CHAIN_DESCRIPTORS_MAX VIRTIOFS_QUEUE_SIZE_MAX
#define CHAIN_VECTORS_MAX     (CHAIN_DESCRIPTORS_MAX + VHOST_REGIONS_MAX)

struct chain {
	uint16_t head;
	unsigned readable, writable; /* vectors: the request's, then those for the answer */
	uint64_t readable_bytes, writable_bytes;
	struct iovec vectors[CHAIN_VECTORS_MAX];
};

struct ring {
	uint16_t size; /* a power of two, at most VIRTIOFS_QUEUE_SIZE_MAX */
	bool indirect; /* VIRTIO_RING_F_INDIRECT_DESC */
	const struct vring_desc *descriptors;
	const struct vring_avail *available;
	struct vring_used *used;
	uint16_t next;      /* the place in available that comes next */
	uint16_t next_used; /* and in used */
	uint16_t out;       /* chains that are taken and not given back */
};

/* Finds the ring's three parts by QEMU's addresses. -1: one does not lie in the memory, or crooked. */
int ring_place(struct ring *r, const struct guest_memory *m, const struct vhost_addresses *a);

/* Takes the next chain: 1; 0 where there is none; -1 where the ring or the chain makes no sense. */
int ring_take(struct ring *r, const struct guest_memory *m, struct chain *c);
bool ring_has_more(const struct ring *r);

/* Gives a chain back, with so many bytes of answer. */
void ring_give(struct ring *r, uint16_t head, uint32_t written);
bool ring_wants_call(const struct ring *r);
