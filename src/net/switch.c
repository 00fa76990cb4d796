/* SPDX-License-Identifier: Apache-2.0 */
/* The switch: what a frame must be before anybody looks where it goes; time. */
#include "net/switch.h"

#include <stdlib.h>
#include <string.h>

#include "base/big_endian.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "codec/dhcp.h"
#include "net/ipam.h"
#include "net/switch_parts.h"

CLEANUP_DEFINE(switch, struct net_switch, switch_free);

#define ETHERTYPE_AT   12
#define ETHERTYPE_IPV6 0x86dd

static const struct {
	const char *word, *text;
} drops[] = {
#define X(name, word, text) {word, text},
	SWITCH_DROPS(X)
#undef X
};

const char *switch_drop_name(enum switch_drop drop)
{
	return drops[drop].word;
}

const char *switch_drop_text(enum switch_drop drop)
{
	return drops[drop].text;
}

static enum switch_drop fault_of(enum packet_fault fault, const uint8_t *frame)
{
	switch (fault) {
	case PACKET_FAULT_SHORT:
	case PACKET_FAULT_IP_LENGTH:
		return SWITCH_DROP_TRUNCATED;
	case PACKET_FAULT_ETHERTYPE:
		return be16_get(frame + ETHERTYPE_AT) == ETHERTYPE_IPV6 ? SWITCH_DROP_IPV6
									: SWITCH_DROP_ETHERTYPE;
	case PACKET_FAULT_SOURCE_MAC:
		return SWITCH_DROP_SPOOFED_MAC;
	case PACKET_FAULT_ARP_MAC:
		return SWITCH_DROP_SPOOFED_ARP;
	case PACKET_FAULT_IP_CHECKSUM:
		return SWITCH_DROP_CHECKSUM;
	case PACKET_FAULT_FRAGMENT:
		return SWITCH_DROP_FRAGMENT;
	default:
		return SWITCH_DROP_MALFORMED;
	}
}

/* A SYN goes alone, and only a SYN or a reset goes without ACK (RFC 9293 §3.10). */
static bool flags_make_sense(const struct packet *p)
{
	if (p->protocol != PACKET_TCP)
		return true;
	if (p->tcp_flags & PACKET_SYN)
		return !(p->tcp_flags & (PACKET_FIN | PACKET_RST));
	return p->tcp_flags & (PACKET_ACK | PACKET_RST);
}

/* Why a packet of a guest is refused whatever its flow; COUNT: it is not. */
static enum switch_drop refusal(const struct switch_port *port, const struct packet *p)
{
	if (p->options)
		return SWITCH_DROP_OPTIONS;
	if (p->fragment)
		return SWITCH_DROP_FRAGMENT;
	if (p->source != port->address && !(p->source == 0 && p->destination == 0xffffffff))
		return SWITCH_DROP_SPOOFED_ADDRESS;
	if (!p->transport)
		return SWITCH_DROP_PROTOCOL;
	if (p->protocol == PACKET_UDP &&
		(p->source_port == DHCP_SERVER_PORT || p->destination_port == DHCP_CLIENT_PORT))
		return SWITCH_DROP_ROGUE_DHCP;
	if (!flags_make_sense(p))
		return SWITCH_DROP_MALFORMED;
	if (!packet_checksum_right(p))
		return SWITCH_DROP_CHECKSUM;
	return SWITCH_DROP_COUNT;
}

/* To one station; addresses that are reserved (240.0.0.0/4) are left to the verdict, which says so. */
static bool is_unicast(const struct net_switch *sw, const struct packet *p)
{
	return !(p->destination_mac[0] & 1) && p->destination >> 28 != 0xe && p->destination != 0xffffffff &&
	       p->destination != sw->broadcast;
}

/* Whether this address is the world's, rather than a member's of the group, who may not be there. */
static bool is_outside(const struct net_switch *sw, uint32_t address)
{
	return !in_subnet(sw, address) || address == sw->surroundings.gateway ||
	       address == sw->surroundings.host;
}

static void ipv4_from_guest(struct net_switch *sw, struct passage *way)
{
	struct switch_port *port = way->from;
	const struct packet *p = &way->p;
	enum switch_drop why = refusal(port, p);

	if (why != SWITCH_DROP_COUNT) {
		drop(port, why);
		if (why == SWITCH_DROP_PROTOCOL)
			answer_unreachable(sw, way, PACKET_UNREACHABLE_PROHIBITED, 0);
		return;
	}
	if (local_dhcp(sw, port, p, way->now))
		return;
	if (!is_unicast(sw, p)) {
		drop(port, SWITCH_DROP_BROADCAST);
		return;
	}
	way->to = port_at(sw, p->destination);
	if (way->to == port) {
		drop(port, SWITCH_DROP_NOBODY);
	} else if (!way->to && !is_outside(sw, p->destination)) {
		drop(port, SWITCH_DROP_NOBODY);
		answer_unreachable(sw, way, PACKET_UNREACHABLE_HOST, 0);
	} else {
		flow_from_guest(sw, way);
	}
}

static void take(struct net_switch *sw, struct switch_port *port, uint8_t *frame, size_t n, uint64_t now)
{
	struct passage way;
	enum packet_fault fault = packet_parse(frame, n, &way.p);

	if (fault != PACKET_RIGHT) {
		drop(port, fault_of(fault, frame));
		return;
	}
	if (memcmp(way.p.source_mac, port->mac, sizeof port->mac) != 0) {
		drop(port, SWITCH_DROP_SPOOFED_MAC);
		return;
	}
	if (way.p.ethertype == PACKET_ARP) {
		local_arp(sw, port, &way.p, now);
		return;
	}
	way.frame = frame;
	way.from = port;
	way.to = NULL;
	way.beyond = false;
	way.now = now;
	ipv4_from_guest(sw, &way);
}

void switch_from_guest(struct net_switch *sw, uint32_t id, uint8_t *frame, size_t n, uint64_t now)
{
	struct switch_port *port = port_find(sw, id);
	enum shaper_fate fate;

	if (!port)
		return;
	port->counters.frames_in++;
	port->counters.bytes_in += n;
	if (n > SWITCH_FRAME_MAX) {
		drop(port, SWITCH_DROP_GIANT);
		return;
	}
	fate = shaper_offer(&port->from_guest, frame, n, now);
	if (fate == SHAPER_PASS)
		take(sw, port, frame, n, now);
	else if (fate == SHAPER_DROPPED)
		drop(port, SWITCH_DROP_BANDWIDTH);
	else
		waits(sw, &port->from_guest);
}

static void drop_outside(struct net_switch *sw, enum switch_drop why)
{
	sw->outside.drops[why]++;
}

/* Whether a packet from outside may be looked at, and to whom it goes. */
static bool enters(struct net_switch *sw, struct passage *way, bool may_speak, uint64_t now)
{
	way->frame = NULL;
	way->from = NULL;
	way->to = port_at(sw, way->p.destination);
	way->beyond = false;
	way->now = now;
	if (!way->to)
		drop_outside(sw, SWITCH_DROP_NOBODY);
	else if (!may_speak)
		drop_outside(sw, SWITCH_DROP_SPOOFED_ADDRESS);
	else if (way->p.fragment)
		drop(way->to, SWITCH_DROP_FRAGMENT);
	else if (!way->p.transport)
		drop(way->to, SWITCH_DROP_PROTOCOL);
	else
		return true;
	return false;
}

void switch_from_egress(struct net_switch *sw, const uint8_t *frame, size_t n, uint64_t now)
{
	struct passage way;
	enum packet_fault fault = packet_parse(frame, n, &way.p);

	if (fault != PACKET_RIGHT)
		drop_outside(sw, fault_of(fault, frame));
	else if (way.p.ethertype == PACKET_ARP)
		local_arp_egress(sw, &way.p);
	else if (enters(sw, &way, is_outside(sw, way.p.source), now))
		flow_from_egress(sw, &way);
}

void switch_from_neighbour(
	struct net_switch *sw, const struct prefix *group, const uint8_t *frame, size_t n, uint64_t now)
{
	struct passage way;
	enum packet_fault fault = packet_parse(frame, n, &way.p);
	struct address source;

	if (fault != PACKET_RIGHT || way.p.ethertype != PACKET_IPV4) {
		drop_outside(sw, fault == PACKET_RIGHT ? SWITCH_DROP_ETHERTYPE : fault_of(fault, frame));
		return;
	}
	source = address_from_ipv4(way.p.source);
	if (enters(sw, &way, prefix_contains(group, &source) && is_outside(sw, way.p.source), now))
		flow_from_neighbour(sw, &way);
}

/* What waited for bandwidth and may go now. */
static void port_tick(struct net_switch *sw, struct switch_port *port, uint64_t now)
{
	struct shaper_frame *f;

	while ((f = shaper_take(&port->from_guest, now))) {
		take(sw, port, f->bytes, f->size, now);
		free(f);
	}
	while ((f = shaper_take(&port->to_guest, now))) {
		to_guest_now(sw, port, f->bytes, f->size);
		free(f);
	}
	waits(sw, &port->from_guest);
	waits(sw, &port->to_guest);
}

uint64_t switch_next_tick(const struct net_switch *sw)
{
	uint64_t next = first_due(sw);

	if (sw->flows_due < next)
		next = sw->flows_due;
	return sw->shapers_due < next ? sw->shapers_due : next;
}

uint64_t switch_tick(struct net_switch *sw, uint64_t now)
{
	first_tick(sw, now);
	if (sw->flows_due <= now)
		sw->flows_due = flows_expire(sw->flows, now);
	if (sw->shapers_due <= now) {
		sw->shapers_due = UINT64_MAX;
		for (size_t slot = 0; slot < SWITCH_PORTS_MAX; slot++)
			if (sw->ports[slot])
				port_tick(sw, sw->ports[slot], now);
	}
	return switch_next_tick(sw);
}

static int check_surroundings(const struct surroundings *s, struct error *err)
{
	struct address gateway = address_from_ipv4(s->gateway), host = address_from_ipv4(s->host);

	if (!prefix_is_ipv4(&s->subnet) || s->subnet.bits > 96 + 30 || s->gateway == s->host ||
		!prefix_contains(&s->subnet, &gateway) || !prefix_contains(&s->subnet, &host))
		return error_set(err, ERROR_INVALID,
			"a group needs a subnet with its gateway and host.internal in it");
	return 0;
}

int switch_set_surroundings(struct net_switch *sw, const struct surroundings *s, struct error *err)
{
	struct surroundings copy = *s;
	size_t size = s->host_address_count * sizeof *s->host_addresses;
	struct prefix *addresses = malloc(size + 1);

	if (!addresses)
		return error_no_memory(err, "note the host's addresses");
	if (size)
		memcpy(addresses, s->host_addresses, size);
	copy.host_addresses = addresses;
	free((struct prefix *)sw->surroundings.host_addresses);
	sw->surroundings = copy;
	for (size_t slot = 0; slot < SWITCH_PORTS_MAX; slot++)
		if (sw->ports[slot])
			sw->ports[slot]->generation++;
	return 0;
}

int switch_new(const struct switch_config *config, const struct switch_calls *calls, void *context,
	struct net_switch **out, struct error *err)
{
	const struct surroundings *s = config->surroundings;
	_cleanup_(cleanup_switch) struct net_switch *sw = NULL;
	int r = check_surroundings(s, err);

	if (r < 0)
		return r;
	sw = calloc(1, sizeof *sw);
	if (!sw)
		return error_no_memory(err, "make the switch of a group");
	sw->calls = *calls;
	sw->context = context;
	memcpy(sw->seed, config->seed, sizeof sw->seed);
	sw->subnet_bits = (uint8_t)(s->subnet.bits - 96);
	sw->broadcast = address_ipv4(&s->subnet.address) | (uint32_t)(0xffffffffULL >> sw->subnet_bits);
	ipam_mac(s->gateway, sw->gateway_mac);
	ipam_mac(s->host, sw->host_mac);
	sw->flows_due = sw->shapers_due = UINT64_MAX;
	r = switch_set_surroundings(sw, s, err);
	if (r < 0)
		return r;
	if (config->domain && !(sw->domain = text_copy(config->domain, err)))
		return -ERROR_NO_MEMORY;
	r = flows_new(config->flows ? config->flows : FLOWS_CAPACITY, SWITCH_PORTS_MAX, sw->seed, first_gone,
		sw, &sw->flows, err);
	if (r < 0)
		return r;
	*out = TAKE_PTR(sw);
	return 0;
}

void switch_free(struct net_switch *sw)
{
	if (!sw)
		return;
	first_free(sw);
	flows_free(sw->flows);
	ports_free(sw);
	free(sw->domain);
	free((struct prefix *)sw->surroundings.host_addresses);
	free(sw);
}
