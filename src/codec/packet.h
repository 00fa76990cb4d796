/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of a virtual Ethernet: Ethernet II (RFC 894) with ARP (RFC 826) or IPv4 (RFC 791) and in that TCP
 * (RFC 9293), UDP (RFC 768) or ICMP (RFC 792). Nothing else passes: no VLAN tags, no IPv6.
 *
 * A pure core without allocation: packet_parse() makes a judged view of a frame, in which every length and
 * offset lies within the frame; the builders write answers into a caller's buffer. Addresses and ports are
 * in host order everywhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_MAC_SIZE      6u
#define PACKET_ETHERNET_SIZE 14u
#define PACKET_IPV4_MOST     65535u
#define PACKET_FRAME_MOST    (PACKET_ETHERNET_SIZE + PACKET_IPV4_MOST)
/* Room for an ARP reply, a TCP reset or an ICMP error. */
#define PACKET_ANSWER_ROOM 128u

enum { PACKET_ARP = 0x0806, PACKET_IPV4 = 0x0800 };
enum { PACKET_ICMP = 1, PACKET_TCP = 6, PACKET_UDP = 17 };
enum { PACKET_ARP_REQUEST = 1, PACKET_ARP_REPLY = 2 };
enum { PACKET_FIN = 1, PACKET_SYN = 2, PACKET_RST = 4, PACKET_PSH = 8, PACKET_ACK = 16, PACKET_URG = 32 };
enum {
	PACKET_ICMP_ECHO_REPLY = 0,
	PACKET_ICMP_UNREACHABLE = 3,
	PACKET_ICMP_ECHO = 8,
	PACKET_ICMP_TIME_EXCEEDED = 11,
};
/* Codes of PACKET_ICMP_UNREACHABLE (RFC 792, RFC 1191, RFC 1812). */
enum {
	PACKET_UNREACHABLE_HOST = 1,
	PACKET_UNREACHABLE_PORT = 3,
	PACKET_UNREACHABLE_TOO_LARGE = 4,
	PACKET_UNREACHABLE_PROHIBITED = 13,
};

/* Which rule a frame breaks. name, what it means */
#define PACKET_FAULTS(X) \
	X(SHORT, "cut off in its headers") \
	X(ETHERTYPE, "neither ARP nor IPv4") \
	X(SOURCE_MAC, "the source is no single station") \
	X(ARP, "no ARP for IPv4 on Ethernet") \
	X(ARP_MAC, "ARP that names another sender than the frame") \
	X(IP_VERSION, "not version 4") \
	X(IP_HEADER, "a header length that cannot be") \
	X(IP_LENGTH, "longer than its frame, or shorter than its header") \
	X(IP_CHECKSUM, "a wrong header checksum") \
	X(FRAGMENT, "a fragment that cannot be") \
	X(TCP, "a broken TCP header") \
	X(UDP, "a broken UDP header") \
	X(ICMP, "a broken ICMP header")

enum packet_fault {
	PACKET_RIGHT = 0,
#define X(name, meaning) PACKET_FAULT_##name,
	PACKET_FAULTS(X)
#undef X
		PACKET_FAULT_COUNT
};

/* The view borrows the frame. */
struct packet {
	const uint8_t *frame;
	size_t size; /* of the frame without what trails the packet (padding): what is passed on */
	const uint8_t *source_mac, *destination_mac;
	uint16_t ethertype; /* PACKET_ARP or PACKET_IPV4 */
	struct {
		const uint8_t *sender_mac; /* the frame's source */
		uint32_t sender, target;
		uint16_t operation;
	} arp;

	/* IPv4 */
	uint32_t source, destination;
	size_t payload_at, payload_size; /* behind IP's header, in the frame */
	uint16_t id, fragment_offset;    /* offset in bytes */
	uint8_t protocol, ttl, header_size;
	bool options;        /* has IP options */
	bool fragment;       /* is a part of a packet */
	bool more_fragments; /* and not its last */
	bool do_not_fragment;

	/* TCP, UDP, ICMP; all 0 where `transport` is false: another protocol, or a later fragment */
	bool transport;
	uint8_t tcp_flags;
	uint8_t icmp_type, icmp_code;
	uint16_t source_port, destination_port;
	uint16_t icmp_id; /* of echo and echo reply */
	uint32_t sequence, acknowledgement;
	size_t data_at, data_size; /* behind the transport's header, in the frame */
};

/*
 * Parses a frame; *p is whole only with PACKET_RIGHT (0). A first fragment must hold its transport header
 * (RFC 1858, RFC 3128), a later one must end within 65,535 bytes. The checksums of TCP, UDP and ICMP are not
 * looked at: packet_checksum_right() does that for who reads or answers what they cover.
 */
enum packet_fault packet_parse(const uint8_t *frame, size_t n, struct packet *p);
const char *packet_fault_text(enum packet_fault fault);

/*
 * Whether the checksum of TCP, UDP (0: none, right) or ICMP is right. Whoever judges data by what it says
 * (the first flight) must ask: a receiver drops a segment with a wrong one, and takes other bytes in its
 * place. False for fragments.
 */
bool packet_checksum_right(const struct packet *p);

/* Which packet an ICMP error (types 3, 4, 5, 11, 12) is about: the header that it quotes. False: no error, or
 * too little of it. Ports of TCP and UDP; of an echo its identifier, as the source's; else 0. */
struct packet_quote {
	uint32_t source, destination;
	uint16_t source_port, destination_port;
	uint8_t protocol;
};
bool packet_quoted(const struct packet *p, struct packet_quote *q);

bool packet_is_icmp_error(const struct packet *p);

/*
 * Builders. Each writes a whole frame into out and returns its size; 0 where `room` is too small or such an
 * answer must not be given. `out` and the packet that is answered must not overlap.
 */

/* The reply to a request: request->arp.target is at mac. */
size_t packet_build_arp_reply(const struct packet *request, const uint8_t *mac, uint8_t *out, size_t room);

/* The reset that a closed port answers with, from whom `to` was sent to (RFC 9293 §3.10.7.1). None for a
 * reset, a fragment, a group's MAC, or what is no TCP. */
size_t packet_build_tcp_reset(const struct packet *to, uint8_t *out, size_t room);

/* The reset that p's own sender would end its connection with, in p's place: to whom p was sent to. */
size_t packet_build_tcp_abort(const struct packet *p, uint8_t *out, size_t room);

/*
 * Destination unreachable with a code above, quoting IP's header and 8 bytes, from address `from` at
 * from_mac. mtu: only of TOO_LARGE. None for ICMP errors, later fragments, broadcasts and multicasts (RFC
 * 1122 §3.2.2).
 */
size_t packet_build_icmp_unreachable(const struct packet *to, uint32_t from, const uint8_t *from_mac,
	uint8_t code, uint16_t mtu, uint8_t *out, size_t room);

/* The reply to an echo request that is whole and right, from whom it was sent to. As large as the request. */
size_t packet_build_icmp_echo_reply(const struct packet *to, uint8_t *out, size_t room);

struct packet_udp {
	const uint8_t *source_mac, *destination_mac;
	uint32_t source, destination;
	uint16_t source_port, destination_port;
	const uint8_t *data;
	size_t size; /* at most 65,507 */
};
size_t packet_build_udp(const struct packet_udp *u, uint8_t *out, size_t room);

/*
 * Rewrites the destination or source, in the frame that p was parsed from and in p; checksums are updated
 * incrementally (RFC 1624), UDP's 0 stays 0. mac: NULL leaves the Ethernet address. For IPv4 only.
 */
void packet_set_destination(uint8_t *frame, struct packet *p, uint32_t address, const uint8_t *mac);
void packet_set_source(uint8_t *frame, struct packet *p, uint32_t address, const uint8_t *mac);

/* Makes a SYN say that its sender takes segments of `largest` bytes, in the frame that p was parsed from; the
 * checksum as above. What is no SYN, or has no such option (RFC 9293 §3.7.1), stays as it is. */
void packet_set_segments(uint8_t *frame, const struct packet *p, uint16_t largest);
