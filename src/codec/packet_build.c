/* SPDX-License-Identifier: Apache-2.0 */
/* Frames built and rewritten. */
#include "codec/packet.h"
#include "codec/packet_bytes.h"

#define IP_AT      PACKET_ETHERNET_SIZE
#define PAYLOAD_AT (IP_AT + IPV4_SIZE)

static void put_ethernet(uint8_t *out, const uint8_t *destination, const uint8_t *source, uint16_t type)
{
	memcpy(out, destination, PACKET_MAC_SIZE);
	memcpy(out + ETHERNET_SOURCE, source, PACKET_MAC_SIZE);
	be16_put(out + ETHERNET_TYPE, type);
}

/* The header before `payload` bytes. Nobody fragments what we send, so its identification is 0 (RFC 6864). */
static void put_ipv4(uint8_t *ip, uint32_t source, uint32_t destination, uint8_t protocol, size_t payload)
{
	memset(ip, 0, IPV4_SIZE);
	ip[0] = 0x45;
	be16_put(ip + IPV4_LENGTH, (uint16_t)(IPV4_SIZE + payload));
	be16_put(ip + IPV4_FRAGMENT, 0x4000); /* do not fragment */
	ip[IPV4_TTL] = 64;
	ip[IPV4_PROTOCOL] = protocol;
	be32_put(ip + IPV4_SOURCE, source);
	be32_put(ip + IPV4_DESTINATION, destination);
	checksum_put(ip + IPV4_CHECKSUM, checksum_add(0, ip, IPV4_SIZE));
}

size_t packet_build_arp_reply(const struct packet *request, const uint8_t *mac, uint8_t *out, size_t room)
{
	static const uint8_t head[] = {0, 1, 0x08, 0x00, 6, 4, 0, PACKET_ARP_REPLY};
	uint8_t *arp = out + PACKET_ETHERNET_SIZE;

	if (room < PACKET_ETHERNET_SIZE + ARP_SIZE || request->ethertype != PACKET_ARP)
		return 0;
	put_ethernet(out, request->source_mac, mac, PACKET_ARP);
	memcpy(arp, head, sizeof head);
	memcpy(arp + 8, mac, PACKET_MAC_SIZE);
	be32_put(arp + 14, request->arp.target);
	memcpy(arp + 18, request->arp.sender_mac, PACKET_MAC_SIZE);
	be32_put(arp + 24, request->arp.sender);
	return PACKET_ETHERNET_SIZE + ARP_SIZE;
}

struct reset {
	uint32_t sequence, acknowledgement;
	uint8_t flags;
	bool forward; /* the way that p goes, else back */
};

static size_t build_reset(const struct packet *p, const struct reset *r, uint8_t *out, size_t room)
{
	uint8_t *tcp = out + PAYLOAD_AT;

	if (room < PAYLOAD_AT + TCP_SIZE || !p->transport || p->protocol != PACKET_TCP || p->fragment ||
		p->destination_mac[0] & 1)
		return 0;
	put_ethernet(out, r->forward ? p->destination_mac : p->source_mac,
		r->forward ? p->source_mac : p->destination_mac, PACKET_IPV4);
	put_ipv4(out + IP_AT, r->forward ? p->source : p->destination,
		r->forward ? p->destination : p->source, PACKET_TCP, TCP_SIZE);
	memset(tcp, 0, TCP_SIZE);
	be16_put(tcp, r->forward ? p->source_port : p->destination_port);
	be16_put(tcp + 2, r->forward ? p->destination_port : p->source_port);
	be32_put(tcp + 4, r->sequence);
	be32_put(tcp + 8, r->acknowledgement);
	tcp[12] = TCP_SIZE / 4 << 4;
	tcp[13] = r->flags;
	checksum_put(tcp + TCP_CHECKSUM,
		checksum_add(checksum_pseudo(out + IP_AT, PACKET_TCP, TCP_SIZE), tcp, TCP_SIZE));
	return PAYLOAD_AT + TCP_SIZE;
}

size_t packet_build_tcp_reset(const struct packet *to, uint8_t *out, size_t room)
{
	struct reset r = {.flags = PACKET_RST};

	if (to->tcp_flags & PACKET_RST)
		return 0;
	if (to->tcp_flags & PACKET_ACK) {
		r.sequence = to->acknowledgement;
	} else {
		/* SEG.SEQ + SEG.LEN, where SYN and FIN count. */
		r.acknowledgement = to->sequence + (uint32_t)to->data_size + !!(to->tcp_flags & PACKET_SYN) +
				    !!(to->tcp_flags & PACKET_FIN);
		r.flags |= PACKET_ACK;
	}
	return build_reset(to, &r, out, room);
}

size_t packet_build_tcp_abort(const struct packet *p, uint8_t *out, size_t room)
{
	struct reset r = {.sequence = p->sequence, .flags = PACKET_RST, .forward = true};

	if (p->tcp_flags & PACKET_RST)
		return 0;
	if (p->tcp_flags & PACKET_ACK) {
		r.acknowledgement = p->acknowledgement;
		r.flags |= PACKET_ACK;
	}
	return build_reset(p, &r, out, room);
}

/* An address that one station has or, of the reserved ones, might have: no broadcast, multicast, loopback or
 * 0 (RFC 1122 §3.2.2). */
static bool is_one_station(uint32_t address)
{
	return address >> 24 != 0 && address >> 24 != 127 && address >> 28 != 0xe && address != 0xffffffff;
}

size_t packet_build_icmp_unreachable(const struct packet *to, uint32_t from, const uint8_t *from_mac,
	uint8_t code, uint16_t mtu, uint8_t *out, size_t room)
{
	uint8_t *icmp = out + PAYLOAD_AT;
	size_t quoted = to->header_size + (to->payload_size < 8 ? to->payload_size : 8);
	size_t size = ICMP_SIZE + quoted;

	if (room < PAYLOAD_AT + size || to->ethertype != PACKET_IPV4 || packet_is_icmp_error(to) ||
		to->fragment_offset || to->destination_mac[0] & 1 || !is_one_station(to->source) ||
		!is_one_station(to->destination))
		return 0;
	put_ethernet(out, to->source_mac, from_mac, PACKET_IPV4);
	put_ipv4(out + IP_AT, from, to->source, PACKET_ICMP, size);
	memset(icmp, 0, ICMP_SIZE);
	icmp[0] = PACKET_ICMP_UNREACHABLE;
	icmp[1] = code;
	if (code == PACKET_UNREACHABLE_TOO_LARGE)
		be16_put(icmp + 6, mtu);
	memcpy(icmp + ICMP_SIZE, to->frame + IP_AT, quoted);
	checksum_put(icmp + ICMP_CHECKSUM, checksum_add(0, icmp, size));
	return PAYLOAD_AT + size;
}

size_t packet_build_icmp_echo_reply(const struct packet *to, uint8_t *out, size_t room)
{
	uint8_t *icmp = out + PAYLOAD_AT;

	if (!packet_checksum_right(to) || to->protocol != PACKET_ICMP || to->icmp_type != PACKET_ICMP_ECHO ||
		to->icmp_code != 0 || room < PAYLOAD_AT + to->payload_size || to->destination_mac[0] & 1 ||
		!is_one_station(to->source))
		return 0;
	put_ethernet(out, to->source_mac, to->destination_mac, PACKET_IPV4);
	put_ipv4(out + IP_AT, to->destination, to->source, PACKET_ICMP, to->payload_size);
	memcpy(icmp, to->frame + to->payload_at, to->payload_size);
	icmp[0] = PACKET_ICMP_ECHO_REPLY;
	be16_put(icmp + ICMP_CHECKSUM, 0);
	checksum_put(icmp + ICMP_CHECKSUM, checksum_add(0, icmp, to->payload_size));
	return PAYLOAD_AT + to->payload_size;
}

/* UDP says "none" with 0, and 0 with 0xffff. */
static void udp_not_none(uint8_t *checksum)
{
	if (be16_get(checksum) == 0)
		be16_put(checksum, 0xffff);
}

size_t packet_build_udp(const struct packet_udp *u, uint8_t *out, size_t room)
{
	uint8_t *udp = out + PAYLOAD_AT;
	size_t size = UDP_SIZE + u->size;

	if (u->size > PACKET_IPV4_MOST - IPV4_SIZE - UDP_SIZE || room < PAYLOAD_AT + size)
		return 0;
	put_ethernet(out, u->destination_mac, u->source_mac, PACKET_IPV4);
	put_ipv4(out + IP_AT, u->source, u->destination, PACKET_UDP, size);
	be16_put(udp, u->source_port);
	be16_put(udp + 2, u->destination_port);
	be16_put(udp + 4, (uint16_t)size);
	be16_put(udp + UDP_CHECKSUM, 0);
	if (u->size)
		memcpy(udp + UDP_SIZE, u->data, u->size);
	checksum_put(
		udp + UDP_CHECKSUM, checksum_add(checksum_pseudo(out + IP_AT, PACKET_UDP, size), udp, size));
	udp_not_none(udp + UDP_CHECKSUM);
	return PAYLOAD_AT + size;
}

/* HC' = ~(~HC + ~m + m') (RFC 1624, equation 3), for an address that changes. */
static void update_checksum(uint8_t *at, uint32_t was, uint32_t is)
{
	uint32_t sum = (uint16_t)~be16_get(at);

	sum += (~was >> 16) + (uint16_t)~was + (is >> 16) + (uint16_t)is;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	be16_put(at, (uint16_t)~sum);
}

static void set_address(uint8_t *frame, const struct packet *p, size_t field, uint32_t was, uint32_t is)
{
	uint8_t *ip = frame + IP_AT, *transport = frame + p->payload_at;

	be32_put(ip + field, is);
	update_checksum(ip + IPV4_CHECKSUM, was, is);
	if (!p->transport)
		return;
	if (p->protocol == PACKET_TCP) {
		update_checksum(transport + TCP_CHECKSUM, was, is);
	} else if (p->protocol == PACKET_UDP && be16_get(transport + UDP_CHECKSUM)) {
		update_checksum(transport + UDP_CHECKSUM, was, is);
		udp_not_none(transport + UDP_CHECKSUM);
	}
}

void packet_set_destination(uint8_t *frame, struct packet *p, uint32_t address, const uint8_t *mac)
{
	set_address(frame, p, IPV4_DESTINATION, p->destination, address);
	p->destination = address;
	if (mac)
		memcpy(frame, mac, PACKET_MAC_SIZE);
}

void packet_set_source(uint8_t *frame, struct packet *p, uint32_t address, const uint8_t *mac)
{
	set_address(frame, p, IPV4_SOURCE, p->source, address);
	p->source = address;
	if (mac)
		memcpy(frame + ETHERNET_SOURCE, mac, PACKET_MAC_SIZE);
}

/* A number that lies across two words of the checksum counts with its bytes changed about. */
static void set_number(uint8_t *tcp, size_t at, uint16_t is)
{
	uint16_t was = be16_get(tcp + at);

	be16_put(tcp + at, is);
	if (at % 2) {
		was = (uint16_t)(was << 8 | was >> 8);
		is = (uint16_t)(is << 8 | is >> 8);
	}
	update_checksum(tcp + TCP_CHECKSUM, was, is);
}

void packet_set_segments(uint8_t *frame, const struct packet *p, uint16_t largest)
{
	uint8_t *tcp = frame + p->payload_at;
	size_t end = p->data_at - p->payload_at, n;

	if (!p->transport || p->protocol != PACKET_TCP || !(p->tcp_flags & PACKET_SYN))
		return;
	for (size_t at = TCP_SIZE; at < end && tcp[at] != TCP_OPTIONS_END; at += n) {
		n = 1;
		if (tcp[at] == TCP_OPTION_NONE)
			continue;
		if (end - at < 2 || tcp[at + 1] < 2 || tcp[at + 1] > end - at)
			return;
		n = tcp[at + 1];
		if (tcp[at] == TCP_OPTION_SEGMENT && n == 4)
			set_number(tcp, at + 2, largest);
	}
}
