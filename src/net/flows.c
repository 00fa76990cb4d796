/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows stand in one array. Each is in a bucket (to be found), in a slot of a wheel of seconds (to end), and
 * in one of two rings of its sandbox (to be pushed out): the weak, in order of coming there, and the strong,
 * which a clock hand goes round. All links are indexes; 0 is none.
 *
 * A packet only notes its time. When a flow's slot is due, the flow ends or moves to the slot of its true
 * end.
 */
#include "net/flows.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/siphash.h"

#define WHEEL_SLOTS 8192u /* more than the longest time */

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };
enum { SEEN_OPENER = 1, SEEN_OTHER = 2, FIN_OUT = 4, FIN_IN = 8 };
enum ring { RING_WEAK, RING_STRONG, RINGS };

struct holder {
	uint32_t first[RINGS]; /* WEAK: the oldest; STRONG: where the hand is */
	uint32_t count;
};

struct flows {
	uint64_t seed[2];
	flows_gone *gone;
	void *context;
	size_t capacity, used, count; /* used: of the array; the free ones among them are chained */
	uint32_t sandboxes, free;
	uint32_t bucket_mask;
	uint32_t second; /* the wheel's */
	uint32_t *buckets;
	struct holder *holders;
	struct flow *all;
	uint32_t wheel[WHEEL_SLOTS];
};

static const struct {
	const char *name;
	uint32_t seconds;
	enum ring ring;
} states[] = {
#define X(name, text, seconds, ring) [FLOW_##name] = {text, seconds, RING_##ring},
	FLOW_STATES(X)
#undef X
};

const char *flow_state_name(enum flow_state state)
{
	return states[state].name;
}

int flows_new(size_t capacity, uint32_t sandboxes, const uint64_t seed[2], flows_gone *gone, void *context,
	struct flows **out, struct error *err)
{
	uint32_t buckets = 1;
	struct flows *f;

	if (!sandboxes || capacity < sandboxes || capacity > UINT32_MAX / 4)
		return error_set(err, ERROR_INVALID, "a table of %zu flows cannot serve %u sandboxes",
			capacity, sandboxes);
	while (buckets < capacity)
		buckets *= 2;
	f = calloc(1, sizeof *f);
	if (!f)
		return error_no_memory(err, "make a table of flows");
	memcpy(f->seed, seed, sizeof f->seed);
	f->gone = gone;
	f->context = context;
	f->capacity = capacity;
	f->sandboxes = sandboxes;
	f->bucket_mask = buckets - 1;
	f->buckets = calloc(buckets, sizeof *f->buckets);
	f->holders = calloc(sandboxes, sizeof *f->holders);
	f->all = calloc(capacity + 1, sizeof *f->all);
	if (!f->buckets || !f->holders || !f->all) {
		flows_free(f);
		return error_no_memory(err, "make a table of flows");
	}
	*out = f;
	return 0;
}

void flows_free(struct flows *f)
{
	if (!f)
		return;
	free(f->buckets);
	free(f->holders);
	free(f->all);
	free(f);
}

size_t flows_count(const struct flows *f)
{
	return f->count;
}

size_t flows_count_sandbox(const struct flows *f, uint32_t sandbox)
{
	return f->holders[sandbox].count;
}

static uint32_t *bucket_of(struct flows *f, const struct flow_key *k)
{
	return &f->buckets[siphash(f->seed, k, sizeof *k) & f->bucket_mask];
}

static uint32_t index_of(const struct flows *f, const struct flow *flow)
{
	return (uint32_t)(flow - f->all);
}

struct flow *flows_find(struct flows *f, const struct flow_key *k)
{
	for (uint32_t i = *bucket_of(f, k); i; i = f->all[i].next)
		if (!memcmp(&f->all[i].key, k, sizeof *k))
			return &f->all[i];
	return NULL;
}

/* Rings. The newest stands before the first. */
static void enter_ring(struct flows *f, struct flow *flow)
{
	uint32_t *first = &f->holders[flow->key.sandbox].first[states[flow->state].ring],
		 i = index_of(f, flow);

	if (!*first) {
		*first = flow->ring_next = flow->ring_prev = i;
		return;
	}
	flow->ring_next = *first;
	flow->ring_prev = f->all[*first].ring_prev;
	f->all[flow->ring_prev].ring_next = i;
	f->all[*first].ring_prev = i;
}

static void leave_ring(struct flows *f, struct flow *flow)
{
	uint32_t *first = &f->holders[flow->key.sandbox].first[states[flow->state].ring],
		 i = index_of(f, flow);

	f->all[flow->ring_prev].ring_next = flow->ring_next;
	f->all[flow->ring_next].ring_prev = flow->ring_prev;
	if (*first == i)
		*first = flow->ring_next == i ? 0 : flow->ring_next;
}

static uint64_t ends_at(const struct flow *flow)
{
	return flow->last + states[flow->state].seconds * NANOSECONDS_PER_SECOND;
}

/* The wheel. A flow stands in the slot of the first whole second at which its time is over, or earlier. */
static void enter_wheel(struct flows *f, struct flow *flow)
{
	uint32_t second = (uint32_t)(ends_at(flow) / NANOSECONDS_PER_SECOND) + 1, i = index_of(f, flow),
		 *slot;

	flow->second = second > f->second ? second : f->second + 1;
	slot = &f->wheel[flow->second % WHEEL_SLOTS];
	flow->wheel_prev = 0;
	flow->wheel_next = *slot;
	if (*slot)
		f->all[*slot].wheel_prev = i;
	*slot = i;
}

static void leave_wheel(struct flows *f, struct flow *flow)
{
	if (flow->wheel_prev)
		f->all[flow->wheel_prev].wheel_next = flow->wheel_next;
	else
		f->wheel[flow->second % WHEEL_SLOTS] = flow->wheel_next;
	if (flow->wheel_next)
		f->all[flow->wheel_next].wheel_prev = flow->wheel_prev;
}

void flows_remove(struct flows *f, struct flow *flow)
{
	uint32_t i = index_of(f, flow), *at = bucket_of(f, &flow->key);

	if (f->gone)
		f->gone(f->context, flow);
	while (*at != i)
		at = &f->all[*at].next;
	*at = flow->next;
	leave_ring(f, flow);
	leave_wheel(f, flow);
	f->holders[flow->key.sandbox].count--;
	f->count--;
	flow->next = f->free;
	f->free = i;
}

/* The flow of this sandbox that is missed least. The hand passes by those that were used since it last came.
 */
static struct flow *find_weakest(struct flows *f, uint32_t sandbox)
{
	struct holder *h = &f->holders[sandbox];
	uint32_t *hand = &h->first[RING_STRONG];

	if (h->first[RING_WEAK])
		return &f->all[h->first[RING_WEAK]];
	for (; f->all[*hand].touched; *hand = f->all[*hand].ring_next)
		f->all[*hand].touched = false;
	return &f->all[*hand];
}

/* Of those that have most, the one who asks where he is among them. */
static uint32_t find_greediest(const struct flows *f, uint32_t asking)
{
	uint32_t most = asking;

	for (uint32_t i = 0; i < f->sandboxes; i++)
		if (f->holders[i].count > f->holders[most].count)
			most = i;
	return most;
}

/* A free place, made where there is none. */
static struct flow *take(struct flows *f, uint32_t sandbox)
{
	uint32_t i;

	if (f->holders[sandbox].count >= FLOWS_PER_SANDBOX)
		flows_remove(f, find_weakest(f, sandbox));
	else if (f->count == f->capacity)
		flows_remove(f, find_weakest(f, find_greediest(f, sandbox)));
	if (!f->free)
		return &f->all[++f->used];
	i = f->free;
	f->free = f->all[i].next;
	return &f->all[i];
}

static enum flow_state first_state(uint8_t protocol)
{
	return protocol == IPPROTO_TCP   ? FLOW_TCP_OPENING
	       : protocol == IPPROTO_UDP ? FLOW_UDP_SENT
					 : FLOW_ICMP;
}

struct flow *flows_add(struct flows *f, const struct flow_key *k, bool inbound, uint64_t now)
{
	struct flow *flow;
	uint32_t *bucket;

	flow = take(f, k->sandbox);
	bucket = bucket_of(f, k);
	*flow = (struct flow){.key = *k,
		.began = now,
		.last = now,
		.state = first_state(k->protocol),
		.inbound = inbound,
		.next = *bucket};
	*bucket = index_of(f, flow);
	enter_ring(f, flow);
	enter_wheel(f, flow);
	f->holders[k->sandbox].count++;
	f->count++;
	return flow;
}

static bool from_opener(const struct flow *flow, enum flow_direction direction)
{
	return flow->inbound == (direction == FLOW_IN);
}

static enum flow_state next_tcp(struct flow *flow, enum flow_direction direction, uint8_t flags)
{
	const uint8_t fins = FIN_OUT | FIN_IN, both = SEEN_OPENER | SEEN_OTHER;

	if (flags & TCP_FIN)
		flow->seen |= direction == FLOW_OUT ? FIN_OUT : FIN_IN;
	if (!from_opener(flow, direction))
		flow->seen |= SEEN_OTHER;
	else if (flags & TCP_ACK)
		flow->seen |= SEEN_OPENER;
	if (flow->state == FLOW_TCP_CLOSING || (flags & TCP_RST) || (flow->seen & fins) == fins)
		return FLOW_TCP_CLOSING;
	return (flow->seen & both) == both ? FLOW_TCP_OPEN : FLOW_TCP_OPENING;
}

static enum flow_state next_state(struct flow *flow, enum flow_direction direction, uint8_t tcp_flags)
{
	switch (flow->state) {
	case FLOW_TCP_OPENING:
	case FLOW_TCP_OPEN:
	case FLOW_TCP_CLOSING:
		return next_tcp(flow, direction, tcp_flags);
	case FLOW_UDP_SENT:
		return from_opener(flow, direction) ? FLOW_UDP_SENT : FLOW_UDP_ANSWERED;
	case FLOW_UDP_ANSWERED:
	case FLOW_ICMP:
		break;
	}
	return flow->state;
}

/* A shorter time has to be in the wheel at once; a longer one is seen when the slot is due. */
static void set_state(struct flows *f, struct flow *flow, enum flow_state state)
{
	leave_ring(f, flow);
	flow->state = state;
	enter_ring(f, flow);
	if (ends_at(flow) / NANOSECONDS_PER_SECOND + 1 < flow->second) {
		leave_wheel(f, flow);
		enter_wheel(f, flow);
	}
}

void flows_packet(struct flows *f, struct flow *flow, enum flow_direction direction, uint8_t tcp_flags,
	size_t n, uint64_t now)
{
	enum flow_state state = next_state(flow, direction, tcp_flags);

	flow->last = now;
	flow->touched = true;
	flow->packets[direction]++;
	flow->bytes[direction] += n;
	if (state != flow->state)
		set_state(f, flow, state);
}

bool flow_opens_anew(const struct flow *flow, enum flow_direction direction, uint8_t tcp_flags)
{
	if (flow->key.protocol != IPPROTO_TCP || (tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return false;
	return !from_opener(flow, direction) || flow->state != FLOW_TCP_OPENING;
}

void flows_remove_sandbox(struct flows *f, uint32_t sandbox)
{
	struct holder *h = &f->holders[sandbox];

	for (int ring = 0; ring < RINGS; ring++)
		while (h->first[ring])
			flows_remove(f, &f->all[h->first[ring]]);
}

/* Each flow of the slot ends, or goes to a later one. */
static void turn(struct flows *f, uint32_t second, uint64_t now)
{
	uint32_t next;

	for (uint32_t i = f->wheel[second % WHEEL_SLOTS]; i; i = next) {
		struct flow *flow = &f->all[i];

		next = flow->wheel_next;
		if (ends_at(flow) <= now) {
			flows_remove(f, flow);
		} else if (flow->second <= second) {
			leave_wheel(f, flow);
			enter_wheel(f, flow);
		}
	}
}

uint64_t flows_expire(struct flows *f, uint64_t now)
{
	uint32_t second = (uint32_t)(now / NANOSECONDS_PER_SECOND), from = f->second;

	/* From here on flows enter slots behind `second` only. */
	if (second > f->second)
		f->second = second;
	if (second > from + WHEEL_SLOTS)
		from = second - WHEEL_SLOTS;
	while (f->count && from < second)
		turn(f, ++from, now);
	for (uint32_t i = 1; f->count && i <= WHEEL_SLOTS; i++)
		if (f->wheel[(f->second + i) % WHEEL_SLOTS])
			return (f->second + (uint64_t)i) * NANOSECONDS_PER_SECOND;
	return UINT64_MAX;
}

const struct flow *flows_next(const struct flows *f, uint32_t sandbox, const struct flow *after)
{
	const struct holder *h = &f->holders[sandbox];
	uint32_t strong = h->first[RING_STRONG], weak = h->first[RING_WEAK];
	enum ring ring;

	if (!after)
		return strong || weak ? &f->all[strong ? strong : weak] : NULL;
	ring = states[after->state].ring;
	if (after->ring_next != h->first[ring])
		return &f->all[after->ring_next];
	return ring == RING_STRONG && weak ? &f->all[weak] : NULL;
}
