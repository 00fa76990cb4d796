/* SPDX-License-Identifier: Apache-2.0 */
/* The switch of a group (net/switch.h), by hostile and honest frames: what leaves, what does not, what is
 * answered. */
#include <netinet/in.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/packet.h"
#include "switch_lab.h"
#include "test.h"

enum { A, B, C };

static struct lab lab;
static struct frame frame;

static void open_lab(const char *a, const char *b)
{
	lab_open(&lab);
	lab_add(&lab, A, a);
	if (b)
		lab_add(&lab, B, b);
}

static void send_tcp(int from, struct segment s)
{
	lab_from(&lab, from, frame_tcp(&frame, &s));
}

static void send_udp(int from, struct segment s)
{
	lab_from(&lab, from, frame_udp(&frame, &s));
}

static struct segment a_to(uint32_t destination, uint16_t port, uint8_t flags)
{
	return (struct segment){.source = lab_address(A),
		.destination = destination,
		.source_port = 40000,
		.destination_port = port,
		.sequence = 1000,
		.acknowledgement = 5000,
		.flags = flags};
}

/* The same segment turned round. */
static struct segment answer_to(struct segment s, uint8_t flags)
{
	return (struct segment){.source = s.destination,
		.destination = s.source,
		.source_port = s.destination_port,
		.destination_port = s.source_port,
		.sequence = 5000,
		.acknowledgement = s.sequence + 1,
		.flags = flags};
}

/* What came out last to somebody, parsed. */
static struct packet last(int to)
{
	const struct came_out *o = lab_last(&lab, to);
	struct packet p;

	CHECK(o);
	CHECK_INT(packet_parse(o->bytes, o->n, &p), PACKET_RIGHT);
	CHECK(p.ethertype == PACKET_ARP || packet_checksum_right(&p));
	return p;
}

static void check_same(int to)
{
	const struct came_out *o = lab_last(&lab, to);

	CHECK(o && o->n == frame.n && memcmp(o->bytes, frame.bytes, frame.n) == 0);
}

static void check_silence(void)
{
	CHECK_INT(lab.count, 0);
}

static void check_reset(int to, uint32_t from)
{
	struct packet p = last(to);

	CHECK(p.protocol == IPPROTO_TCP && p.tcp_flags & PACKET_RST);
	CHECK_INT(p.source, from);
}

static void check_prohibited(int to, uint8_t code)
{
	struct packet p = last(to);

	CHECK(p.protocol == IPPROTO_ICMP && p.icmp_type == PACKET_ICMP_UNREACHABLE);
	CHECK_INT(p.icmp_code, code);
	CHECK_INT(p.source, LAB_GATEWAY);
}

TEST(members_reach_each_other)
{
	struct segment s;

	open_lab("local", "local");
	s = a_to(lab_address(B), 80, PACKET_SYN);
	send_tcp(A, s);
	check_same(B);
	send_tcp(B, answer_to(s, PACKET_SYN | PACKET_ACK));
	check_same(A);
	s.data = "hello";
	s.size = 5;
	s.flags = PACKET_ACK;
	send_tcp(A, s);
	check_same(B);
	send_udp(A, s);
	check_same(B);
	send_udp(B, answer_to(s, 0));
	check_same(A);
	lab_from(&lab, A,
		frame_icmp(&frame, lab_address(A), lab_address(B), PACKET_ICMP_ECHO, 0, 0x12340001, "x", 1));
	check_same(B);
	lab_from(&lab, B,
		frame_icmp(&frame, lab_address(B), lab_address(A), PACKET_ICMP_ECHO_REPLY, 0, 0x12340001, "x",
			1));
	check_same(A);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	CHECK_INT(lab_counters(&lab, A).flows, 3);
	lab_close(&lab);
}

TEST(a_frame_to_a_member_gets_its_mac_whatever_the_sender_wrote)
{
	struct segment s;
	uint8_t mac[6];

	open_lab("local", "local");
	s = a_to(lab_address(B), 80, PACKET_SYN);
	frame_tcp(&frame, &s);
	lab_mac(LAB_GATEWAY, frame.bytes);
	lab_from(&lab, A, &frame);
	CHECK(memcmp(lab_last(&lab, B)->bytes, lab_mac(lab_address(B), mac), 6) == 0);
	lab_close(&lab);
}

TEST(what_the_policy_allows_leaves_and_its_answers_come_back)
{
	struct segment s = a_to(LAB_OUTSIDE, 443, PACKET_SYN);

	open_lab("public", NULL);
	send_tcp(A, s);
	check_same(LAB_EGRESS);
	send_tcp(LAB_EGRESS, answer_to(s, PACKET_SYN | PACKET_ACK));
	check_same(A);
	CHECK_INT(lab.verdicts, 1);
	CHECK(lab.last.kind == VERDICT_ALLOW);
	lab_close(&lab);
}

TEST(a_denied_connection_is_reset_at_once)
{
	struct segment s = a_to(LAB_PRIVATE, 22, PACKET_SYN);
	struct packet p;

	open_lab("public", NULL);
	send_tcp(A, s);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	check_reset(A, LAB_PRIVATE);
	p = last(A);
	CHECK(p.tcp_flags == (PACKET_RST | PACKET_ACK) && p.acknowledgement == 1001 &&
		p.destination_port == 40000);
	CHECK(lab.last.kind == VERDICT_DENY && lab.last.reason == REASON_NOT_PUBLIC);
	CHECK_INT(lab_counters(&lab, A).denied, 1);
	CHECK_INT(lab_counters(&lab, A).flows, 0);
	lab_close(&lab);
}

TEST(a_denied_datagram_is_answered_but_not_a_flood_of_them)
{
	open_lab("public", NULL);
	send_udp(A, a_to(LAB_PRIVATE, 5000, 0));
	check_prohibited(A, PACKET_UNREACHABLE_PROHIBITED);
	for (uint16_t port = 1; port < 1000; port++)
		send_udp(A, a_to(LAB_PRIVATE, port, 0));
	CHECK(lab_count(&lab, A) < 100);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	CHECK_INT(lab_counters(&lab, A).denied, 999); /* port 68 is nobody's */
	lab_forget(&lab);
	lab.now += NANOSECONDS_PER_SECOND;
	send_udp(A, a_to(LAB_PRIVATE, 5000, 0));
	check_prohibited(A, PACKET_UNREACHABLE_PROHIBITED);
	lab_close(&lab);
}

TEST(a_segment_of_no_connection_is_reset)
{
	open_lab("any", "any");
	send_tcp(A, a_to(LAB_OUTSIDE, 443, PACKET_ACK));
	check_reset(A, LAB_OUTSIDE);
	send_tcp(A, a_to(LAB_OUTSIDE, 443, PACKET_SYN | PACKET_ACK));
	check_reset(A, LAB_OUTSIDE);
	send_tcp(A, a_to(lab_address(B), 443, PACKET_SYN | PACKET_ACK));
	check_reset(A, lab_address(B));
	lab_forget(&lab);
	send_tcp(A, a_to(LAB_OUTSIDE, 443, PACKET_RST));
	check_silence();
	lab_close(&lab);
}

TEST(connections_between_members_survive_a_new_switch)
{
	struct segment s;

	open_lab("local", "local; deny 10.1.2.3:1-100");
	s = a_to(lab_address(B), 80, PACKET_ACK);
	send_tcp(A, s);
	check_same(B);
	send_tcp(B, answer_to(s, PACKET_ACK));
	check_same(A);
	lab_close(&lab);
}

TEST(a_spoofed_mac_is_dropped)
{
	struct segment s;

	open_lab("any", "any");
	s = a_to(lab_address(B), 80, PACKET_SYN);
	frame_tcp(&frame, &s);
	lab_mac(lab_address(B), frame.bytes + 6);
	lab_from(&lab, A, &frame);
	lab_mac(LAB_GATEWAY, frame.bytes + 6);
	lab_from(&lab, A, &frame);
	frame.bytes[6] |= 1;
	lab_from(&lab, A, &frame);
	frame_arp(&frame, lab_address(A), LAB_GATEWAY, 1);
	lab_mac(lab_address(B), frame.bytes + 6);
	lab_mac(lab_address(B), frame.bytes + 14 + 8);
	lab_from(&lab, A, &frame);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_SPOOFED_MAC), 4);
	check_silence();
	lab_close(&lab);
}

TEST(a_spoofed_address_is_dropped)
{
	static const uint32_t others[] = {LAB_SUBNET + 4, LAB_GATEWAY, LAB_HOST, LAB_OUTSIDE, LAB_SUBNET + 9,
		0, 0x7f000001, 0xffffffff, LAB_SUBNET + 255};

	open_lab("any", "any");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		for (int to = 0; to < 2; to++) {
			struct segment s = a_to(to ? LAB_OUTSIDE : lab_address(B), 80, PACKET_SYN);

			s.source = others[i];
			frame_tcp(&frame, &s);
			lab_mac(lab_address(A), frame.bytes + 6);
			lab_from(&lab, A, &frame);
			frame_udp(&frame, &s);
			lab_mac(lab_address(A), frame.bytes + 6);
			lab_from(&lab, A, &frame);
			frame_icmp(&frame, others[i], s.destination, PACKET_ICMP_ECHO, 0, 1, "", 0);
			lab_mac(lab_address(A), frame.bytes + 6);
			lab_from(&lab, A, &frame);
		}
	}
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_SPOOFED_ADDRESS), 6 * ARRAY_SIZE(others));
	check_silence();
	lab_close(&lab);
}

TEST(arp_is_answered_for_all_who_are_there_and_nobody_else)
{
	static const struct {
		uint32_t target;
		bool answered;
	} cases[] = {{LAB_GATEWAY, true}, {LAB_HOST, true}, {LAB_SUBNET + 4, true}, {LAB_SUBNET + 3, false},
		{LAB_SUBNET + 77, false}, {LAB_OUTSIDE, false}, {LAB_SUBNET + 255, false}};

	open_lab("none", "none");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t mac[6];

		lab_forget(&lab);
		lab_from(&lab, A, frame_arp(&frame, lab_address(A), cases[i].target, PACKET_ARP_REQUEST));
		CHECK_INT(lab.count, cases[i].answered);
		if (!cases[i].answered)
			continue;
		CHECK(last(A).arp.operation == PACKET_ARP_REPLY && last(A).arp.sender == cases[i].target);
		CHECK(memcmp(last(A).arp.sender_mac, lab_mac(cases[i].target, mac), 6) == 0);
	}
	/* A probe, before an address is taken. */
	lab_forget(&lab);
	frame_arp(&frame, lab_address(A), lab_address(B), PACKET_ARP_REQUEST);
	put_u32(frame.bytes + 14 + 14, 0);
	lab_from(&lab, A, &frame);
	CHECK(last(A).arp.sender == lab_address(B));
	lab_close(&lab);
}

TEST(arp_cannot_be_poisoned)
{
	open_lab("any", "any");
	/* Announcements and replies, for its own address and for others'. */
	for (uint16_t operation = 1; operation <= 2; operation++) {
		static const uint32_t senders[] = {
			LAB_SUBNET + 3, LAB_SUBNET + 4, LAB_GATEWAY, LAB_HOST, LAB_OUTSIDE};

		for (size_t i = 0; i < ARRAY_SIZE(senders); i++) {
			frame_arp(&frame, senders[i], senders[i], operation);
			lab_mac(lab_address(A), frame.bytes + 6);
			lab_mac(lab_address(A), frame.bytes + 14 + 8);
			lab_from(&lab, A, &frame);
			/* Straight to its victim. */
			lab_mac(lab_address(B), frame.bytes);
			put_u32(frame.bytes + 14 + 24, lab_address(B));
			lab_from(&lab, A, &frame);
		}
	}
	CHECK_INT(lab_count(&lab, B), 0);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_SPOOFED_ARP), 16);
	/* B's own question is still answered with the truth. */
	lab_from(&lab, B, frame_arp(&frame, lab_address(B), LAB_GATEWAY, PACKET_ARP_REQUEST));
	CHECK(last(B).arp.sender_mac[5] == 1);
	lab_close(&lab);
}

TEST(the_world_learns_where_a_port_is)
{
	open_lab("any", NULL);
	lab_from(&lab, LAB_EGRESS, frame_arp(&frame, LAB_GATEWAY, lab_address(A), PACKET_ARP_REQUEST));
	CHECK(last(LAB_EGRESS).arp.sender == lab_address(A));
	lab_forget(&lab);
	lab_from(&lab, LAB_EGRESS, frame_arp(&frame, LAB_GATEWAY, lab_address(B), PACKET_ARP_REQUEST));
	lab_from(&lab, LAB_EGRESS, frame_arp(&frame, lab_address(A), lab_address(A), PACKET_ARP_REPLY));
	check_silence();
	lab_close(&lab);
}

TEST(nothing_but_arp_and_ipv4_passes)
{
	static const uint16_t types[] = {
		0x86dd, 0x8100, 0x88a8, 0x88cc, 0x8847, 0x0000, 0x05dc, 0x0801, 0xffff};
	struct segment s;

	open_lab("any", "any");
	s = a_to(lab_address(B), 80, PACKET_SYN);
	frame_tcp(&frame, &s);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		put_u16(frame.bytes + 12, types[i]);
		lab_from(&lab, A, &frame);
	}
	check_silence();
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_IPV6), 1);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_ETHERTYPE), ARRAY_SIZE(types) - 1);
	/* IPv6 that says it is IPv4. */
	put_u16(frame.bytes + 12, 0x0800);
	frame.bytes[14] = 0x60;
	lab_from(&lab, A, &frame);
	check_silence();
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_MALFORMED), 1);
	lab_close(&lab);
}

TEST(broadcasts_and_multicasts_reach_nobody)
{
	static const uint32_t all[] = {0xffffffff, LAB_SUBNET + 255, 0xe00000fb, 0xeffffffa};
	struct segment s;

	open_lab("any; allow *", "any");
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		s = a_to(all[i], 5353, 0);
		frame_udp(&frame, &s);
		lab_from(&lab, A, &frame);
		memset(frame.bytes, 0xff, 6);
		lab_from(&lab, A, &frame);
	}
	/* A group's MAC over a member's address. */
	s = a_to(lab_address(B), 5353, 0);
	frame_udp(&frame, &s);
	frame.bytes[0] |= 1;
	lab_from(&lab, A, &frame);
	check_silence();
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
	frame_udp(&frame, &s);
	memset(frame.bytes, 0xff, 6);
	lab_mac(lab_address(n), frame.bytes + 6);
	lab_from(&lab, n, &frame);
}

TEST(dhcp_gives_a_port_its_own_address_and_no_other)
{
	struct packet p;

	open_lab("public", "public");
	send_dhcp(A, 1, 0, lab_address(A));
	p = last(A);
	CHECK(p.source == LAB_GATEWAY && p.source_port == 67 && p.destination_port == 68);
	CHECK_INT(get_u32(p.frame + p.data_at + 16), lab_address(A));
	CHECK_INT(p.frame[p.data_at + 242], 2); /* OFFER */
	send_dhcp(A, 3, lab_address(A), lab_address(A));
	p = last(A);
	CHECK_INT(get_u32(p.frame + p.data_at + 16), lab_address(A));
	CHECK_INT(p.frame[p.data_at + 242], 5); /* ACK */
	send_dhcp(A, 3, lab_address(B), lab_address(A));
	p = last(A);
	CHECK_INT(p.frame[p.data_at + 242], 6); /* NAK */
	CHECK_INT(get_u32(p.frame + p.data_at + 16), 0);
	lab_forget(&lab);
	send_dhcp(A, 1, 0, lab_address(B)); /* in another's name */
	check_silence();
	lab_close(&lab);
}

TEST(a_rogue_server_of_dhcp_reaches_nobody)
{
	static const uint32_t to[] = {0xffffffff, LAB_SUBNET + 4, LAB_SUBNET + 255, LAB_OUTSIDE};

	open_lab("any; allow *", "any");
	send_dhcp(B, 1, 0, lab_address(B));
	CHECK_INT(lab_count(&lab, A), 0); /* the question is not even heard */
	lab_forget(&lab);
	for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
		struct segment s = a_to(to[i], 68, 0);

		s.source_port = 67;
		send_udp(A, s);
		memset(frame.bytes, 0xff, 6);
		lab_from(&lab, A, &frame);
		s.source_port = 4000;
		send_udp(A, s);
	}
	check_silence();
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_ROGUE_DHCP), 12);
	lab_close(&lab);
}

TEST(questions_go_to_the_resolver_and_its_answers_to_who_asked)
{
	struct segment s = a_to(LAB_GATEWAY, 53, 0);
	struct packet p;

	open_lab("local", "local");
	s.data = "question";
	s.size = 8;
	send_udp(A, s);
	CHECK_INT(lab.questions, 1);
	p = last(A); /* the lab's resolver says what it heard */
	CHECK(p.source == LAB_GATEWAY && p.source_port == 53 && p.destination_port == 40000 &&
		p.data_size == 8);
	CHECK_INT(lab.count, 1);
	CHECK_INT(lab_counters(&lab, A).flows, 0);
	/* TCP goes to the resolver's own listener, behind the world's side. */
	send_tcp(A, a_to(LAB_GATEWAY, 53, PACKET_SYN));
	check_same(LAB_EGRESS);
	/* The gateway has nothing else. */
	send_tcp(A, a_to(LAB_GATEWAY, 80, PACKET_SYN));
	check_reset(A, LAB_GATEWAY);
	lab_policy(&lab, A, "none");
	send_udp(A, s);
	CHECK_INT(lab.questions, 1);
	lab_close(&lab);
}

TEST(fragments_do_not_pass_in_any_order)
{
	struct segment s;

	open_lab("any", "any");
	for (int round = 0; round < 4; round++) {
		static const uint16_t fields[4][3] = {{0x2000, 0x2001, 0x0003}, {0x0003, 0x2001, 0x2000},
			{0x2000, 0x2000, 0x0001}, {0x2003, 0x0001, 0x2000}};

		for (int i = 0; i < 3; i++) {
			s = a_to(round % 2 ? LAB_OUTSIDE : lab_address(B), 80, PACKET_SYN);
			s.data = "0123456789abcdef0123456789abcdef0123456789ab";
			s.size = 44;
			frame_tcp(&frame, &s);
			put_u16(frame.bytes + 14 + 6, fields[round][i]);
			frame_sum(&frame);
			lab_from(&lab, A, &frame);
		}
	}
	check_silence();
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_FRAGMENT), 12);
	lab_close(&lab);
}

/* A first fragment that is allowed, and a second that lies over it with another port: RFC 1858's attack. */
TEST(overlapping_fragments_never_get_past_a_verdict)
{
	struct segment s = a_to(LAB_OUTSIDE, 80, PACKET_SYN);

	open_lab("public; deny *:22", NULL);
	send_tcp(A, s); /* the flow is there */
	check_same(LAB_EGRESS);
	lab_forget(&lab);
	for (uint16_t offset = 0; offset < 4; offset++) {
		struct segment over = a_to(LAB_OUTSIDE, 22, PACKET_SYN);

		frame_tcp(&frame, &s);
		put_u16(frame.bytes + 14 + 6, 0x2000);
		frame_sum(&frame);
		lab_from(&lab, A, &frame);
		frame_tcp(&frame, &over);
		put_u16(frame.bytes + 14 + 6, offset);
		if (offset == 0)
			continue; /* that would be whole */
		frame_sum(&frame);
		lab_from(&lab, A, &frame);
	}
	check_silence();
	lab_close(&lab);
}

TEST(ip_options_are_not_carried)
{
	static const uint8_t options[][4] = {{0x83, 3, 4, 0}, {0x07, 3, 4, 0}, {0x94, 4, 0, 0}, {1, 1, 1, 0}};
	struct segment s = a_to(LAB_OUTSIDE, 80, PACKET_SYN);

	open_lab("any", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		frame_tcp(&frame, &s);
		memmove(frame.bytes + 38, frame.bytes + 34, 20);
		memcpy(frame.bytes + 34, options[i], 4);
		frame.bytes[14] = 0x46;
		frame.n += 4;
		put_u16(frame.bytes + 16, (uint16_t)(frame.n - 14));
		frame_sum(&frame);
		lab_from(&lab, A, &frame);
	}
	check_silence();
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_OPTIONS), ARRAY_SIZE(options));
	lab_close(&lab);
}

TEST(a_truncated_frame_is_dropped_wherever_it_is_cut)
{
	struct segment s = a_to(LAB_OUTSIDE, 80, PACKET_SYN);

	open_lab("any", "any");
	for (int kind = 0; kind < 4; kind++) {
		size_t whole;

		if (kind == 0)
			frame_tcp(&frame, &s);
		else if (kind == 1)
			frame_udp(&frame, &s);
		else if (kind == 2)
			frame_icmp(&frame, lab_address(A), LAB_GATEWAY, PACKET_ICMP_ECHO, 0, 1, "ab", 2);
		else
			frame_arp(&frame, lab_address(A), LAB_GATEWAY, 1);
		whole = frame.n;
		for (frame.n = 0; frame.n < whole; frame.n++)
			lab_from(&lab, A, &frame);
		CHECK_INT(lab.count, 0);
		lab_from(&lab, A, &frame);
		CHECK_INT(lab.count, 1);
		lab_forget(&lab);
	}
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_TRUNCATED), 54 + 42 + 44 + 42);
	lab_close(&lab);
}

TEST(what_trails_a_packet_stays_here)
{
	struct segment s = a_to(LAB_OUTSIDE, 80, PACKET_SYN);

	open_lab("any", NULL);
	frame_tcp(&frame, &s);
	memset(frame.bytes + frame.n, 'x', 6);
	frame.n += 6;
	lab_from(&lab, A, &frame);
	CHECK_INT(lab_last(&lab, LAB_EGRESS)->n, 54);
	lab_close(&lab);
}

TEST(a_giant_frame_is_dropped_and_the_largest_passes)
{
	static char data[SWITCH_MTU];
	struct segment s;

	open_lab("any", "any");
	s = a_to(lab_address(B), 80, PACKET_SYN);
	send_tcp(A, s);
	s.flags = PACKET_ACK;
	s.data = data;
	s.size = SWITCH_MTU - 40;
	send_tcp(A, s);
	check_same(B);
	lab_forget(&lab);
	s.size++;
	send_tcp(A, s);
	frame.n = sizeof frame.bytes;
	lab_from(&lab, A, &frame);
	check_silence();
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_GIANT), 2);
	lab_close(&lab);
}

TEST(wrong_checksums_are_dropped)
{
	static const size_t at[] = {14 + 10, 34 + 16};
	struct segment s;

	open_lab("any", "any");
	s = a_to(lab_address(B), 80, PACKET_SYN);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		frame_tcp(&frame, &s);
		frame.bytes[at[i]] ^= 0x55;
		lab_from(&lab, A, &frame);
	}
	frame_udp(&frame, &s);
	frame.bytes[34 + 6] ^= 0x55;
	lab_from(&lab, A, &frame);
	frame_icmp(&frame, lab_address(A), LAB_GATEWAY, PACKET_ICMP_ECHO, 0, 1, "ab", 2);
	frame.bytes[36] ^= 0x55;
	lab_from(&lab, A, &frame);
	check_silence();
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_CHECKSUM), 4);
	/* UDP may go without. */
	frame_udp(&frame, &s);
	put_u16(frame.bytes + 34 + 6, 0);
	lab_from(&lab, A, &frame);
	check_same(B);
	lab_close(&lab);
}

TEST(flags_that_make_no_sense_start_nothing)
{
	static const uint8_t flags[] = {0, PACKET_FIN, PACKET_FIN | PACKET_PSH | PACKET_URG,
		PACKET_SYN | PACKET_FIN, PACKET_SYN | PACKET_RST, PACKET_SYN | PACKET_ACK | PACKET_FIN, 0x3f,
		PACKET_URG};

	open_lab("any", "any");
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		send_tcp(A, a_to(lab_address(B), 80, flags[i]));
	check_silence();
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_MALFORMED), ARRAY_SIZE(flags));
	lab_close(&lab);
}

TEST(other_protocols_do_not_pass)
{
	struct segment s;

	open_lab("any", "any");
	s = a_to(lab_address(B), 80, 0);
	frame_udp(&frame, &s);
	frame.bytes[14 + 9] = 132; /* SCTP */
	frame_sum(&frame);
	lab_from(&lab, A, &frame);
	CHECK_INT(lab_count(&lab, B), 0);
	check_prohibited(A, PACKET_UNREACHABLE_PROHIBITED);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_PROTOCOL), 1);
	lab_close(&lab);
}

TEST(the_gateway_answers_ping)
{
	struct packet p;

	open_lab("local", NULL);
	lab_from(&lab, A,
		frame_icmp(&frame, lab_address(A), LAB_GATEWAY, PACKET_ICMP_ECHO, 0, 0xabcd0001, "data", 4));
	p = last(A);
	CHECK(p.icmp_type == PACKET_ICMP_ECHO_REPLY && p.source == LAB_GATEWAY && p.icmp_id == 0xabcd);
	CHECK(p.data_size == 4 && memcmp(p.frame + p.data_at, "data", 4) == 0);
	lab_forget(&lab);
	lab_from(&lab, A,
		frame_icmp(&frame, lab_address(A), LAB_OUTSIDE, PACKET_ICMP_ECHO, 0, 0xabcd0001, "data", 4));
	check_prohibited(A, PACKET_UNREACHABLE_PROHIBITED);
	lab_close(&lab);
}

TEST(an_icmp_error_passes_only_if_it_is_about_a_flow)
{
	struct segment s = a_to(LAB_OUTSIDE, 5000, 0);
	struct frame error;

	open_lab("any", "any");
	send_udp(A, s);
	lab_forget(&lab);
	/* About this flow, from the world. */
	frame_icmp(&error, LAB_GATEWAY, lab_address(A), 3, 3, 0, frame.bytes + 14, 28);
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
	frame_icmp(&error, LAB_GATEWAY, lab_address(A), 5, 1, LAB_SUBNET + 4, frame.bytes + 14, 28);
	lab_from(&lab, LAB_EGRESS, &error);
	frame_icmp(&error, lab_address(B), lab_address(A), 3, 3, 0, frame.bytes + 14, 28);
	lab_from(&lab, B, &error);
	CHECK_INT(lab_dropped(&lab, B, SWITCH_DROP_ICMP), 1);
	/* From the one it was sent to. */
	s.destination = lab_address(B);
	send_udp(A, s);
	lab_forget(&lab);
	frame_icmp(&error, lab_address(B), lab_address(A), 3, 3, 0, frame.bytes + 14, 28);
	lab_from(&lab, B, &error);
	CHECK_INT(lab_count(&lab, A), 1);
	lab_close(&lab);
}

TEST(odd_icmp_is_not_carried)
{
	static const uint8_t types[] = {0, 5, 9, 10, 13, 14, 15, 17, 30, 42};

	open_lab("any; allow *", "any");
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		lab_from(&lab, A,
			frame_icmp(&frame, lab_address(A), lab_address(B), types[i], 0, 1,
				"0123456789012345678901234567", 28));
		lab_from(&lab, A, frame_icmp(&frame, lab_address(A), LAB_OUTSIDE, types[i], 0, 1, "", 0));
	}
	lab_from(&lab, LAB_EGRESS,
		frame_icmp(&frame, LAB_OUTSIDE, lab_address(A), PACKET_ICMP_ECHO, 0, 1, "", 0));
	check_silence();
	lab_close(&lab);
}

TEST(nobody_there_is_said_at_once)
{
	open_lab("any", NULL);
	send_udp(A, a_to(LAB_SUBNET + 99, 80, 0));
	check_prohibited(A, PACKET_UNREACHABLE_HOST);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	lab_forget(&lab);
	send_udp(A, a_to(lab_address(A), 80, 0));
	check_silence();
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_NOBODY), 2);
	lab_close(&lab);
}

TEST(a_deny_rule_holds_for_what_a_sandbox_starts_itself)
{
	struct segment s;

	open_lab("local", "local; deny 10.1.2.3");
	s = a_to(lab_address(B), 80, PACKET_SYN);
	send_tcp(A, s);
	check_same(B);
	send_tcp(B, answer_to(s, PACKET_SYN | PACKET_ACK));
	check_same(A);
	/* A connection of its own is not an answer, not even with the same ports. */
	lab_forget(&lab);
	send_tcp(B, answer_to(s, PACKET_SYN));
	CHECK_INT(lab_count(&lab, A), 0);
	check_reset(B, lab_address(A));
	lab_close(&lab);
}

TEST(host_internal_opens_by_a_rule_only)
{
	open_lab("any", "local; allow host.internal:8080");
	send_tcp(A, a_to(LAB_HOST, 8080, PACKET_SYN));
	check_reset(A, LAB_HOST);
	send_tcp(A, a_to(0xcb007105, 80, PACKET_SYN)); /* the host's own address */
	check_reset(A, 0xcb007105);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	for (uint16_t port = 8080; port < 8082; port++) {
		struct segment s = a_to(LAB_HOST, port, PACKET_SYN);

		s.source = lab_address(B);
		send_tcp(B, s);
	}
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 1);
	check_reset(B, LAB_HOST);
	lab_close(&lab);
}

TEST(a_changed_policy_cuts_what_it_denies_and_leaves_the_rest)
{
	struct segment out = a_to(LAB_OUTSIDE, 443, PACKET_SYN), in;

	open_lab("public", "public");
	in = a_to(lab_address(B), 80, PACKET_SYN);
	send_tcp(A, out);
	send_tcp(LAB_EGRESS, answer_to(out, PACKET_SYN | PACKET_ACK));
	send_tcp(A, in);
	lab_policy(&lab, A, "local");
	lab_forget(&lab);
	out.flags = in.flags = PACKET_ACK;
	out.sequence = in.sequence = 1001;
	send_tcp(A, in);
	check_same(B);
	CHECK_INT(lab.verdicts, 0);
	send_tcp(A, out);
	CHECK_INT(lab.verdicts, 1);
	check_reset(A, LAB_OUTSIDE);
	check_reset(LAB_EGRESS, lab_address(A));
	CHECK_INT(last(LAB_EGRESS).sequence, 1001);
	/* The next packet from there finds no flow. */
	lab_forget(&lab);
	send_tcp(LAB_EGRESS, answer_to(out, PACKET_ACK));
	check_silence();
	lab_close(&lab);
}

TEST(a_changed_policy_cuts_at_the_next_packet_of_either_side)
{
	struct segment s = a_to(LAB_OUTSIDE, 443, PACKET_SYN);

	open_lab("public", NULL);
	send_tcp(A, s);
	send_tcp(LAB_EGRESS, answer_to(s, PACKET_SYN | PACKET_ACK));
	lab_policy(&lab, A, "local");
	lab_forget(&lab);
	send_tcp(LAB_EGRESS, answer_to(s, PACKET_ACK));
	check_reset(A, LAB_OUTSIDE);
	check_reset(LAB_EGRESS, lab_address(A));
	CHECK_INT(lab.count, 2);
	lab_close(&lab);
}

TEST(what_the_world_sends_unasked_is_dropped)
{
	struct segment s = {.source = LAB_OUTSIDE,
		.destination = LAB_SUBNET + 3,
		.source_port = 443,
		.destination_port = 8000,
		.flags = PACKET_SYN};

	open_lab("any", "any");
	send_tcp(LAB_EGRESS, s);
	send_udp(LAB_EGRESS, s);
	s.flags = PACKET_ACK;
	send_tcp(LAB_EGRESS, s);
	s.flags = PACKET_SYN | PACKET_ACK;
	send_tcp(LAB_EGRESS, s);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_UNKNOWN_FLOW), 4);
	/* In a member's name, and to nobody. */
	s.source = lab_address(B);
	send_tcp(LAB_EGRESS, s);
	s.source = LAB_OUTSIDE;
	s.destination = LAB_SUBNET + 50;
	send_tcp(LAB_EGRESS, s);
	check_silence();
	CHECK_INT(lab_dropped(&lab, LAB_EGRESS, SWITCH_DROP_SPOOFED_ADDRESS), 1);
	CHECK_INT(lab_dropped(&lab, LAB_EGRESS, SWITCH_DROP_NOBODY), 1);
	lab_close(&lab);
}

TEST(a_published_port_takes_connections_while_it_is)
{
	struct segment s = {.source = LAB_GATEWAY,
		.destination = LAB_SUBNET + 3,
		.source_port = 50000,
		.destination_port = 8005,
		.flags = PACKET_SYN,
		.sequence = 77};
	struct error err;

	open_lab("local", NULL);
	CHECK_OK(switch_publish(lab.sw, lab.id[A], IPPROTO_TCP, 8000, 8010, &err));
	send_tcp(LAB_EGRESS, s);
	check_same(A);
	CHECK(lab.last.reason == REASON_PUBLISHED);
	/* Its answers go out, whatever the sandbox may reach. */
	send_tcp(A, answer_to(s, PACKET_SYN | PACKET_ACK));
	check_same(LAB_EGRESS);
	send_tcp(A, answer_to(s, PACKET_ACK));
	check_same(LAB_EGRESS);
	/* Another port, another protocol. */
	lab_forget(&lab);
	send_udp(LAB_EGRESS, s);
	s.destination_port = 8011;
	send_tcp(LAB_EGRESS, s);
	check_silence();
	switch_unpublish(lab.sw, lab.id[A], IPPROTO_TCP, 8000, 8010);
	s.destination_port = 8006;
	send_tcp(LAB_EGRESS, s);
	check_silence();
	/* What was there goes on. */
	s.destination_port = 8005;
	s.flags = PACKET_ACK;
	send_tcp(LAB_EGRESS, s);
	check_same(A);
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

	open_lab("local", NULL);
	CHECK_OK(switch_publish(lab.sw, lab.id[A], IPPROTO_TCP, 8005, 8005, &err));
	send_tcp(LAB_EGRESS, s);
	lab_forget(&lab);
	send_tcp(A, answer_to(s, PACKET_SYN));
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	check_reset(A, LAB_PRIVATE);
	lab_close(&lab);
}

TEST(one_port_that_scans_leaves_another_its_flows)
{
	struct segment s;

	open_lab("any", "any");
	lab.forget = true;
	for (uint16_t i = 0; i < 100; i++) {
		s = a_to(LAB_OUTSIDE, 443, PACKET_SYN);
		s.source = lab_address(B);
		s.source_port = i;
		send_tcp(B, s);
		send_tcp(LAB_EGRESS, answer_to(s, PACKET_SYN | PACKET_ACK));
		s.flags = PACKET_ACK;
		send_tcp(B, s);
	}
	for (uint32_t i = 0; i < 200000; i++) {
		s = a_to(0x08000000 + i, (uint16_t)(i * 7), PACKET_SYN);
		s.source_port = (uint16_t)i;
		send_tcp(A, s);
	}
	CHECK_INT(lab_counters(&lab, B).flows, 100);
	CHECK(lab_counters(&lab, A).flows <= FLOWS_PER_SANDBOX);
	lab.forget = false;
	for (uint16_t i = 0; i < 100; i++) {
		s = a_to(LAB_OUTSIDE, 443, PACKET_ACK);
		s.source = lab_address(B);
		s.source_port = i;
		send_tcp(B, s);
		check_same(LAB_EGRESS);
	}
	lab_close(&lab);
}

TEST(a_guest_that_does_not_read_stops_nobody)
{
	struct segment s;

	open_lab("any", "any");
	lab_add(&lab, C, "any");
	lab.stuck[B] = true;
	for (int i = 0; i < 100; i++) {
		send_udp(A, a_to(lab_address(B), 80, 0));
		send_udp(A, a_to(lab_address(C), 80, 0));
	}
	CHECK_INT(lab_count(&lab, C), 100);
	CHECK_INT(lab_dropped(&lab, B, SWITCH_DROP_QUEUE_FULL), 100);
	CHECK_INT(lab_counters(&lab, B).frames_out, 0);
	lab.stuck[B] = false;
	s = a_to(lab_address(B), 80, 0);
	send_udp(A, s);
	check_same(B);
	/* Its link is down. */
	switch_set_link(lab.sw, lab.id[B], NULL);
	lab_forget(&lab);
	send_udp(A, s);
	check_silence();
	lab_close(&lab);
}

TEST(a_port_that_is_gone_gets_nothing_that_comes_late)
{
	uint32_t old;

	open_lab("any", "any");
	send_udp(A, a_to(LAB_OUTSIDE, 9, 0));
	old = lab.id[A];
	switch_remove(lab.sw, old);
	lab_add(&lab, A, "any");
	CHECK(lab.id[A] != old);
	lab_forget(&lab);
	switch_answer_dns(lab.sw, old, 40000, (const uint8_t *)"x", 1, lab.now);
	send_udp(LAB_EGRESS, answer_to(a_to(LAB_OUTSIDE, 9, 0), 0));
	frame.n = 60;
	switch_from_guest(lab.sw, old, frame.bytes, frame.n, lab.now);
	check_silence();
	lab_close(&lab);
}

TEST(ports_are_checked_and_bounded)
{
	struct policy policy = {.reach = REACH_ANY};
	struct switch_port_config config = {.policy = &policy, .mac = {0x52, 0x4d}};
	static const uint32_t wrong[] = {LAB_SUBNET, LAB_GATEWAY, LAB_HOST, LAB_SUBNET + 255, LAB_OUTSIDE, 0};
	struct error err;
	uint32_t id;

	open_lab("any", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		config.address = wrong[i];
		CHECK_ERROR(switch_add(lab.sw, &config, NULL, &id, &err), ERROR_INVALID);
	}
	config.address = lab_address(A);
	CHECK_ERROR(switch_add(lab.sw, &config, NULL, &id, &err), ERROR_EXISTS);
	for (int n = 1; n < 252; n++)
		lab_add(&lab, n, "local");
	for (int n = 0; n < 252; n++)
		switch_remove(lab.sw, lab.id[n]);
	for (int n = 0; n < 252; n += 3)
		lab_add(&lab, n, "local");
	for (int n = 3; n < 252; n += 3)
		send_udp(A, a_to(lab_address(n), 80, 0));
	CHECK_INT(lab.count, 83);
	lab_close(&lab);
}

TEST(a_frame_over_the_receivers_mtu_is_answered)
{
	static char data[9000];
	struct policy policy = {.reach = REACH_ANY};
	struct switch_port_config config = {.policy = &policy, .address = LAB_SUBNET + 4, .mtu = 1500};
	struct segment s = a_to(LAB_SUBNET + 4, 80, 0);
	struct error err;
	struct packet p;

	open_lab("any", NULL);
	lab_mac(config.address, config.mac);
	CHECK_OK(switch_add(lab.sw, &config, (void *)2, &lab.id[B], &err));
	s.data = data;
	s.size = 1472;
	send_udp(A, s);
	check_same(B);
	lab_forget(&lab);
	s.size++;
	send_udp(A, s);
	check_prohibited(A, PACKET_UNREACHABLE_TOO_LARGE);
	p = last(A);
	CHECK_INT(get_u16(p.frame + p.payload_at + 6), 1500);
	CHECK_INT(lab_count(&lab, B), 0);
	CHECK_INT(lab_dropped(&lab, B, SWITCH_DROP_TOO_BIG), 1);
	lab_close(&lab);
}

TEST(bandwidth_is_limited_both_ways_and_in_order)
{
	static char data[1000];
	struct segment s;
	uint64_t began;

	open_lab("any", "any");
	s = a_to(lab_address(B), 80, 0);
	s.data = data;
	s.size = sizeof data;
	began = lab.now;
	switch_set_bandwidth(lab.sw, lab.id[A], 100000);
	for (uint32_t i = 0; i < 200; i++) {
		put_u32((uint8_t *)data, i);
		send_udp(A, s);
	}
	CHECK(lab_count(&lab, B) < 5);
	while (switch_next_tick(lab.sw) < began + 10 * NANOSECONDS_PER_SECOND) {
		lab.now = switch_next_tick(lab.sw);
		switch_tick(lab.sw, lab.now);
	}
	CHECK_INT(lab_count(&lab, B), 200);
	for (uint32_t i = 0; i < 200; i++)
		CHECK_INT(get_u32(lab.out[i].bytes + 42), i);
	CHECK(lab.now - began > 2 * NANOSECONDS_PER_SECOND && lab.now - began < 3 * NANOSECONDS_PER_SECOND);
	/* The other way: what B sends waits at A. */
	lab_forget(&lab);
	for (uint32_t i = 0; i < 1000; i++) {
		struct segment back = answer_to(s, 0);

		back.data = data;
		back.size = sizeof data;
		send_udp(B, back);
	}
	CHECK(lab_count(&lab, A) < 5);
	CHECK(lab_counters(&lab, A).queued > 0);
	CHECK_INT(lab_dropped(&lab, B, SWITCH_DROP_BANDWIDTH), 0);
	lab_close(&lab);
}

TEST(a_denial_is_remembered_in_words_after_its_policy_is_gone)
{
	char line[HISTORY_LINE_MAX];
	const struct history_entry *e;
	const struct history *h;
	struct segment s = a_to(LAB_PRIVATE, 22, PACKET_SYN);

	open_lab("any; deny 192.168.0.0/16", NULL);
	for (uint16_t i = 0; i < 5; i++) {
		s.source_port = i;
		send_tcp(A, s);
	}
	s.destination_port = 23;
	send_tcp(A, s);
	h = switch_history(lab.sw, lab.id[A]);
	e = history_at(h, 1);
	CHECK(e && !history_at(h, 2) && e->count == 5);
	history_line(e, "box", switch_policy(lab.sw, lab.id[A]), 0, line);
	CHECK_TEXT(line, "1970-01-01T00:00:00.000000000Z tcp box:4 → 192.168.1.1:22 denied: rule 'deny "
			 "192.168.0.0/16' ×5");
	lab_policy(&lab, A, "any");
	history_line(history_at(h, 1), "box", switch_policy(lab.sw, lab.id[A]), 0, line);
	CHECK_TEXT(line, "1970-01-01T00:00:00.000000000Z tcp box:4 → 192.168.1.1:22 denied: rule 'deny "
			 "192.168.0.0/16' ×5");
	/* Many others push it out. */
	lab_policy(&lab, A, "local");
	lab.forget = true;
	for (uint16_t port = 1; port < 1000; port++)
		send_udp(A, a_to(LAB_OUTSIDE, port, 0));
	CHECK(history_at(h, HISTORY_SIZE - 1) && !history_at(h, HISTORY_SIZE));
	CHECK_INT(history_at(h, 0)->key.remote_port, 999);
	lab_close(&lab);
}

TEST(a_name_that_was_learnt_is_told)
{
	struct address a = address_from_ipv4(LAB_OUTSIDE);

	open_lab("public", NULL);
	switch_learn(lab.sw, lab.id[A], "dns.google", &a, 60, lab.now);
	send_tcp(A, a_to(LAB_OUTSIDE, 443, PACKET_SYN));
	CHECK_TEXT(lab.last_name, "dns.google");
	lab_close(&lab);
}

TEST(flows_end_in_time)
{
	open_lab("any", NULL);
	send_udp(A, a_to(LAB_OUTSIDE, 9, 0));
	CHECK_INT(lab_counters(&lab, A).flows, 1);
	for (int i = 0; i < 200 && switch_next_tick(lab.sw) != UINT64_MAX; i++) {
		lab.now = switch_next_tick(lab.sw);
		switch_tick(lab.sw, lab.now);
	}
	CHECK_INT(lab_counters(&lab, A).flows, 0);
	CHECK(switch_next_tick(lab.sw) == UINT64_MAX);
	lab_close(&lab);
}
