/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/virtiofs/ring.h"

#include <stdatomic.h>
#include <string.h>

/* The numbers are little-endian, as we are. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the ring's numbers are read as they are");

static uint16_t read_u16(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

int ring_place(struct ring *r, const struct guest_memory *m, const struct vhost_addresses *a)
{
	/* Both rings have a number behind them for a feature that we do not offer. */
	size_t available = sizeof *r->available + (r->size + 1u) * sizeof(uint16_t);
	size_t used = sizeof *r->used + r->size * sizeof(struct vring_used_elem) + sizeof(uint16_t);

	r->descriptors = guest_memory_at_user(m, a->descriptors, r->size * sizeof *r->descriptors);
	r->available = guest_memory_at_user(m, a->available, available);
	r->used = guest_memory_at_user(m, a->used, used);
	if (!r->descriptors || !r->available || !r->used)
		return -1;
	/* Places of mappings are as crooked as the region's offset in its file. */
	return (uintptr_t)r->descriptors % VRING_DESC_ALIGN_SIZE ||
			       (uintptr_t)r->available % VRING_AVAIL_ALIGN_SIZE ||
			       (uintptr_t)r->used % VRING_USED_ALIGN_SIZE
		       ? -1
		       : 0;
}

/* How many chains wait; more than the ring holds where the driver's index makes no sense. */
static uint16_t waiting(const struct ring *r)
{
	return (uint16_t)(read_u16(&r->available->idx) - r->next);
}

bool ring_has_more(const struct ring *r)
{
	return waiting(r) > 0;
}

/* ---- chains ----------------------------------------------------------------------------------------- */

struct table {
	const uint8_t *bytes;
	uint32_t count;
};

/* The only look at a descriptor: whoever changes it later changes nothing. */
static struct vring_desc read_descriptor(const struct table *t, uint32_t i)
{
	struct vring_desc d;

	memcpy(&d, t->bytes + (size_t)i * sizeof d, sizeof d);
	__asm__ volatile("" ::: "memory"); /* no second read instead of the copy */
	return d;
}

static int add(struct chain *c, const struct guest_memory *m, const struct vring_desc *d)
{
	if (d->flags & VRING_DESC_F_WRITE) {
		c->writable_bytes += d->len;
		return guest_memory_vectors(m, d->addr, d->len, c->vectors + c->readable, &c->writable,
			CHAIN_VECTORS_MAX - c->readable);
	}
	if (c->writable_bytes)
		return -1;
	c->readable_bytes += d->len;
	return guest_memory_vectors(m, d->addr, d->len, c->vectors, &c->readable, CHAIN_VECTORS_MAX);
}

static int enter(struct table *t, const struct guest_memory *m, const struct vring_desc *d)
{
	uint32_t count = (uint32_t)(d->len / sizeof *d);

	if (d->flags & VRING_DESC_F_NEXT || d->len % sizeof *d || count > CHAIN_DESCRIPTORS_MAX)
		return -1;
	*t = (struct table){guest_memory_at(m, d->addr, d->len), count};
	return t->bytes ? 0 : -1;
}

static int walk(const struct ring *r, const struct guest_memory *m, uint32_t i, struct chain *c)
{
	struct table t = {(const uint8_t *)r->descriptors, r->size};
	bool may_enter = r->indirect;

	c->readable = c->writable = 0;
	c->readable_bytes = c->writable_bytes = 0;
	for (unsigned n = 0; n < CHAIN_DESCRIPTORS_MAX; n++) {
		struct vring_desc d;

		if (i >= t.count)
			return -1;
		d = read_descriptor(&t, i);
		i = d.next;
		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (!may_enter || enter(&t, m, &d) < 0)
				return -1;
			may_enter = false;
			i = 0;
			continue;
		}
		if (add(c, m, &d) < 0)
			return -1;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
	}
	return -1; /* a loop */
}

int ring_take(struct ring *r, const struct guest_memory *m, struct chain *c)
{
	uint16_t n = waiting(r);

	if (n == 0)
		return 0;
	/* What is under way and what waits have descriptors of their own. */
	if (n > r->size || r->out >= r->size)
		return -1;
	c->head = read_u16(&r->available->ring[r->next & (r->size - 1)]);
	if (walk(r, m, c->head, c) < 0)
		return -1;
	r->next++;
	r->out++;
	return 1;
}

/* ---- answers ---------------------------------------------------------------------------------------- */

void ring_give(struct ring *r, uint16_t head, uint32_t written)
{
	struct vring_used_elem *e = &r->used->ring[r->next_used & (r->size - 1)];

	e->id = head;
	e->len = written;
	r->next_used++;
	r->out--;
	__atomic_store_n(&r->used->idx, r->next_used, __ATOMIC_RELEASE);
}

bool ring_wants_call(const struct ring *r)
{
	atomic_thread_fence(memory_order_seq_cst); /* the flag is looked at when the index can be seen */
	return !(read_u16(&r->available->flags) & VRING_AVAIL_F_NO_INTERRUPT);
}
