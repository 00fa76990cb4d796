/* SPDX-License-Identifier: Apache-2.0 */
/* What the switch answers itself, in the name of the gateway: ARP, DHCP, ping, DNS. And how a frame leaves
 * for a guest. */
#include <string.h>

#include "base/clock.h"
#include "codec/dhcp.h"
#include "net/switch_parts.h"

#define DNS_PORT      53
#define LEASE_SECONDS 86400
/* ICMP errors that a port may be told at once, and how long until it may be told of one more (RFC 1812
 * §4.3.2.8): what a scan gets back is bounded, a program that tries once learns why at once. */
#define ERRORS_BURST MILLISECONDS(640)
#define ERROR_TIME   MILLISECONDS(10)

void to_guest_now(struct net_switch *sw, struct switch_port *port, const uint8_t *frame, size_t n)
{
	if (!port->link || !sw->calls.deliver(sw->context, port->link, frame, n)) {
		drop(port, SWITCH_DROP_QUEUE_FULL);
		return;
	}
	port->counters.frames_out++;
	port->counters.bytes_out += n;
}

void to_guest(struct net_switch *sw, struct switch_port *port, const uint8_t *frame, size_t n, uint64_t now)
{
	enum shaper_fate fate = shaper_offer(&port->to_guest, frame, n, now);

	if (fate == SHAPER_PASS)
		to_guest_now(sw, port, frame, n);
	else if (fate == SHAPER_DROPPED)
		drop(port, SWITCH_DROP_BANDWIDTH);
	else
		waits(sw, &port->to_guest);
}

/* Who answers for an address: the gateway and host.internal for themselves, ports with what they were given.
 */
static const uint8_t *mac_of(const struct net_switch *sw, uint32_t address)
{
	const struct switch_port *port;

	if (address == sw->surroundings.gateway)
		return sw->gateway_mac;
	if (address == sw->surroundings.host)
		return sw->host_mac;
	port = port_at(sw, address);
	return port ? port->mac : NULL;
}

/* Replies and announcements of guests end here: nobody is told but by us. A probe has no sender (RFC 5227).
 */
void local_arp(struct net_switch *sw, struct switch_port *port, const struct packet *p, uint64_t now)
{
	uint8_t out[PACKET_ANSWER_ROOM];
	const uint8_t *mac;
	size_t n;

	if (p->arp.sender != port->address && p->arp.sender != 0) {
		drop(port, SWITCH_DROP_SPOOFED_ARP);
		return;
	}
	mac = mac_of(sw, p->arp.target);
	if (p->arp.operation != PACKET_ARP_REQUEST || !mac || p->arp.target == port->address)
		return;
	n = packet_build_arp_reply(p, mac, out, sizeof out);
	if (n)
		to_guest(sw, port, out, n, now);
}

/* libslirp asks for who it has packets for. */
void local_arp_egress(struct net_switch *sw, const struct packet *p)
{
	const struct switch_port *port = port_at(sw, p->arp.target);
	uint8_t out[PACKET_ANSWER_ROOM];
	size_t n;

	if (p->arp.operation != PACKET_ARP_REQUEST || !port)
		return;
	n = packet_build_arp_reply(p, port->mac, out, sizeof out);
	if (n)
		sw->calls.egress(sw->context, out, n);
}

static bool is_broadcast(const struct net_switch *sw, uint32_t address)
{
	return address == 0xffffffff || address == sw->broadcast;
}

/* A client asks by broadcast before it has its address, and later asks the server itself. */
static bool is_dhcp(const struct net_switch *sw, const struct packet *p)
{
	return p->protocol == PACKET_UDP && p->transport && p->destination_port == DHCP_SERVER_PORT &&
	       p->source_port == DHCP_CLIENT_PORT &&
	       (is_broadcast(sw, p->destination) || p->destination == sw->surroundings.gateway);
}

static bool is_ping(const struct packet *p)
{
	return p->protocol == PACKET_ICMP && p->icmp_type == PACKET_ICMP_ECHO;
}

static bool is_dns(const struct packet *p)
{
	return p->protocol == PACKET_UDP && p->destination_port == DNS_PORT;
}

bool local_serves(const struct net_switch *sw, const struct packet *p)
{
	return p->destination == sw->surroundings.gateway && (is_ping(p) || is_dns(p));
}

static void serve_dhcp(struct net_switch *sw, struct switch_port *port, const struct packet *p, uint64_t now)
{
	const uint32_t gateway = sw->surroundings.gateway;
	const struct dhcp_lease lease = {
		.address = port->address,
		.gateway = port->main ? gateway : 0,
		.dns = port->main ? gateway : 0,
		.server = gateway,
		.bits = sw->subnet_bits,
		.mtu = port->mtu,
		.seconds = LEASE_SECONDS,
		.domain = sw->domain,
	};
	static const uint8_t everybody[PACKET_MAC_SIZE] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	uint8_t data[DHCP_REPLY_MOST], out[DHCP_REPLY_MOST + PACKET_ANSWER_ROOM];
	struct packet_udp answer = {
		.source_mac = sw->gateway_mac,
		.source = gateway,
		.source_port = DHCP_SERVER_PORT,
		.destination_port = DHCP_CLIENT_PORT,
		.data = data,
	};
	struct dhcp_request request;

	if (!dhcp_parse(p->frame + p->data_at, p->data_size, &request)) {
		drop(port, SWITCH_DROP_MALFORMED);
		return;
	}
	if (memcmp(request.mac, port->mac, sizeof port->mac) != 0) {
		drop(port, SWITCH_DROP_SPOOFED_MAC);
		return;
	}
	answer.size = dhcp_answer(&request, &lease, &answer.destination, data, sizeof data);
	if (answer.size == 0)
		return;
	answer.destination_mac = answer.destination == 0xffffffff ? everybody : port->mac;
	to_guest(sw, port, out, packet_build_udp(&answer, out, sizeof out), now);
}

bool local_dhcp(struct net_switch *sw, struct switch_port *port, const struct packet *p, uint64_t now)
{
	if (!is_dhcp(sw, p))
		return false;
	serve_dhcp(sw, port, p, now);
	return true;
}

void local_serve(struct net_switch *sw, struct switch_port *port, const struct packet *p, uint64_t now)
{
	size_t n;

	if (is_dns(p)) {
		sw->calls.dns(sw->context, port->id, p);
		return;
	}
	n = packet_build_icmp_echo_reply(p, sw->scratch, sizeof sw->scratch);
	if (n)
		to_guest(sw, port, sw->scratch, n, now);
}

void switch_answer_dns(struct net_switch *sw, uint32_t id, uint16_t client_port, const uint8_t *message,
	size_t size, uint64_t now)
{
	struct switch_port *port = port_find(sw, id);
	struct packet_udp answer = {
		.source_mac = sw->gateway_mac,
		.source = sw->surroundings.gateway,
		.source_port = DNS_PORT,
		.destination_port = client_port,
		.data = message,
		.size = size,
	};
	size_t n;

	if (!port)
		return;
	answer.destination_mac = port->mac;
	answer.destination = port->address;
	n = packet_build_udp(&answer, sw->scratch, sizeof sw->scratch);
	if (n && n <= PACKET_ETHERNET_SIZE + (size_t)port->mtu)
		to_guest(sw, port, sw->scratch, n, now);
	else
		drop(port, SWITCH_DROP_TOO_BIG);
}

/* Tells the guest that its packet got nowhere. */
void answer_unreachable(struct net_switch *sw, const struct passage *way, uint8_t code, uint16_t mtu)
{
	struct switch_port *port = way->from;
	uint8_t out[PACKET_ANSWER_ROOM];
	size_t n;

	if (!port || port->errors > way->now + ERRORS_BURST)
		return;
	n = packet_build_icmp_unreachable(
		&way->p, sw->surroundings.gateway, sw->gateway_mac, code, mtu, out, sizeof out);
	if (n == 0)
		return;
	port->errors = (port->errors > way->now ? port->errors : way->now) + ERROR_TIME;
	to_guest(sw, port, out, n, way->now);
}
