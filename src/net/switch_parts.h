/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the switch share.
 *
 *   switch.c          frames in, time; what a frame must be before anybody looks where it goes
 *   switch_ports.c    ports, and what is set on them
 *   switch_local.c    what the switch answers itself: ARP, DHCP, ping, and how an answer leaves
 *   switch_flows.c    flows: found, judged, passed on, denied, cut
 *   switch_first.c    first flights, held until they name whom they are for
 *
 * The calls egress() and dns() may come back into the switch. So each is the last thing done with a packet,
 * and whatever pointed to a flow or a flight is not used behind it.
 */
#pragma once

#include "codec/packet.h"
#include "net/flows.h"
#include "net/history.h"
#include "net/learnt.h"
#include "net/policy.h"
#include "net/shaper.h"
#include "net/switch.h"

#define BY_ADDRESS_SIZE (2 * SWITCH_PORTS_MAX)

struct published {
	uint8_t protocol;
	uint16_t first, last;
};

struct switch_port {
	uint32_t id, slot;
	uint32_t address;
	uint8_t mac[PACKET_MAC_SIZE];
	uint16_t mtu;
	bool main;
	void *link;
	uint32_t generation; /* of what flows are judged by */
	uint32_t held;       /* bytes */
	uint64_t errors;     /* when it may be told of this many errors again */
	struct policy policy;
	struct learnt *learnt;
	struct history *history;
	struct shaper from_guest, to_guest;
	struct published *published;
	size_t published_count;
	struct switch_counters counters;
};

struct flight;

struct net_switch {
	struct switch_calls calls;
	void *context;
	struct surroundings surroundings;
	uint32_t broadcast;
	uint8_t subnet_bits; /* of 32 */
	uint8_t gateway_mac[PACKET_MAC_SIZE], host_mac[PACKET_MAC_SIZE];
	uint64_t seed[2];
	char *domain;
	struct flows *flows;
	uint64_t flows_due, shapers_due;
	struct switch_port *ports[SWITCH_PORTS_MAX];
	uint16_t by_address[BY_ADDRESS_SIZE]; /* slot + 1; open addressing */
	uint32_t serial;
	struct flight **flights;  /* by flow->held - 1 */
	uint32_t *flights_unused; /* a stack of numbers */
	size_t flight_capacity, flights_unused_count;
	struct flight *oldest, *newest; /* of those with a time limit */
	struct switch_counters outside;
	uint8_t scratch[PACKET_FRAME_MOST];
};

/* A packet on its way. */
struct passage {
	struct packet p;
	uint8_t *frame;           /* NULL: it may not be changed */
	struct switch_port *from; /* NULL: the world */
	struct switch_port *to;   /* NULL: the world */
	/* Once its flow is known: */
	struct switch_port *owner; /* whose flow it is */
	struct flow *flow;
	enum flow_direction direction;
	bool beyond; /* the world's side of the flow may be another group's */
	uint64_t now;
};

static inline void drop(struct switch_port *port, enum switch_drop why)
{
	port->counters.drops[why]++;
}

/* Something waits there, as of now: time has to come for it. */
static inline void waits(struct net_switch *sw, const struct shaper *s)
{
	uint64_t next = shaper_next(s);

	if (next < sw->shapers_due)
		sw->shapers_due = next;
}

/* switch_ports.c */
struct switch_port *port_find(const struct net_switch *sw, uint32_t id);    /* NULL: none */
struct switch_port *port_at(const struct net_switch *sw, uint32_t address); /* NULL: nobody's */
bool port_publishes(const struct switch_port *port, uint8_t protocol, uint16_t number);
bool in_subnet(const struct net_switch *sw, uint32_t address);
void ports_free(struct net_switch *sw);

/* switch_local.c */
void local_arp(struct net_switch *sw, struct switch_port *port, const struct packet *p, uint64_t now);
void local_arp_egress(struct net_switch *sw, const struct packet *p);
bool local_dhcp(struct net_switch *sw, struct switch_port *port, const struct packet *p,
	uint64_t now);                                                  /* false: none */
bool local_serves(const struct net_switch *sw, const struct packet *p); /* ping and DNS of the gateway */
void local_serve(struct net_switch *sw, struct switch_port *port, const struct packet *p, uint64_t now);
void to_guest(struct net_switch *sw, struct switch_port *port, const uint8_t *frame, size_t n, uint64_t now);
void to_guest_now(struct net_switch *sw, struct switch_port *port, const uint8_t *frame, size_t n);
void answer_unreachable(struct net_switch *sw, const struct passage *way, uint8_t code, uint16_t mtu);

/* switch_flows.c */
void flow_from_guest(struct net_switch *sw, struct passage *way);
void flow_from_egress(struct net_switch *sw, struct passage *way);
void flow_from_neighbour(struct net_switch *sw, struct passage *way);
/* The flow is denied after it had begun: it is removed, both sides are told. name: in its first flight. */
void deny_flow(struct net_switch *sw, struct passage *way, const struct verdict *v, const char *name);
/* Counts and remembers it, and tells who wants to know. */
void tell_verdict(struct net_switch *sw, struct switch_port *owner, const struct flow_key *key,
	const struct verdict *v, const char *name, uint64_t now);

/* switch_first.c: for flows that are inspected, or were and have their judged bytes on the way. True: the
 * packet passes. False: it was dealt with. */
bool first_from_guest(struct net_switch *sw, struct passage *way);
bool first_from_egress(struct net_switch *sw, struct passage *way);
/* The flow needs no inspection any more: what was held leaves. */
void first_release(struct net_switch *sw, struct flow *flow);
/* What the other side expects next of a flow whose bytes are held; false: they are not. */
bool first_expected(const struct net_switch *sw, const struct flow *flow, uint32_t *sequence);
void first_gone(void *context, struct flow *flow); /* flows_gone */
void first_tick(struct net_switch *sw, uint64_t now);
uint64_t first_due(const struct net_switch *sw);
void first_free(struct net_switch *sw);
