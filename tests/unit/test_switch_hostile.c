/* SPDX-License-Identifier: Apache-2.0 */
/* The switch of a group (net/switch.h) and guests who want what is not theirs, or that others do not get
 * theirs. */
#include <netinet/in.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/packet.h"
#include "switch_lab.h"
#include "test.h"

enum { A, B, C };

static struct lab lab;

TEST(a_denied_datagram_is_answered_but_not_a_flood_of_them)
{
	lab_open_with(&lab, "public", NULL);
	lab_udp(&lab, A, a_to(LAB_PRIVATE, 5000, 0));
	lab_check_unreachable(&lab, A, PACKET_UNREACHABLE_PROHIBITED);
	for (uint16_t port = 1; port < 1000; port++)
		lab_udp(&lab, A, a_to(LAB_PRIVATE, port, 0));
	CHECK(lab_count(&lab, A) < 100);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	CHECK_INT(lab_counters(&lab, A).denied, 999); /* port 68 is nobody's */
	lab_forget(&lab);
	lab.now += NANOSECONDS_PER_SECOND;
	lab_udp(&lab, A, a_to(LAB_PRIVATE, 5000, 0));
	lab_check_unreachable(&lab, A, PACKET_UNREACHABLE_PROHIBITED);
	lab_close(&lab);
}

TEST(a_spoofed_mac_is_dropped)
{
	struct segment s;

	lab_open_with(&lab, "any", "any");
	s = a_to(lab_address(B), 80, PACKET_SYN);
	frame_tcp(&lab.frame, &s);
	lab_mac(lab_address(B), lab.frame.bytes + 6);
	lab_from(&lab, A, &lab.frame);
	lab_mac(LAB_GATEWAY, lab.frame.bytes + 6);
	lab_from(&lab, A, &lab.frame);
	lab.frame.bytes[6] |= 1;
	lab_from(&lab, A, &lab.frame);
	frame_arp(&lab.frame, lab_address(A), LAB_GATEWAY, 1);
	lab_mac(lab_address(B), lab.frame.bytes + 6);
	lab_mac(lab_address(B), lab.frame.bytes + 14 + 8);
	lab_from(&lab, A, &lab.frame);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_SPOOFED_MAC), 4);
	lab_check_silence(&lab);
	lab_close(&lab);
}

TEST(a_spoofed_address_is_dropped)
{
	static const uint32_t others[] = {LAB_SUBNET + 4, LAB_GATEWAY, LAB_HOST, LAB_OUTSIDE, LAB_SUBNET + 9,
		0, 0x7f000001, 0xffffffff, LAB_SUBNET + 255};

	lab_open_with(&lab, "any", "any");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		for (int to = 0; to < 2; to++) {
			struct segment s = a_to(to ? LAB_OUTSIDE : lab_address(B), 80, PACKET_SYN);

			s.source = others[i];
			frame_tcp(&lab.frame, &s);
			lab_mac(lab_address(A), lab.frame.bytes + 6);
			lab_from(&lab, A, &lab.frame);
			frame_udp(&lab.frame, &s);
			lab_mac(lab_address(A), lab.frame.bytes + 6);
			lab_from(&lab, A, &lab.frame);
			frame_icmp(&lab.frame, others[i], s.destination, PACKET_ICMP_ECHO, 0, 1, "", 0);
			lab_mac(lab_address(A), lab.frame.bytes + 6);
			lab_from(&lab, A, &lab.frame);
		}
	}
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_SPOOFED_ADDRESS), 6 * ARRAY_SIZE(others));
	lab_check_silence(&lab);
	lab_close(&lab);
}

TEST(arp_is_answered_for_all_who_are_there_and_nobody_else)
{
	static const struct {
		uint32_t target;
		bool answered;
	} cases[] = {{LAB_GATEWAY, true}, {LAB_HOST, true}, {LAB_SUBNET + 4, true}, {LAB_SUBNET + 3, false},
		{LAB_SUBNET + 77, false}, {LAB_OUTSIDE, false}, {LAB_SUBNET + 255, false}};

	lab_open_with(&lab, "none", "none");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t mac[6];

		lab_forget(&lab);
		lab_from(&lab, A, frame_arp(&lab.frame, lab_address(A), cases[i].target, PACKET_ARP_REQUEST));
		CHECK_INT(lab.count, cases[i].answered);
		if (!cases[i].answered)
			continue;
		CHECK(lab_packet(&lab, A).arp.operation == PACKET_ARP_REPLY &&
			lab_packet(&lab, A).arp.sender == cases[i].target);
		CHECK(memcmp(lab_packet(&lab, A).arp.sender_mac, lab_mac(cases[i].target, mac), 6) == 0);
	}
	/* A probe, before an address is taken. */
	lab_forget(&lab);
	frame_arp(&lab.frame, lab_address(A), lab_address(B), PACKET_ARP_REQUEST);
	put_u32(lab.frame.bytes + 14 + 14, 0);
	lab_from(&lab, A, &lab.frame);
	CHECK(lab_packet(&lab, A).arp.sender == lab_address(B));
	lab_close(&lab);
}

TEST(arp_cannot_be_poisoned)
{
	lab_open_with(&lab, "any", "any");
	/* Announcements and replies, for its own address and for others'. */
	for (uint16_t operation = 1; operation <= 2; operation++) {
		static const uint32_t senders[] = {
			LAB_SUBNET + 3, LAB_SUBNET + 4, LAB_GATEWAY, LAB_HOST, LAB_OUTSIDE};

		for (size_t i = 0; i < ARRAY_SIZE(senders); i++) {
			frame_arp(&lab.frame, senders[i], senders[i], operation);
			lab_mac(lab_address(A), lab.frame.bytes + 6);
			lab_mac(lab_address(A), lab.frame.bytes + 14 + 8);
			lab_from(&lab, A, &lab.frame);
			/* Straight to its victim. */
			lab_mac(lab_address(B), lab.frame.bytes);
			put_u32(lab.frame.bytes + 14 + 24, lab_address(B));
			lab_from(&lab, A, &lab.frame);
		}
	}
	CHECK_INT(lab_count(&lab, B), 0);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_SPOOFED_ARP), 16);
	/* Another's MAC within the message only. */
	frame_arp(&lab.frame, lab_address(A), LAB_GATEWAY, PACKET_ARP_REQUEST);
	lab_mac(lab_address(B), lab.frame.bytes + 14 + 8);
	lab_from(&lab, A, &lab.frame);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_SPOOFED_ARP), 17);
	/* B's own question is still answered with the truth. */
	lab_from(&lab, B, frame_arp(&lab.frame, lab_address(B), LAB_GATEWAY, PACKET_ARP_REQUEST));
	CHECK(lab_packet(&lab, B).arp.sender_mac[5] == 1);
	lab_close(&lab);
}

TEST(nothing_but_arp_and_ipv4_passes)
{
	static const uint16_t types[] = {
		0x86dd, 0x8100, 0x88a8, 0x88cc, 0x8847, 0x0000, 0x05dc, 0x0801, 0xffff};
	struct segment s;

	lab_open_with(&lab, "any", "any");
	s = a_to(lab_address(B), 80, PACKET_SYN);
	frame_tcp(&lab.frame, &s);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		put_u16(lab.frame.bytes + 12, types[i]);
		lab_from(&lab, A, &lab.frame);
	}
	lab_check_silence(&lab);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_IPV6), 1);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_ETHERTYPE), ARRAY_SIZE(types) - 1);
	/* IPv6 that says it is IPv4. */
	put_u16(lab.frame.bytes + 12, 0x0800);
	lab.frame.bytes[14] = 0x60;
	lab_from(&lab, A, &lab.frame);
	lab_check_silence(&lab);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_MALFORMED), 1);
	lab_close(&lab);
}

TEST(broadcasts_and_multicasts_reach_nobody)
{
	static const uint32_t all[] = {0xffffffff, LAB_SUBNET + 255, 0xe00000fb, 0xeffffffa};
	struct segment s;

	lab_open_with(&lab, "any; allow *", "any");
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		s = a_to(all[i], 5353, 0);
		frame_udp(&lab.frame, &s);
		lab_from(&lab, A, &lab.frame);
		memset(lab.frame.bytes, 0xff, 6);
		lab_from(&lab, A, &lab.frame);
	}
	/* A group's MAC over a member's address. */
	s = a_to(lab_address(B), 5353, 0);
	frame_udp(&lab.frame, &s);
	lab.frame.bytes[0] |= 1;
	lab_from(&lab, A, &lab.frame);
	lab_check_silence(&lab);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_BROADCAST), 9);
	lab_close(&lab);
}

static const uint8_t discover[] = {1, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0x80, 0};

/* A client's message of this type, asking for an address. */
static void send_dhcp(int n, uint8_t type, uint32_t wanted, uint32_t client)
{
	uint8_t data[300] = {0}, *option = data + 240;
	struct segment s = {.destination = 0xffffffff,
		.source_port = 68,
		.destination_port = 67,
		.data = data,
		.size = sizeof data};

	memcpy(data, discover, sizeof discover);
	lab_mac(client, data + 28);
	put_u32(data + 236, 0x63825363);
	*option++ = 53;
	*option++ = 1;
	*option++ = type;
	if (wanted) {
		*option++ = 50;
		*option++ = 4;
		put_u32(option, wanted);
		option += 4;
	}
	*option = 255;
	frame_udp(&lab.frame, &s);
	memset(lab.frame.bytes, 0xff, 6);
	lab_mac(lab_address(n), lab.frame.bytes + 6);
	lab_from(&lab, n, &lab.frame);
}

TEST(dhcp_gives_a_port_its_own_address_and_no_other)
{
	struct packet p;

	lab_open_with(&lab, "public", "public");
	send_dhcp(A, 1, 0, lab_address(A));
	p = lab_packet(&lab, A);
	CHECK(p.source == LAB_GATEWAY && p.source_port == 67 && p.destination_port == 68);
	CHECK_INT(get_u32(p.frame + p.data_at + 16), lab_address(A));
	CHECK_INT(p.frame[p.data_at + 242], 2); /* OFFER */
	send_dhcp(A, 3, lab_address(A), lab_address(A));
	p = lab_packet(&lab, A);
	CHECK_INT(get_u32(p.frame + p.data_at + 16), lab_address(A));
	CHECK_INT(p.frame[p.data_at + 242], 5); /* ACK */
	send_dhcp(A, 3, lab_address(B), lab_address(A));
	p = lab_packet(&lab, A);
	CHECK_INT(p.frame[p.data_at + 242], 6); /* NAK */
	CHECK_INT(get_u32(p.frame + p.data_at + 16), 0);
	lab_forget(&lab);
	send_dhcp(A, 1, 0, lab_address(B)); /* in another's name */
	lab.frame.bytes[42 + 236] ^= 1;     /* no DHCP */
	frame_sum(&lab.frame);
	lab_from(&lab, A, &lab.frame);
	lab_check_silence(&lab);
	lab_close(&lab);
}

TEST(a_rogue_server_of_dhcp_reaches_nobody)
{
	static const uint32_t to[] = {0xffffffff, LAB_SUBNET + 4, LAB_SUBNET + 255, LAB_OUTSIDE};

	lab_open_with(&lab, "any; allow *", "any");
	send_dhcp(B, 1, 0, lab_address(B));
	CHECK_INT(lab_count(&lab, A), 0); /* the question is not even heard */
	lab_forget(&lab);
	for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
		struct segment s = a_to(to[i], 68, 0);

		s.source_port = 67;
		lab_udp(&lab, A, s);
		memset(lab.frame.bytes, 0xff, 6);
		lab_from(&lab, A, &lab.frame);
		s.source_port = 4000;
		lab_udp(&lab, A, s);
		s.source_port = 67;
		s.destination_port = 4011;
		lab_udp(&lab, A, s);
	}
	lab_check_silence(&lab);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_ROGUE_DHCP), 16);
	lab_close(&lab);
}

TEST(fragments_do_not_pass_in_any_order)
{
	struct segment s;

	lab_open_with(&lab, "any", "any");
	for (int round = 0; round < 4; round++) {
		static const uint16_t fields[4][3] = {{0x2000, 0x2001, 0x0003}, {0x0003, 0x2001, 0x2000},
			{0x2000, 0x2000, 0x0001}, {0x2003, 0x0001, 0x2000}};

		for (int i = 0; i < 3; i++) {
			s = a_to(round % 2 ? LAB_OUTSIDE : lab_address(B), 80, PACKET_SYN);
			s.data = "0123456789abcdef0123456789abcdef0123456789ab";
			s.size = 44;
			frame_tcp(&lab.frame, &s);
			put_u16(lab.frame.bytes + 14 + 6, fields[round][i]);
			frame_sum(&lab.frame);
			lab_from(&lab, A, &lab.frame);
		}
	}
	lab_check_silence(&lab);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_FRAGMENT), 12);
	lab_close(&lab);
}

/* A first fragment that is allowed, and a second that lies over it with another port: RFC 1858's attack. */
TEST(overlapping_fragments_never_get_past_a_verdict)
{
	struct segment s = a_to(LAB_OUTSIDE, 80, PACKET_SYN);

	lab_open_with(&lab, "public; deny *:22", NULL);
	lab_tcp(&lab, A, s); /* the flow is there */
	lab_check_same(&lab, LAB_EGRESS);
	lab_forget(&lab);
	for (uint16_t offset = 0; offset < 4; offset++) {
		struct segment over = a_to(LAB_OUTSIDE, 22, PACKET_SYN);

		frame_tcp(&lab.frame, &s);
		put_u16(lab.frame.bytes + 14 + 6, 0x2000);
		frame_sum(&lab.frame);
		lab_from(&lab, A, &lab.frame);
		frame_tcp(&lab.frame, &over);
		put_u16(lab.frame.bytes + 14 + 6, offset);
		if (offset == 0)
			continue; /* that would be whole */
		frame_sum(&lab.frame);
		lab_from(&lab, A, &lab.frame);
	}
	lab_check_silence(&lab);
	lab_close(&lab);
}

TEST(ip_options_are_not_carried)
{
	static const uint8_t options[][4] = {{0x83, 3, 4, 0}, {0x07, 3, 4, 0}, {0x94, 4, 0, 0}, {1, 1, 1, 0}};
	struct segment s = a_to(LAB_OUTSIDE, 80, PACKET_SYN);

	lab_open_with(&lab, "any", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		frame_tcp(&lab.frame, &s);
		memmove(lab.frame.bytes + 38, lab.frame.bytes + 34, 20);
		memcpy(lab.frame.bytes + 34, options[i], 4);
		lab.frame.bytes[14] = 0x46;
		lab.frame.n += 4;
		put_u16(lab.frame.bytes + 16, (uint16_t)(lab.frame.n - 14));
		frame_sum(&lab.frame);
		lab_from(&lab, A, &lab.frame);
	}
	lab_check_silence(&lab);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_OPTIONS), ARRAY_SIZE(options));
	lab_close(&lab);
}

TEST(a_truncated_frame_is_dropped_wherever_it_is_cut)
{
	struct segment s = a_to(LAB_OUTSIDE, 80, PACKET_SYN);

	lab_open_with(&lab, "any", "any");
	for (int kind = 0; kind < 4; kind++) {
		size_t whole;

		if (kind == 0)
			frame_tcp(&lab.frame, &s);
		else if (kind == 1)
			frame_udp(&lab.frame, &s);
		else if (kind == 2)
			frame_icmp(&lab.frame, lab_address(A), LAB_GATEWAY, PACKET_ICMP_ECHO, 0, 1, "ab", 2);
		else
			frame_arp(&lab.frame, lab_address(A), LAB_GATEWAY, 1);
		whole = lab.frame.n;
		for (lab.frame.n = 0; lab.frame.n < whole; lab.frame.n++)
			lab_from(&lab, A, &lab.frame);
		CHECK_INT(lab.count, 0);
		lab_from(&lab, A, &lab.frame);
		CHECK_INT(lab.count, 1);
		lab_forget(&lab);
	}
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_TRUNCATED), 54 + 42 + 44 + 42);
	lab_close(&lab);
}

TEST(what_trails_a_packet_stays_here)
{
	struct segment s = a_to(LAB_OUTSIDE, 80, PACKET_SYN);

	lab_open_with(&lab, "any", NULL);
	frame_tcp(&lab.frame, &s);
	memset(lab.frame.bytes + lab.frame.n, 'x', 6);
	lab.frame.n += 6;
	lab_from(&lab, A, &lab.frame);
	CHECK_INT(lab_last(&lab, LAB_EGRESS)->n, 54);
	lab_close(&lab);
}

TEST(a_giant_frame_is_dropped_and_the_largest_passes)
{
	static char data[SWITCH_MTU];
	struct segment s;

	lab_open_with(&lab, "any", "any");
	s = a_to(lab_address(B), 80, PACKET_SYN);
	lab_tcp(&lab, A, s);
	s.flags = PACKET_ACK;
	s.data = data;
	s.size = SWITCH_MTU - 40;
	lab_tcp(&lab, A, s);
	lab_check_same(&lab, B);
	lab_forget(&lab);
	s.size++;
	lab_tcp(&lab, A, s);
	lab.frame.n = sizeof lab.frame.bytes;
	lab_from(&lab, A, &lab.frame);
	lab_check_silence(&lab);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_GIANT), 2);
	lab_close(&lab);
}

TEST(wrong_checksums_are_dropped)
{
	static const size_t at[] = {14 + 10, 34 + 16};
	struct segment s;

	lab_open_with(&lab, "any", "any");
	s = a_to(lab_address(B), 80, PACKET_SYN);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		frame_tcp(&lab.frame, &s);
		lab.frame.bytes[at[i]] ^= 0x55;
		lab_from(&lab, A, &lab.frame);
	}
	frame_udp(&lab.frame, &s);
	lab.frame.bytes[34 + 6] ^= 0x55;
	lab_from(&lab, A, &lab.frame);
	frame_icmp(&lab.frame, lab_address(A), LAB_GATEWAY, PACKET_ICMP_ECHO, 0, 1, "ab", 2);
	lab.frame.bytes[36] ^= 0x55;
	lab_from(&lab, A, &lab.frame);
	lab_check_silence(&lab);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_CHECKSUM), 4);
	/* UDP may go without. */
	frame_udp(&lab.frame, &s);
	put_u16(lab.frame.bytes + 34 + 6, 0);
	lab_from(&lab, A, &lab.frame);
	lab_check_same(&lab, B);
	lab_close(&lab);
}

TEST(flags_that_make_no_sense_start_nothing)
{
	static const uint8_t flags[] = {0, PACKET_FIN, PACKET_FIN | PACKET_PSH | PACKET_URG,
		PACKET_SYN | PACKET_FIN, PACKET_SYN | PACKET_RST, PACKET_SYN | PACKET_ACK | PACKET_FIN, 0x3f,
		PACKET_URG};

	lab_open_with(&lab, "any", "any");
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		lab_tcp(&lab, A, a_to(lab_address(B), 80, flags[i]));
	lab_check_silence(&lab);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_MALFORMED), ARRAY_SIZE(flags));
	lab_close(&lab);
}

TEST(other_protocols_do_not_pass)
{
	struct segment s;

	lab_open_with(&lab, "any", "any");
	s = a_to(lab_address(B), 80, 0);
	frame_udp(&lab.frame, &s);
	lab.frame.bytes[14 + 9] = 132; /* SCTP */
	frame_sum(&lab.frame);
	lab_from(&lab, A, &lab.frame);
	CHECK_INT(lab_count(&lab, B), 0);
	lab_check_unreachable(&lab, A, PACKET_UNREACHABLE_PROHIBITED);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_PROTOCOL), 1);
	lab_close(&lab);
}

TEST(an_icmp_error_passes_only_if_it_is_about_a_flow)
{
	struct segment s = a_to(LAB_OUTSIDE, 5000, 0);
	struct frame error;

	lab_open_with(&lab, "any", "any");
	lab_udp(&lab, A, s);
	lab_forget(&lab);
	/* About this flow, from the world. */
	frame_icmp(&error, LAB_GATEWAY, lab_address(A), 3, 3, 0, lab.frame.bytes + 14, 28);
	lab_from(&lab, LAB_EGRESS, &error);
	CHECK_INT(lab_count(&lab, A), 1);
	/* About another. */
	put_u16(error.bytes + 14 + 20 + 8 + 20, 40001);
	frame_sum(&error);
	lab_from(&lab, LAB_EGRESS, &error);
	CHECK_INT(lab_count(&lab, A), 1);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_ICMP), 1);
	/* A redirect, and from a member whose packet it is not about. */
	lab_forget(&lab);
	frame_icmp(&error, LAB_GATEWAY, lab_address(A), 5, 1, LAB_SUBNET + 4, lab.frame.bytes + 14, 28);
	lab_from(&lab, LAB_EGRESS, &error);
	frame_icmp(&error, LAB_GATEWAY, lab_address(A), 4, 0, 0, lab.frame.bytes + 14, 28); /* slow down */
	lab_from(&lab, LAB_EGRESS, &error);
	frame_icmp(&error, lab_address(B), lab_address(A), 3, 3, 0, lab.frame.bytes + 14, 28);
	lab_from(&lab, B, &error);
	CHECK_INT(lab_dropped(&lab, B, SWITCH_DROP_ICMP), 1);
	lab_check_silence(&lab);
	/* To another whose flow looks the same. */
	s.source = lab_address(B);
	lab_udp(&lab, B, s);
	s.source = lab_address(A);
	frame_udp(&lab.frame, &s);
	lab_forget(&lab);
	frame_icmp(&error, LAB_GATEWAY, lab_address(B), 3, 3, 0, lab.frame.bytes + 14, 28);
	lab_from(&lab, LAB_EGRESS, &error);
	lab_check_silence(&lab);
	/* From the one it was sent to. */
	s.destination = lab_address(B);
	lab_udp(&lab, A, s);
	lab_forget(&lab);
	frame_icmp(&error, lab_address(B), lab_address(A), 3, 3, 0, lab.frame.bytes + 14, 28);
	lab_from(&lab, B, &error);
	CHECK_INT(lab_count(&lab, A), 1);
	lab_close(&lab);
}

TEST(odd_icmp_is_not_carried)
{
	static const uint8_t types[] = {0, 5, 9, 10, 13, 14, 15, 17, 30, 42};

	lab_open_with(&lab, "any; allow *", "any");
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		lab_from(&lab, A,
			frame_icmp(&lab.frame, lab_address(A), lab_address(B), types[i], 0, 1,
				"0123456789012345678901234567", 28));
		lab_from(&lab, A, frame_icmp(&lab.frame, lab_address(A), LAB_OUTSIDE, types[i], 0, 1, "", 0));
	}
	lab_from(&lab, LAB_EGRESS,
		frame_icmp(&lab.frame, LAB_OUTSIDE, lab_address(A), PACKET_ICMP_ECHO, 0, 1, "", 0));
	lab_check_silence(&lab);
	lab_close(&lab);
}

TEST(what_the_world_sends_unasked_is_dropped)
{
	struct segment s = {.source = LAB_OUTSIDE,
		.destination = LAB_SUBNET + 3,
		.source_port = 443,
		.destination_port = 8000,
		.flags = PACKET_SYN};

	lab_open_with(&lab, "any", "any");
	lab_tcp(&lab, LAB_EGRESS, s);
	lab_udp(&lab, LAB_EGRESS, s);
	s.flags = PACKET_ACK;
	lab_tcp(&lab, LAB_EGRESS, s);
	s.flags = PACKET_SYN | PACKET_ACK;
	lab_tcp(&lab, LAB_EGRESS, s);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_UNKNOWN_FLOW), 4);
	/* In a member's name, and to nobody. */
	s.source = lab_address(B);
	lab_tcp(&lab, LAB_EGRESS, s);
	s.source = LAB_OUTSIDE;
	s.destination = LAB_SUBNET + 50;
	lab_tcp(&lab, LAB_EGRESS, s);
	lab_check_silence(&lab);
	CHECK_INT(lab_dropped(&lab, LAB_EGRESS, SWITCH_DROP_SPOOFED_ADDRESS), 1);
	CHECK_INT(lab_dropped(&lab, LAB_EGRESS, SWITCH_DROP_NOBODY), 1);
	lab_close(&lab);
}

TEST(what_the_world_sends_must_be_right_too)
{
	struct segment s = answer_to(a_to(LAB_OUTSIDE, 9, 0), 0);

	lab_open_with(&lab, "any", NULL);
	lab_udp(&lab, A, a_to(LAB_OUTSIDE, 9, 0));
	lab_forget(&lab);
	frame_udp(&lab.frame, &s);
	lab.frame.n--;
	lab_from(&lab, LAB_EGRESS, &lab.frame);
	frame_udp(&lab.frame, &s);
	put_u16(lab.frame.bytes + 14 + 6, 0x2000);
	frame_sum(&lab.frame);
	lab_from(&lab, LAB_EGRESS, &lab.frame);
	frame_udp(&lab.frame, &s);
	lab.frame.bytes[14 + 9] = 47;
	frame_sum(&lab.frame);
	lab_from(&lab, LAB_EGRESS, &lab.frame);
	lab_check_silence(&lab);
	CHECK_INT(lab_dropped(&lab, LAB_EGRESS, SWITCH_DROP_TRUNCATED), 1);
	/* Whatever MAC it is sent to, the guest's own arrives. */
	frame_udp(&lab.frame, &s);
	memset(lab.frame.bytes, 0x22, 6);
	lab_from(&lab, LAB_EGRESS, &lab.frame);
	frame_udp(&lab.frame, &s);
	lab_check_same(&lab, A);
	lab_close(&lab);
}

TEST(a_connection_from_outside_opens_no_way_out)
{
	struct segment s = {.source = LAB_PRIVATE,
		.destination = LAB_SUBNET + 3,
		.source_port = 22,
		.destination_port = 8005,
		.flags = PACKET_SYN,
		.sequence = 77};
	struct error err;

	lab_open_with(&lab, "local", NULL);
	CHECK_OK(switch_publish(lab.sw, lab.id[A], IPPROTO_TCP, 8005, 8005, &err));
	lab_tcp(&lab, LAB_EGRESS, s);
	lab_forget(&lab);
	lab_tcp(&lab, A, answer_to(s, PACKET_SYN));
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	lab_check_reset(&lab, A, LAB_PRIVATE);
	lab_close(&lab);
}

TEST(one_port_that_scans_leaves_another_its_flows)
{
	struct segment s;

	lab_open_with(&lab, "any", "any");
	lab.forget = true;
	for (uint16_t i = 0; i < 100; i++) {
		s = a_to(LAB_OUTSIDE, 443, PACKET_SYN);
		s.source = lab_address(B);
		s.source_port = i;
		lab_tcp(&lab, B, s);
		lab_tcp(&lab, LAB_EGRESS, answer_to(s, PACKET_SYN | PACKET_ACK));
		s.flags = PACKET_ACK;
		lab_tcp(&lab, B, s);
	}
	for (uint32_t i = 0; i < 200000; i++) {
		s = a_to(0x08000000 + i, (uint16_t)(i * 7), PACKET_SYN);
		s.source_port = (uint16_t)i;
		lab_tcp(&lab, A, s);
	}
	CHECK_INT(lab_counters(&lab, B).flows, 100);
	CHECK(lab_counters(&lab, A).flows <= FLOWS_PER_SANDBOX);
	lab.forget = false;
	for (uint16_t i = 0; i < 100; i++) {
		s = a_to(LAB_OUTSIDE, 443, PACKET_ACK);
		s.source = lab_address(B);
		s.source_port = i;
		lab_tcp(&lab, B, s);
		lab_check_same(&lab, LAB_EGRESS);
	}
	lab_close(&lab);
}

TEST(a_guest_that_does_not_read_stops_nobody)
{
	struct segment s;

	lab_open_with(&lab, "any", "any");
	lab_add(&lab, C, "any");
	lab.stuck[B] = true;
	for (int i = 0; i < 100; i++) {
		lab_udp(&lab, A, a_to(lab_address(B), 80, 0));
		lab_udp(&lab, A, a_to(lab_address(C), 80, 0));
	}
	CHECK_INT(lab_count(&lab, C), 100);
	CHECK_INT(lab_dropped(&lab, B, SWITCH_DROP_QUEUE_FULL), 100);
	CHECK_INT(lab_counters(&lab, B).frames_out, 0);
	lab.stuck[B] = false;
	s = a_to(lab_address(B), 80, 0);
	lab_udp(&lab, A, s);
	lab_check_same(&lab, B);
	/* Its link is down. */
	switch_set_link(lab.sw, lab.id[B], NULL);
	lab_forget(&lab);
	lab_udp(&lab, A, s);
	lab_check_silence(&lab);
	lab_close(&lab);
}
