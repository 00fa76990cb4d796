/* SPDX-License-Identifier: Apache-2.0 */
/* Frames judged: every length is compared with what holds it, from the outside in. */
#include "codec/packet.h"

#include "codec/packet_bytes.h"

enum { DF = 0x4000, MF = 0x2000, OFFSET = 0x1fff };

const char *packet_fault_text(enum packet_fault fault)
{
	static const char *const texts[] = {[PACKET_RIGHT] = "right",
#define X(name, meaning) [PACKET_FAULT_##name] = meaning,
		PACKET_FAULTS(X)
#undef X
	};

	return fault < PACKET_FAULT_COUNT ? texts[fault] : "unknown";
}

static enum packet_fault parse_arp(size_t n, struct packet *p)
{
	static const uint8_t ipv4_on_ethernet[] = {0, 1, 0x08, 0x00, 6, 4};
	const uint8_t *arp = p->frame + PACKET_ETHERNET_SIZE;

	if (n < PACKET_ETHERNET_SIZE + ARP_SIZE)
		return PACKET_FAULT_SHORT;
	p->arp.operation = be16_get(arp + 6);
	if (memcmp(arp, ipv4_on_ethernet, sizeof ipv4_on_ethernet) ||
		(p->arp.operation != PACKET_ARP_REQUEST && p->arp.operation != PACKET_ARP_REPLY))
		return PACKET_FAULT_ARP;
	p->arp.sender_mac = arp + 8;
	p->arp.sender = be32_get(arp + 14);
	p->arp.target = be32_get(arp + 24);
	p->size = PACKET_ETHERNET_SIZE + ARP_SIZE;
	if (memcmp(p->arp.sender_mac, p->source_mac, PACKET_MAC_SIZE))
		return PACKET_FAULT_ARP_MAC;
	return PACKET_RIGHT;
}

static enum packet_fault parse_tcp(struct packet *p)
{
	const uint8_t *tcp = p->frame + p->payload_at;
	size_t header;

	if (p->payload_size < TCP_SIZE)
		return PACKET_FAULT_TCP;
	header = (size_t)(tcp[12] >> 4) * 4;
	if (header < TCP_SIZE || header > p->payload_size)
		return PACKET_FAULT_TCP;
	p->source_port = be16_get(tcp);
	p->destination_port = be16_get(tcp + 2);
	p->sequence = be32_get(tcp + 4);
	p->acknowledgement = be32_get(tcp + 8);
	p->tcp_flags = tcp[13];
	p->data_at = p->payload_at + header;
	p->data_size = p->payload_size - header;
	return PACKET_RIGHT;
}

static enum packet_fault parse_udp(struct packet *p)
{
	const uint8_t *udp = p->frame + p->payload_at;
	size_t length;

	if (p->payload_size < UDP_SIZE)
		return PACKET_FAULT_UDP;
	length = be16_get(udp + 4);
	/* The rest may come in later fragments. */
	if (length < UDP_SIZE || (length > p->payload_size && !p->more_fragments))
		return PACKET_FAULT_UDP;
	p->source_port = be16_get(udp);
	p->destination_port = be16_get(udp + 2);
	p->data_at = p->payload_at + UDP_SIZE;
	p->data_size = (length < p->payload_size ? length : p->payload_size) - UDP_SIZE;
	return PACKET_RIGHT;
}

static enum packet_fault parse_icmp(struct packet *p)
{
	const uint8_t *icmp = p->frame + p->payload_at;

	if (p->payload_size < ICMP_SIZE)
		return PACKET_FAULT_ICMP;
	p->icmp_type = icmp[0];
	p->icmp_code = icmp[1];
	if (p->icmp_type == PACKET_ICMP_ECHO || p->icmp_type == PACKET_ICMP_ECHO_REPLY)
		p->icmp_id = be16_get(icmp + 4);
	p->data_at = p->payload_at + ICMP_SIZE;
	p->data_size = p->payload_size - ICMP_SIZE;
	return PACKET_RIGHT;
}

static enum packet_fault parse_transport(struct packet *p)
{
	enum packet_fault fault = PACKET_RIGHT;

	p->transport = p->protocol == PACKET_TCP || p->protocol == PACKET_UDP || p->protocol == PACKET_ICMP;
	if (p->protocol == PACKET_TCP)
		fault = parse_tcp(p);
	else if (p->protocol == PACKET_UDP)
		fault = parse_udp(p);
	else if (p->protocol == PACKET_ICMP)
		fault = parse_icmp(p);
	return fault;
}

/* The fields on fragments. A later one must leave the transport's header alone (RFC 3128: offset 8), every
 * one but the last is made of 8-byte units, and the whole fits into a packet. */
static enum packet_fault parse_fragment(struct packet *p, uint16_t field)
{
	p->do_not_fragment = field & DF;
	p->more_fragments = field & MF;
	p->fragment_offset = (uint16_t)((field & OFFSET) * 8);
	p->fragment = field & (MF | OFFSET);
	if (!p->fragment)
		return PACKET_RIGHT;
	if (p->payload_size == 0 || (p->more_fragments && p->payload_size % 8) ||
		(p->fragment_offset && p->fragment_offset < 20) ||
		(size_t)p->header_size + p->fragment_offset + p->payload_size > PACKET_IPV4_MOST)
		return PACKET_FAULT_FRAGMENT;
	return PACKET_RIGHT;
}

static enum packet_fault parse_ipv4(size_t n, struct packet *p)
{
	const uint8_t *ip = p->frame + PACKET_ETHERNET_SIZE;
	size_t total, header;
	enum packet_fault fault;

	if (n < PACKET_ETHERNET_SIZE + IPV4_SIZE)
		return PACKET_FAULT_SHORT;
	if (ip[0] >> 4 != 4)
		return PACKET_FAULT_IP_VERSION;
	header = (size_t)(ip[0] & 15) * 4;
	if (header < IPV4_SIZE || header > n - PACKET_ETHERNET_SIZE)
		return PACKET_FAULT_IP_HEADER;
	total = be16_get(ip + IPV4_LENGTH);
	if (total < header || total > n - PACKET_ETHERNET_SIZE)
		return PACKET_FAULT_IP_LENGTH;
	if (checksum_fold(checksum_add(0, ip, header)) != 0xffff)
		return PACKET_FAULT_IP_CHECKSUM;
	p->size = PACKET_ETHERNET_SIZE + total;
	p->header_size = (uint8_t)header;
	p->options = header > IPV4_SIZE;
	p->id = be16_get(ip + IPV4_ID);
	p->ttl = ip[IPV4_TTL];
	p->protocol = ip[IPV4_PROTOCOL];
	p->source = be32_get(ip + IPV4_SOURCE);
	p->destination = be32_get(ip + IPV4_DESTINATION);
	p->payload_at = PACKET_ETHERNET_SIZE + header;
	p->payload_size = total - header;
	fault = parse_fragment(p, be16_get(ip + IPV4_FRAGMENT));
	if (fault || p->fragment_offset)
		return fault;
	return parse_transport(p);
}

enum packet_fault packet_parse(const uint8_t *frame, size_t n, struct packet *p)
{
	*p = (struct packet){.frame = frame, .size = n};
	if (n < PACKET_ETHERNET_SIZE)
		return PACKET_FAULT_SHORT;
	p->destination_mac = frame;
	p->source_mac = frame + ETHERNET_SOURCE;
	p->ethertype = be16_get(frame + ETHERNET_TYPE);
	if (p->ethertype != PACKET_IPV4 && p->ethertype != PACKET_ARP)
		return PACKET_FAULT_ETHERTYPE;
	if (p->source_mac[0] & 1)
		return PACKET_FAULT_SOURCE_MAC;
	return p->ethertype == PACKET_IPV4 ? parse_ipv4(n, p) : parse_arp(n, p);
}

bool packet_checksum_right(const struct packet *p)
{
	const uint8_t *payload = p->frame + p->payload_at;
	size_t size = p->payload_size;
	uint64_t sum = 0;

	if (!p->transport || p->fragment)
		return false;
	if (p->protocol == PACKET_UDP) {
		size = UDP_SIZE + p->data_size;
		if (be16_get(payload + UDP_CHECKSUM) == 0)
			return true;
	}
	if (p->protocol != PACKET_ICMP)
		sum = checksum_pseudo(p->frame + PACKET_ETHERNET_SIZE, p->protocol, size);
	return checksum_fold(checksum_add(sum, payload, size)) == 0xffff;
}

bool packet_is_icmp_error(const struct packet *p)
{
	return p->transport && p->protocol == PACKET_ICMP &&
	       (p->icmp_type == PACKET_ICMP_UNREACHABLE || p->icmp_type == 4 || p->icmp_type == 5 ||
		       p->icmp_type == PACKET_ICMP_TIME_EXCEEDED || p->icmp_type == 12);
}

bool packet_quoted(const struct packet *p, struct packet_quote *q)
{
	const uint8_t *ip = p->frame + p->data_at;
	size_t header;

	*q = (struct packet_quote){0};
	if (!packet_is_icmp_error(p) || p->data_size < IPV4_SIZE + 8 || ip[0] >> 4 != 4)
		return false;
	header = (size_t)(ip[0] & 15) * 4;
	if (header < IPV4_SIZE || p->data_size < header + 8 || be16_get(ip + IPV4_FRAGMENT) & OFFSET)
		return false;
	q->source = be32_get(ip + IPV4_SOURCE);
	q->destination = be32_get(ip + IPV4_DESTINATION);
	q->protocol = ip[IPV4_PROTOCOL];
	if (q->protocol == PACKET_TCP || q->protocol == PACKET_UDP) {
		q->source_port = be16_get(ip + header);
		q->destination_port = be16_get(ip + header + 2);
	} else if (q->protocol == PACKET_ICMP && ip[header] == PACKET_ICMP_ECHO) {
		q->source_port = be16_get(ip + header + 4);
	}
	return true;
}
