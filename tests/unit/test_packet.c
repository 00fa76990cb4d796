/* SPDX-License-Identifier: Apache-2.0 */
/* Frames as they are seen on a wire, broken ones, and what is answered. */
#include "test.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "codec/packet.h"

#define GUEST   0x0a000003u
#define GATEWAY 0x0a000001u

static const uint8_t guest_mac[6] = {0x52, 0x4d, 10, 0, 0, 3}, gateway_mac[6] = {0x52, 0x4d, 10, 0, 0, 1};

/* "who has 10.0.0.1, tell 10.0.0.3", padded to 60 bytes as Ethernet wants. */
static const uint8_t arp_request[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x4d, 10, 0, 0, 3, 0x08,
	0x06, 0, 1, 8, 0, 6, 4, 0, 1, 0x52, 0x4d, 10, 0, 0, 3, 10, 0, 0, 3, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1};

/* The SYN of a Linux client, from 10.0.0.3:54718 to 93.184.216.34:443, with 20 bytes of options. */
static const uint8_t syn[] = {0x52, 0x4d, 10, 0, 0, 1, 0x52, 0x4d, 10, 0, 0, 3, 0x08, 0x00, 0x45, 0x00, 0x00,
	0x3c, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x06, 0xde, 0x98, 10, 0, 0, 3, 93, 184, 216, 34, 0xd5, 0xbe, 0x01,
	0xbb, 0x2e, 0x4a, 0x9d, 0x3c, 0, 0, 0, 0, 0xa0, 0x02, 0xfa, 0xf0, 0xfa, 0x0b, 0, 0, 2, 4, 5, 0xb4, 4,
	2, 8, 10, 0x5c, 0x8b, 0x13, 0x9a, 0, 0, 0, 0, 1, 3, 3, 7};

/* An echo request of ping(8) with 8 bytes of data, from 10.0.0.3 to 10.0.0.1. */
static const uint8_t echo[] = {0x52, 0x4d, 10, 0, 0, 1, 0x52, 0x4d, 10, 0, 0, 3, 0x08, 0x00, 0x45, 0x00, 0x00,
	0x24, 0x4e, 0x2f, 0x40, 0x00, 0x40, 0x01, 0xd8, 0xa6, 10, 0, 0, 3, 10, 0, 0, 1, 8, 0, 0x54, 0x35,
	0x12, 0x34, 0, 1, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'};

static size_t udp_frame(uint8_t *out, size_t room, const char *data)
{
	struct packet_udp u = {
		guest_mac, gateway_mac, GUEST, GATEWAY, 40000, 53, (const uint8_t *)data, strlen(data)};

	return packet_build_udp(&u, out, room);
}

/* The Internet checksum by the book (RFC 1071 §4.1), to judge ours by. */
static uint16_t sum_by_the_book(uint32_t sum, const uint8_t *at, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(at[i] << 8 | at[i + 1]);
	if (n % 2)
		sum += (uint32_t)(at[n - 1] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static bool all_checksums_right(const uint8_t *frame, size_t n)
{
	struct packet p;
	uint32_t pseudo;

	if (packet_parse(frame, n, &p) || p.size != n)
		return false;
	pseudo = (p.source >> 16) + (p.source & 0xffff) + (p.destination >> 16) + (p.destination & 0xffff) +
		 p.protocol + (uint32_t)p.payload_size;
	if (p.protocol == PACKET_ICMP)
		pseudo = 0;
	return sum_by_the_book(0, frame + 14, p.header_size) == 0xffff && packet_checksum_right(&p) &&
	       sum_by_the_book(pseudo, frame + p.payload_at, p.payload_size) == 0xffff;
}

/* A changed IPv4 header gets its checksum. */
static void seal(uint8_t *frame)
{
	uint16_t sum;
	size_t header = (size_t)(frame[14] & 15) * 4;

	frame[24] = frame[25] = 0;
	sum = (uint16_t)~sum_by_the_book(0, frame + 14, header);
	frame[24] = (uint8_t)(sum >> 8);
	frame[25] = (uint8_t)sum;
}

static void put_sum(uint8_t *at, uint32_t start, const uint8_t *from, size_t n)
{
	uint16_t sum;

	at[0] = at[1] = 0;
	sum = (uint16_t)~sum_by_the_book(start, from, n);
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
}

/* The SYN above with other options, n bytes of them. */
static void make_syn(uint8_t *frame, const uint8_t *options, size_t n)
{
	const size_t headers = 14 + 20 + 20;

	memcpy(frame, syn, headers);
	memcpy(frame + headers, options, n);
	frame[17] = (uint8_t)(20 + 20 + n);
	put_sum(frame + 24, 0, frame + 14, 20);
	frame[46] = (uint8_t)((20 + n) / 4 << 4);
	put_sum(frame + 50, PACKET_TCP + 20 + (uint32_t)n + sum_by_the_book(0, frame + 26, 8), frame + 34,
		20 + n);
}

TEST(arp_requests_are_read_and_answered)
{
	struct packet p, reply;
	uint8_t out[PACKET_ANSWER_ROOM];
	size_t n;

	CHECK_INT(packet_parse(arp_request, sizeof arp_request, &p), PACKET_RIGHT);
	CHECK(p.ethertype == PACKET_ARP && p.arp.operation == PACKET_ARP_REQUEST);
	CHECK(p.arp.sender == GUEST && p.arp.target == GATEWAY && p.size == 42);
	n = packet_build_arp_reply(&p, gateway_mac, out, sizeof out);
	CHECK_INT(packet_parse(out, n, &reply), PACKET_RIGHT);
	CHECK(reply.arp.operation == PACKET_ARP_REPLY && reply.arp.sender == GATEWAY &&
		reply.arp.target == GUEST);
	CHECK(memcmp(reply.destination_mac, guest_mac, 6) == 0 &&
		memcmp(reply.arp.sender_mac, gateway_mac, 6) == 0);
	CHECK_INT(packet_build_arp_reply(&p, gateway_mac, out, 41), 0);
}

TEST(arp_that_is_cut_foreign_or_lies_about_its_sender_is_a_fault)
{
	uint8_t frame[sizeof arp_request];
	struct packet p;

	CHECK_INT(packet_parse(arp_request, 41, &p), PACKET_FAULT_SHORT);
	memcpy(frame, arp_request, sizeof frame);
	frame[27] = 9;
	CHECK_INT(packet_parse(frame, sizeof frame, &p), PACKET_FAULT_ARP_MAC);
	memcpy(frame, arp_request, sizeof frame);
	frame[19] = 16; /* addresses of 16 bytes */
	CHECK_INT(packet_parse(frame, sizeof frame, &p), PACKET_FAULT_ARP);
	memcpy(frame, arp_request, sizeof frame);
	frame[21] = 3; /* reverse ARP */
	CHECK_INT(packet_parse(frame, sizeof frame, &p), PACKET_FAULT_ARP);
	frame[6] |= 1;
	CHECK_INT(packet_parse(frame, sizeof frame, &p), PACKET_FAULT_SOURCE_MAC);
}

TEST(a_syn_is_read)
{
	struct packet p;

	CHECK_INT(packet_parse(syn, sizeof syn, &p), PACKET_RIGHT);
	CHECK(p.source == GUEST && p.destination == 0x5db8d822 && p.protocol == PACKET_TCP && p.ttl == 64);
	CHECK(p.source_port == 54718 && p.destination_port == 443 && p.tcp_flags == PACKET_SYN &&
		p.transport);
	CHECK(p.sequence == 0x2e4a9d3c && p.acknowledgement == 0 && p.data_size == 0 &&
		p.data_at == sizeof syn);
	CHECK(!p.fragment && !p.options && p.do_not_fragment && p.size == sizeof syn);
	CHECK(all_checksums_right(syn, sizeof syn));
}

TEST(every_cut_of_a_frame_is_a_fault)
{
	struct packet p;

	for (size_t n = 0; n < sizeof syn; n++) {
		/* A copy of exactly this size, for the sanitizer to watch over. */
		_cleanup_free_ uint8_t *cut = malloc(n ? n : 1);

		memcpy(cut, syn, n);
		CHECK(packet_parse(cut, n, &p) != PACKET_RIGHT);
	}
}

static enum packet_fault with(const uint8_t *frame, size_t n, size_t at, uint8_t value)
{
	uint8_t copy[128];
	struct packet p;

	memcpy(copy, frame, n);
	copy[at] = value;
	if (at < 34 && at >= 14 && at != 24)
		seal(copy);
	return packet_parse(copy, n, &p);
}

TEST(each_broken_field_has_its_fault)
{
	CHECK_INT(with(syn, sizeof syn, 12, 0x86), PACKET_FAULT_ETHERTYPE);  /* 0x8600 */
	CHECK_INT(with(syn, sizeof syn, 14, 0x65), PACKET_FAULT_IP_VERSION); /* 6 */
	CHECK_INT(with(syn, sizeof syn, 14, 0x44), PACKET_FAULT_IP_HEADER);
	CHECK_INT(with(syn, sizeof syn, 17, 0x3d), PACKET_FAULT_IP_LENGTH); /* one byte more than there is */
	CHECK_INT(with(syn, sizeof syn, 17, 0x13), PACKET_FAULT_IP_LENGTH); /* less than the header */
	CHECK_INT(with(syn, sizeof syn, 24, 0x17), PACKET_FAULT_IP_CHECKSUM);
	CHECK_INT(with(syn, sizeof syn, 46, 0x40), PACKET_FAULT_TCP); /* header of 16 bytes */
	CHECK_INT(with(syn, sizeof syn, 46, 0xb0), PACKET_FAULT_TCP); /* 44 bytes, of 40 */
	CHECK_INT(with(syn, sizeof syn, 17, 0x27), PACKET_FAULT_TCP); /* 19 bytes */
	CHECK_INT(with(echo, sizeof echo, 17, 0x1b), PACKET_FAULT_ICMP);
	CHECK_INT(with(syn, sizeof syn, 23, 99),
		PACKET_RIGHT); /* an unknown protocol is the switch's to judge */
}

TEST(udp_lengths_are_held_to_the_packet)
{
	uint8_t frame[128];
	struct packet p;
	size_t n = udp_frame(frame, sizeof frame, "question");

	CHECK(n == 14 + 20 + 8 + 8 && all_checksums_right(frame, n));
	CHECK_INT(packet_parse(frame, n, &p), PACKET_RIGHT);
	CHECK(p.source_port == 40000 && p.destination_port == 53 && p.data_size == 8);
	CHECK(memcmp(frame + p.data_at, "question", 8) == 0);
	frame[39] = 17;
	CHECK_INT(packet_parse(frame, n, &p), PACKET_FAULT_UDP);
	frame[39] = 7;
	CHECK_INT(packet_parse(frame, n, &p), PACKET_FAULT_UDP);
	frame[39] = 12; /* shorter than the packet: what trails it is no data */
	CHECK_INT(packet_parse(frame, n, &p), PACKET_RIGHT);
	CHECK_INT(p.data_size, 4);
	CHECK(!packet_checksum_right(&p));
	frame[40] = frame[41] = 0;
	CHECK(packet_checksum_right(&p)); /* none is right */
}

TEST(fragments_are_told_and_bounded)
{
	uint8_t frame[128];
	struct packet p;
	size_t n = udp_frame(frame, sizeof frame, "question");

	frame[20] = 0x20; /* MF */
	seal(frame);
	CHECK_INT(packet_parse(frame, n, &p), PACKET_RIGHT);
	CHECK(p.fragment && p.more_fragments && p.fragment_offset == 0 && p.transport &&
		p.source_port == 40000);
	CHECK(!packet_checksum_right(&p));
	frame[20] = 0;
	frame[21] = 3; /* offset 24 */
	seal(frame);
	CHECK_INT(packet_parse(frame, n, &p), PACKET_RIGHT);
	CHECK(p.fragment && !p.more_fragments && p.fragment_offset == 24 && !p.transport &&
		p.source_port == 0);
	frame[21] = 1; /* would lie over the transport's header (RFC 3128) */
	seal(frame);
	CHECK_INT(packet_parse(frame, n, &p), PACKET_FAULT_FRAGMENT);
	frame[20] = 0x1f; /* ends behind 65,535 */
	frame[21] = 0xff;
	seal(frame);
	CHECK_INT(packet_parse(frame, n, &p), PACKET_FAULT_FRAGMENT);
	frame[20] = 0x20;
	frame[21] = 3;
	frame[17] = 20 + 9; /* not the last, and no multiple of 8 */
	seal(frame);
	CHECK_INT(packet_parse(frame, n, &p), PACKET_FAULT_FRAGMENT);
	frame[21] = 0;
	frame[17] = 20 + 7; /* a first one without a whole header */
	seal(frame);
	CHECK(packet_parse(frame, n, &p) != PACKET_RIGHT);
}

TEST(options_are_told)
{
	uint8_t frame[sizeof echo + 4];
	struct packet p;

	memcpy(frame, echo, 34);
	memset(frame + 34, 1, 4); /* no operation */
	memcpy(frame + 38, echo + 34, sizeof echo - 34);
	frame[14] = 0x46;
	frame[17] = sizeof frame - 14;
	seal(frame);
	CHECK_INT(packet_parse(frame, sizeof frame, &p), PACKET_RIGHT);
	CHECK(p.options && p.header_size == 24 && p.icmp_id == 0x1234 && p.data_size == 8);
	CHECK(packet_checksum_right(&p));
}

TEST(what_trails_a_packet_is_not_part_of_it)
{
	uint8_t frame[sizeof echo + 10];
	struct packet p;

	memset(frame, 0x55, sizeof frame);
	memcpy(frame, echo, sizeof echo);
	CHECK_INT(packet_parse(frame, sizeof frame, &p), PACKET_RIGHT);
	CHECK(p.size == sizeof echo && p.data_size == 8);
}

TEST(a_syn_is_refused_as_a_closed_port_refuses_it)
{
	struct packet p, r;
	uint8_t out[PACKET_ANSWER_ROOM];
	size_t n;

	CHECK_INT(packet_parse(syn, sizeof syn, &p), PACKET_RIGHT);
	n = packet_build_tcp_reset(&p, out, sizeof out);
	CHECK(n == 54 && all_checksums_right(out, n) && packet_parse(out, n, &r) == PACKET_RIGHT);
	CHECK(r.source == p.destination && r.destination == p.source && r.source_port == 443);
	CHECK(r.destination_port == 54718 && r.tcp_flags == (PACKET_RST | PACKET_ACK));
	CHECK(r.sequence == 0 && r.acknowledgement == p.sequence + 1);
	CHECK(memcmp(r.destination_mac, guest_mac, 6) == 0 && memcmp(r.source_mac, gateway_mac, 6) == 0);
	CHECK_INT(packet_build_tcp_reset(&r, out, sizeof out), 0); /* no reset for a reset */
	CHECK_INT(packet_build_tcp_reset(&p, out, 53), 0);
}

TEST(segments_within_a_connection_are_reset_at_both_ends)
{
	uint8_t frame[sizeof syn], out[PACKET_ANSWER_ROOM];
	struct packet p, r;
	size_t n;

	memcpy(frame, syn, sizeof frame);
	frame[47] = PACKET_ACK | PACKET_PSH;
	frame[45] = 77; /* acknowledgement */
	CHECK_INT(packet_parse(frame, sizeof frame, &p), PACKET_RIGHT);
	n = packet_build_tcp_reset(&p, out, sizeof out);
	CHECK(all_checksums_right(out, n) && packet_parse(out, n, &r) == PACKET_RIGHT);
	CHECK(r.tcp_flags == PACKET_RST && r.sequence == 77 && r.destination == GUEST);
	n = packet_build_tcp_abort(&p, out, sizeof out);
	CHECK(all_checksums_right(out, n) && packet_parse(out, n, &r) == PACKET_RIGHT);
	CHECK(r.tcp_flags == (PACKET_RST | PACKET_ACK) && r.sequence == p.sequence &&
		r.acknowledgement == 77);
	CHECK(r.source == GUEST && r.destination == p.destination && r.source_port == p.source_port);
}

TEST(denials_quote_what_they_are_about)
{
	struct packet p, r;
	struct packet_quote q;
	uint8_t out[PACKET_ANSWER_ROOM], again[PACKET_ANSWER_ROOM];
	size_t n;

	CHECK_INT(packet_parse(syn, sizeof syn, &p), PACKET_RIGHT);
	n = packet_build_icmp_unreachable(
		&p, GATEWAY, gateway_mac, PACKET_UNREACHABLE_PROHIBITED, 0, out, sizeof out);
	CHECK(n == 14 + 20 + 8 + 28 && all_checksums_right(out, n));
	CHECK(packet_parse(out, n, &r) == PACKET_RIGHT && r.source == GATEWAY && r.destination == GUEST);
	CHECK(r.icmp_type == 3 && r.icmp_code == 13 && packet_is_icmp_error(&r) && packet_quoted(&r, &q));
	CHECK(q.source == GUEST && q.destination == p.destination && q.protocol == PACKET_TCP);
	CHECK(q.source_port == 54718 && q.destination_port == 443);
	CHECK(memcmp(out + r.data_at, syn + 14, 28) == 0);
	/* Never about an error (RFC 1122 §3.2.2). */
	CHECK_INT(packet_build_icmp_unreachable(&r, GATEWAY, gateway_mac, 1, 0, again, sizeof again), 0);
	n = packet_build_icmp_unreachable(
		&p, GATEWAY, gateway_mac, PACKET_UNREACHABLE_TOO_LARGE, 1400, out, sizeof out);
	CHECK(all_checksums_right(out, n) && out[40] == 1400 >> 8 && out[41] == (1400 & 0xff));
	CHECK(packet_quoted(&p, &q) == false);
}

TEST(broadcasts_and_odd_sources_get_no_icmp_error)
{
	uint8_t frame[sizeof echo], out[PACKET_ANSWER_ROOM];
	struct packet p;

	memcpy(frame, echo, sizeof frame);
	frame[0] = 0xff;
	CHECK_INT(packet_parse(frame, sizeof frame, &p), PACKET_RIGHT);
	CHECK_INT(packet_build_icmp_unreachable(&p, GATEWAY, gateway_mac, 1, 0, out, sizeof out), 0);
	CHECK_INT(packet_build_icmp_echo_reply(&p, out, sizeof out), 0);
	frame[0] = 0x52;
	for (int i = 0; i < 3; i++) {
		frame[26] = (uint8_t[]){0, 127, 224}[i];
		seal(frame);
		CHECK_INT(packet_parse(frame, sizeof frame, &p), PACKET_RIGHT);
		CHECK_INT(packet_build_icmp_unreachable(&p, GATEWAY, gateway_mac, 1, 0, out, sizeof out), 0);
	}
}

TEST(echo_requests_are_answered_with_their_data)
{
	uint8_t frame[sizeof echo], out[PACKET_ANSWER_ROOM];
	struct packet p, r;
	size_t n;

	CHECK_INT(packet_parse(echo, sizeof echo, &p), PACKET_RIGHT);
	CHECK(all_checksums_right(echo, sizeof echo));
	n = packet_build_icmp_echo_reply(&p, out, sizeof out);
	CHECK(n == sizeof echo && all_checksums_right(out, n) && packet_parse(out, n, &r) == PACKET_RIGHT);
	CHECK(r.icmp_type == 0 && r.icmp_id == 0x1234 && r.source == GATEWAY && r.destination == GUEST);
	CHECK(memcmp(out + r.data_at, "abcdefgh", 8) == 0);
	CHECK_INT(packet_build_icmp_echo_reply(&r, out, sizeof out), 0);
	memcpy(frame, echo, sizeof frame);
	frame[45] ^= 1; /* a broken one is not */
	CHECK_INT(packet_parse(frame, sizeof frame, &p), PACKET_RIGHT);
	CHECK_INT(packet_build_icmp_echo_reply(&p, out, sizeof out), 0);
}

TEST(addresses_are_rewritten_and_checksums_stay_right)
{
	static const uint32_t addresses[] = {0x7f000001, 0, 0xffffffff, 0x0a000002, 0x80000000, 0xf5fffffc};
	uint8_t frame[128];
	struct packet p;

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		memcpy(frame, syn, sizeof syn);
		CHECK_INT(packet_parse(frame, sizeof syn, &p), PACKET_RIGHT);
		packet_set_destination(frame, &p, addresses[i], guest_mac);
		packet_set_source(frame, &p, ~addresses[i], gateway_mac);
		CHECK(all_checksums_right(frame, sizeof syn));
		CHECK_INT(packet_parse(frame, sizeof syn, &p), PACKET_RIGHT);
		CHECK(p.destination == addresses[i] && p.source == ~addresses[i]);
		CHECK(memcmp(p.destination_mac, guest_mac, 6) == 0 &&
			memcmp(p.source_mac, gateway_mac, 6) == 0);
	}
}

TEST(a_syn_s_largest_segment_is_rewritten_and_checksums_stay_right)
{
	static const struct {
		uint8_t options[8];
		size_t at; /* of the number */
		uint16_t is;
	} cases[] = {
		{{2, 4, 0x05, 0xb4, 1, 1, 1, 1}, 2, 65480},
		{{1, 2, 4, 0x05, 0xb4, 1, 1, 1}, 3, 65480},  /* across two words */
		{{4, 2, 2, 4, 0xff, 0xff, 0, 0}, 4, 65480},  /* behind another */
		{{0, 2, 4, 0x05, 0xb4, 0, 0, 0}, 3, 0x05b4}, /* behind the end */
		{{8, 9, 2, 4, 0x05, 0xb4, 1, 1}, 4, 0x05b4}, /* behind one that is too long */
		{{3, 1, 2, 4, 0x05, 0xb4, 1, 1}, 4, 0x05b4}, /* behind one that is too short */
		{{2, 3, 0, 2, 4, 0x05, 0xb4, 1}, 5, 65480},  /* behind one of another size */
		{{1, 1, 1, 1, 1, 1, 2, 4}, 6, 0x0204},       /* cut off */
		{{1, 1, 1, 1, 1, 1, 1, 2}, 6, 0x0102},       /* in its first byte */
	};
	uint8_t frame[62];
	struct packet p;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const uint8_t *at = frame + 54 + cases[i].at;

		make_syn(frame, cases[i].options, sizeof cases[i].options);
		CHECK_INT(packet_parse(frame, sizeof frame, &p), PACKET_RIGHT);
		CHECK(all_checksums_right(frame, sizeof frame));
		packet_set_segments(frame, &p, 65480);
		CHECK_INT(at[0] << 8 | at[1], cases[i].is);
		CHECK(all_checksums_right(frame, sizeof frame));
	}
}

TEST(what_is_no_syn_keeps_its_options)
{
	static const uint8_t options[8] = {2, 4, 0x05, 0xb4, 1, 1, 1, 1};
	uint8_t frame[62], before[62];
	struct packet p;

	make_syn(frame, options, sizeof options);
	frame[47] = PACKET_ACK;
	memcpy(before, frame, sizeof frame);
	CHECK_INT(packet_parse(frame, sizeof frame, &p), PACKET_RIGHT);
	packet_set_segments(frame, &p, 65480);
	CHECK(memcmp(before, frame, sizeof frame) == 0);
}

TEST(a_udp_checksum_of_none_stays_none_and_none_is_made)
{
	uint8_t frame[128], data[2];
	struct packet_udp u = {guest_mac, gateway_mac, GUEST, GATEWAY, 1, 2, data, 2};
	struct packet p;
	size_t n = udp_frame(frame, sizeof frame, "x");

	frame[40] = frame[41] = 0;
	CHECK_INT(packet_parse(frame, n, &p), PACKET_RIGHT);
	packet_set_destination(frame, &p, 0x7f000001, NULL);
	CHECK(frame[40] == 0 && frame[41] == 0 && packet_checksum_right(&p));
	/* One of all 65,536 data words makes the sum 0, which is sent as 0xffff (RFC 768). */
	for (uint32_t word = 0; word < 65536; word++) {
		data[0] = (uint8_t)(word >> 8);
		data[1] = (uint8_t)word;
		n = packet_build_udp(&u, frame, sizeof frame);
		CHECK(frame[40] || frame[41]);
		CHECK(all_checksums_right(frame, n));
	}
}

TEST(only_what_fits_is_built)
{
	static uint8_t data[65508], out[PACKET_FRAME_MOST];
	struct packet_udp u = {guest_mac, gateway_mac, GUEST, GATEWAY, 1, 2, data, 65507};
	struct packet p;

	CHECK_INT(packet_build_udp(&u, out, sizeof out), PACKET_FRAME_MOST);
	CHECK_INT(packet_parse(out, sizeof out, &p), PACKET_RIGHT);
	CHECK(p.data_size == 65507 && packet_checksum_right(&p));
	CHECK_INT(packet_build_udp(&u, out, sizeof out - 1), 0);
	u.size++;
	CHECK_INT(packet_build_udp(&u, out, sizeof out), 0);
}
