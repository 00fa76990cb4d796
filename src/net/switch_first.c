/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First flights: a connection that is allowed to certain names only may shake hands, and then its first bytes
 * are held until they say whom it is for.
 *
 * What counts as its beginning is what the other side acknowledged in its SYN, not what the guest claims.
 * From there only bytes without a gap count; a segment that says other bytes where some are held is dropped,
 * and so are urgent ones, which would leave the stream at the other side. The guest sends again what was
 * dropped.
 *
 *   no flight   the handshake is not answered; data is dropped
 *   held        bytes are there, or awaited; nothing of the other side's data passes either
 *   judged      they were let through; until the other side has acknowledged them, nothing that differs may
 *               take their place: it might have refused the first segments for reasons that we do not see
 *
 * Bounded: the bytes of a flight by what first_flight.h looks at, its segments, all that a port holds, and
 * the time from the first byte.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "codec/first_flight.h"
#include "net/switch_parts.h"

#define FLIGHT_TIME     (10 * NANOSECONDS_PER_SECOND)
#define FLIGHT_SEGMENTS 64
#define PORT_HELD_MOST  1048576u

struct held {
	struct held *next;
	size_t size;
	uint8_t frame[];
};

struct flight {
	struct flow_key key;
	uint32_t number;
	uint32_t base; /* sequence of its first byte, and of the other side's */
	uint32_t other;
	bool answered, judged, listed;
	uint64_t deadline;
	struct flight *older, *newer;
	uint8_t *bytes; /* FIRST_FLIGHT_MOST; NULL: none yet */
	size_t size;
	size_t charged; /* to the port */
	unsigned segments;
	struct held *first, **last;
};

static struct flight *flight_of(const struct net_switch *sw, const struct flow *flow)
{
	return flow->held ? sw->flights[flow->held - 1] : NULL;
}

static struct switch_port *port_of(const struct net_switch *sw, const struct flight *f)
{
	return sw->ports[f->key.sandbox];
}

static void unlist(struct net_switch *sw, struct flight *f)
{
	if (!f->listed)
		return;
	*(f->older ? &f->older->newer : &sw->oldest) = f->newer;
	*(f->newer ? &f->newer->older : &sw->newest) = f->older;
	f->listed = false;
}

/* Limits its time anew. All have the same, so the list stays in order. */
static void limit(struct net_switch *sw, struct flight *f, uint64_t now)
{
	unlist(sw, f);
	f->deadline = now + FLIGHT_TIME;
	f->older = sw->newest;
	f->newer = NULL;
	*(sw->newest ? &sw->newest->newer : &sw->oldest) = f;
	sw->newest = f;
	f->listed = true;
}

static void held_free(struct held *h)
{
	while (h) {
		struct held *next = h->next;

		free(h);
		h = next;
	}
}

/* Hands out the segments that are held. */
static struct held *take_segments(struct flight *f)
{
	struct held *h = f->first;

	f->first = NULL;
	f->last = &f->first;
	return h;
}

static void forget_bytes(struct net_switch *sw, struct flight *f)
{
	unlist(sw, f);
	held_free(take_segments(f));
	free(f->bytes);
	f->bytes = NULL;
	port_of(sw, f)->held -= (uint32_t)f->charged;
	f->size = f->charged = f->segments = 0;
}

/* As it was before a SYN. */
static void flight_clear(struct net_switch *sw, struct flight *f)
{
	forget_bytes(sw, f);
	f->answered = f->judged = false;
}

void first_gone(void *context, struct flow *flow)
{
	struct net_switch *sw = context;
	struct flight *f = flight_of(sw, flow);

	if (!f)
		return;
	flight_clear(sw, f);
	sw->flights[f->number] = NULL;
	sw->flights_unused[sw->flights_unused_count++] = f->number;
	free(f);
	flow->held = 0;
}

static bool grow(struct net_switch *sw)
{
	size_t n = sw->flight_capacity ? 2 * sw->flight_capacity : 64;
	struct flight **flights = realloc(sw->flights, n * sizeof *flights);
	uint32_t *unused;

	if (!flights)
		return false;
	sw->flights = flights;
	unused = realloc(sw->flights_unused, n * sizeof *unused);
	if (!unused)
		return false;
	sw->flights_unused = unused;
	for (size_t i = n; i-- > sw->flight_capacity;) {
		flights[i] = NULL;
		unused[sw->flights_unused_count++] = (uint32_t)i;
	}
	sw->flight_capacity = n;
	return true;
}

static struct flight *flight_new(struct net_switch *sw, struct flow *flow)
{
	struct flight *f;

	if (!sw->flights_unused_count && !grow(sw))
		return NULL;
	f = calloc(1, sizeof *f);
	if (!f)
		return NULL;
	f->key = flow->key;
	f->last = &f->first;
	f->number = sw->flights_unused[--sw->flights_unused_count];
	sw->flights[f->number] = f;
	flow->held = f->number + 1;
	return f;
}

bool first_expected(const struct net_switch *sw, const struct flow *flow, uint32_t *sequence)
{
	const struct flight *f = flight_of(sw, flow);

	if (!f || f->judged)
		return false;
	*sequence = f->base;
	return true;
}

/* Whether a segment says nothing else than what the flight has where the two overlap. */
static bool agrees(const struct flight *f, const struct packet *p)
{
	int64_t begin = (int32_t)(p->sequence - f->base), end = begin + (int64_t)p->data_size;
	int64_t from = begin > 0 ? begin : 0, to = end < (int64_t)f->size ? end : (int64_t)f->size;

	if (from >= to)
		return true;
	return !(p->tcp_flags & PACKET_URG) &&
	       memcmp(f->bytes + from, p->frame + p->data_at + (from - begin), (size_t)(to - from)) == 0;
}

/* A segment that goes on where the bytes end, or says some of them once more. */
static bool acceptable(const struct flight *f, const struct packet *p)
{
	uint32_t at = p->sequence - f->base;

	if (at > f->size || p->tcp_flags & (PACKET_URG | PACKET_SYN | PACKET_RST))
		return false;
	return agrees(f, p) && (!(p->tcp_flags & PACKET_FIN) || at + p->data_size >= f->size);
}

/* The bytes that go on; no more than are ever looked at. */
static bool append(struct net_switch *sw, struct flight *f, const struct packet *p)
{
	size_t at = p->sequence - f->base, known = f->size - at, more;

	if (at + p->data_size <= f->size)
		return true;
	if (!f->bytes) {
		struct switch_port *port = port_of(sw, f);

		f->bytes =
			port->held + FIRST_FLIGHT_MOST <= PORT_HELD_MOST ? malloc(FIRST_FLIGHT_MOST) : NULL;
		if (!f->bytes)
			return false;
		f->charged += FIRST_FLIGHT_MOST;
		port->held += FIRST_FLIGHT_MOST;
	}
	more = p->data_size - known;
	if (more > FIRST_FLIGHT_MOST - f->size)
		more = FIRST_FLIGHT_MOST - f->size;
	memcpy(f->bytes + f->size, p->frame + p->data_at + known, more);
	f->size += more;
	return true;
}

static bool keep(struct net_switch *sw, struct flight *f, const struct packet *p)
{
	struct switch_port *port = port_of(sw, f);
	struct held *h;

	if (port->held + p->size > PORT_HELD_MOST)
		return false;
	h = malloc(sizeof *h + p->size);
	if (!h)
		return false;
	h->next = NULL;
	h->size = p->size;
	memcpy(h->frame, p->frame, p->size);
	*f->last = h;
	f->last = &h->next;
	f->charged += p->size;
	port->held += (uint32_t)p->size;
	return true;
}

static void send_segments(struct net_switch *sw, struct held *h)
{
	for (struct held *at = h; at; at = at->next)
		sw->calls.egress(sw->context, at->frame, at->size);
	held_free(h);
}

void first_release(struct net_switch *sw, struct flow *flow)
{
	struct flight *f = flight_of(sw, flow);
	struct held *h;

	if (!f)
		return;
	h = take_segments(f);
	first_gone(sw, flow);
	send_segments(sw, h);
}

/* The name is known, or that there is none. True: the packet, the last that it took, passes. */
static bool judge(struct net_switch *sw, struct passage *way, struct flight *f, enum first_flight said,
	const char *name)
{
	struct switch_port *owner = way->owner;
	struct flow *flow = way->flow;
	struct verdict v;

	if (said != FIRST_FLIGHT_NAME)
		name = NULL;
	v = policy_judge_name(&owner->policy, &sw->surroundings, owner->learnt, &flow->key, name,
		said == FIRST_FLIGHT_ENCRYPTED, way->now);
	if (v.kind == VERDICT_DENY) {
		deny_flow(sw, way, &v, name);
		return false;
	}
	flow->verdict = v;
	flow->name = name ? learnt_fingerprint(owner->learnt, name) : 0;
	f->judged = true;
	limit(sw, f, way->now);
	tell_verdict(sw, owner, &flow->key, &v, name, way->now);
	send_segments(sw, take_segments(f));
	return true;
}

/* Data or FIN of a flow that is not judged. */
static bool hold(struct net_switch *sw, struct passage *way, struct flight *f)
{
	char name[FIRST_FLIGHT_NAME_SIZE] = "";
	const struct packet *p = &way->p;
	size_t before = f->size;
	enum first_flight said;

	if (!acceptable(f, p) || !append(sw, f, p)) {
		drop(way->owner, SWITCH_DROP_HELD);
		return false;
	}
	if (f->size == before && !(p->tcp_flags & PACKET_FIN))
		return false;
	if (!f->listed)
		limit(sw, f, way->now);
	said = first_flight_read(f->bytes, f->size, name);
	if (said == FIRST_FLIGHT_NEED_MORE && f->segments < FLIGHT_SEGMENTS && !(p->tcp_flags & PACKET_FIN)) {
		f->segments++;
		if (keep(sw, f, p))
			return false;
		f->size = before;
		drop(way->owner, SWITCH_DROP_HELD);
		return false;
	}
	return judge(sw, way, f, said, name);
}

/* A connection that is closed without a byte says nothing to anybody. */
static bool ends_empty(const struct flight *f, const struct packet *p)
{
	return f && f->size == 0 && p->sequence == f->base;
}

/* The guest's SYN. One with another sequence is another connection to whoever takes it. */
static bool opens(struct net_switch *sw, struct passage *way, struct flight *f)
{
	uint32_t base = way->p.sequence + 1;

	if (way->p.data_size) {
		drop(way->owner, SWITCH_DROP_HELD);
		return false;
	}
	if (f && f->base == base)
		return true;
	if (!f)
		f = flight_new(sw, way->flow);
	if (!f) {
		drop(way->owner, SWITCH_DROP_NO_MEMORY);
		return false;
	}
	flight_clear(sw, f);
	f->base = base;
	return true;
}

bool first_from_guest(struct net_switch *sw, struct passage *way)
{
	struct flight *f = flight_of(sw, way->flow);
	const struct packet *p = &way->p;

	if (p->tcp_flags & PACKET_SYN)
		return opens(sw, way, f);
	if (f && f->judged) {
		if (agrees(f, p))
			return true;
		drop(way->owner, SWITCH_DROP_HELD);
		return false;
	}
	if (f && p->tcp_flags & PACKET_RST)
		forget_bytes(sw, f);
	if (!p->data_size && (!(p->tcp_flags & PACKET_FIN) || ends_empty(f, p)))
		return true;
	if (f && f->answered)
		return hold(sw, way, f);
	drop(way->owner, SWITCH_DROP_HELD);
	return false;
}

/* The other side's SYN. */
static bool answers(struct passage *way, struct flight *f)
{
	if (!f || f->base != way->p.acknowledgement) {
		drop(way->owner, SWITCH_DROP_HELD);
		return false;
	}
	f->answered = true;
	f->other = way->p.sequence + 1;
	return true;
}

bool first_from_egress(struct net_switch *sw, struct passage *way)
{
	struct flight *f = flight_of(sw, way->flow);
	const struct packet *p = &way->p;

	if ((p->tcp_flags & (PACKET_SYN | PACKET_ACK)) == (PACKET_SYN | PACKET_ACK))
		return answers(way, f);
	if (f && f->judged) {
		if (p->tcp_flags & PACKET_ACK &&
			(int32_t)(p->acknowledgement - f->base - (uint32_t)f->size) >= 0)
			first_gone(sw, way->flow);
		return true;
	}
	if (f && p->tcp_flags & PACKET_RST)
		forget_bytes(sw, f);
	if (!p->data_size)
		return true;
	/* It speaks first: then it is not for the guest to take his time. */
	if (f && !f->listed)
		limit(sw, f, way->now);
	drop(way->owner, SWITCH_DROP_HELD);
	return false;
}

uint64_t first_due(const struct net_switch *sw)
{
	return sw->oldest ? sw->oldest->deadline : UINT64_MAX;
}

/* A flight's time is over. Both sides are told as if by a segment that comes next. */
static void time_out(struct net_switch *sw, const struct flight *f, uint64_t now)
{
	struct switch_port *owner = port_of(sw, f);
	struct passage way = {
		.p = {.source_mac = owner->mac,
			.destination_mac = sw->gateway_mac,
			.source = owner->address,
			.destination = address_ipv4(&f->key.remote),
			.source_port = f->key.local_port,
			.destination_port = f->key.remote_port,
			.protocol = PACKET_TCP,
			.transport = true,
			.tcp_flags = PACKET_ACK,
			.sequence = f->base,
			.acknowledgement = f->other},
		.from = owner,
		.owner = owner,
		.flow = flows_find(sw->flows, &f->key),
		.direction = FLOW_OUT,
		.now = now,
	};
	struct verdict v = policy_judge_name(
		&owner->policy, &sw->surroundings, owner->learnt, &f->key, NULL, false, now);

	if (!f->judged && v.kind == VERDICT_DENY)
		deny_flow(sw, &way, &v, NULL);
	else
		flows_remove(sw->flows, way.flow);
}

void first_tick(struct net_switch *sw, uint64_t now)
{
	while (first_due(sw) <= now)
		time_out(sw, sw->oldest, now);
}

void first_free(struct net_switch *sw)
{
	for (size_t i = 0; i < sw->flight_capacity; i++)
		if (sw->flights[i]) {
			flight_clear(sw, sw->flights[i]);
			free(sw->flights[i]);
		}
	free(sw->flights);
	free(sw->flights_unused);
}
