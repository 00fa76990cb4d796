/* SPDX-License-Identifier: Apache-2.0 */
/* The switch of a group (net/switch.h): what leaves, what does not, what is answered, and by what. */
#include <netinet/in.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/packet.h"
#include "switch_lab.h"
#include "test.h"

enum { A, B, C };

static struct lab lab;

TEST(members_reach_each_other)
{
	struct segment s;

	lab_open_with(&lab, "local", "local");
	s = a_to(lab_address(B), 80, PACKET_SYN);
	lab_tcp(&lab, A, s);
	lab_check_same(&lab, B);
	lab_tcp(&lab, B, answer_to(s, PACKET_SYN | PACKET_ACK));
	lab_check_same(&lab, A);
	s.data = "hello";
	s.size = 5;
	s.flags = PACKET_ACK;
	lab_tcp(&lab, A, s);
	lab_check_same(&lab, B);
	lab_udp(&lab, A, s);
	lab_check_same(&lab, B);
	lab_udp(&lab, B, answer_to(s, 0));
	lab_check_same(&lab, A);
	lab_from(&lab, A,
		frame_icmp(
			&lab.frame, lab_address(A), lab_address(B), PACKET_ICMP_ECHO, 0, 0x12340001, "x", 1));
	lab_check_same(&lab, B);
	lab_from(&lab, B,
		frame_icmp(&lab.frame, lab_address(B), lab_address(A), PACKET_ICMP_ECHO_REPLY, 0, 0x12340001,
			"x", 1));
	lab_check_same(&lab, A);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	CHECK_INT(lab_counters(&lab, A).flows, 3);
	lab_close(&lab);
}

TEST(a_frame_to_a_member_gets_its_mac_whatever_the_sender_wrote)
{
	struct segment s;
	uint8_t mac[6];

	lab_open_with(&lab, "local", "local");
	s = a_to(lab_address(B), 80, PACKET_SYN);
	frame_tcp(&lab.frame, &s);
	lab_mac(LAB_GATEWAY, lab.frame.bytes);
	lab_from(&lab, A, &lab.frame);
	CHECK(memcmp(lab_last(&lab, B)->bytes, lab_mac(lab_address(B), mac), 6) == 0);
	lab_close(&lab);
}

TEST(what_the_policy_allows_leaves_and_its_answers_come_back)
{
	struct segment s = a_to(LAB_OUTSIDE, 443, PACKET_SYN);

	lab_open_with(&lab, "public", NULL);
	lab_tcp(&lab, A, s);
	lab_check_same(&lab, LAB_EGRESS);
	lab_tcp(&lab, LAB_EGRESS, answer_to(s, PACKET_SYN | PACKET_ACK));
	lab_check_same(&lab, A);
	CHECK_INT(lab.verdicts, 1);
	CHECK(lab.last.kind == VERDICT_ALLOW);
	lab_close(&lab);
}

TEST(a_denied_connection_is_reset_at_once)
{
	struct segment s = a_to(LAB_PRIVATE, 22, PACKET_SYN);
	struct packet p;

	lab_open_with(&lab, "public", NULL);
	lab_tcp(&lab, A, s);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	lab_check_reset(&lab, A, LAB_PRIVATE);
	p = lab_packet(&lab, A);
	CHECK(p.tcp_flags == (PACKET_RST | PACKET_ACK) && p.acknowledgement == 1001 &&
		p.destination_port == 40000);
	CHECK(lab.last.kind == VERDICT_DENY && lab.last.reason == REASON_NOT_PUBLIC);
	CHECK_INT(lab_counters(&lab, A).denied, 1);
	CHECK_INT(lab_counters(&lab, A).denied_by[REASON_NOT_PUBLIC], 1);
	CHECK_INT(lab_counters(&lab, A).flows, 0);
	lab_close(&lab);
}

TEST(a_segment_of_no_connection_is_reset)
{
	lab_open_with(&lab, "any", "any");
	lab_tcp(&lab, A, a_to(LAB_OUTSIDE, 443, PACKET_ACK));
	lab_check_reset(&lab, A, LAB_OUTSIDE);
	lab_tcp(&lab, A, a_to(LAB_OUTSIDE, 443, PACKET_SYN | PACKET_ACK));
	lab_check_reset(&lab, A, LAB_OUTSIDE);
	lab_tcp(&lab, A, a_to(lab_address(B), 443, PACKET_SYN | PACKET_ACK));
	lab_check_reset(&lab, A, lab_address(B));
	lab_forget(&lab);
	lab_tcp(&lab, A, a_to(LAB_OUTSIDE, 443, PACKET_RST));
	lab_check_silence(&lab);
	lab_close(&lab);
}

TEST(connections_between_members_survive_a_new_switch)
{
	struct segment s;

	lab_open_with(&lab, "local", "local; deny 10.1.2.3:1-100");
	s = a_to(lab_address(B), 80, PACKET_ACK);
	lab_tcp(&lab, A, s);
	lab_check_same(&lab, B);
	lab_tcp(&lab, B, answer_to(s, PACKET_ACK));
	lab_check_same(&lab, A);
	lab_close(&lab);
}

TEST(the_world_learns_where_a_port_is)
{
	lab_open_with(&lab, "any", NULL);
	lab_from(&lab, LAB_EGRESS, frame_arp(&lab.frame, LAB_GATEWAY, lab_address(A), PACKET_ARP_REQUEST));
	CHECK(lab_packet(&lab, LAB_EGRESS).arp.sender == lab_address(A));
	lab_forget(&lab);
	lab_from(&lab, LAB_EGRESS, frame_arp(&lab.frame, LAB_GATEWAY, lab_address(B), PACKET_ARP_REQUEST));
	lab_from(&lab, LAB_EGRESS, frame_arp(&lab.frame, lab_address(A), lab_address(A), PACKET_ARP_REPLY));
	lab_check_silence(&lab);
	lab_close(&lab);
}

TEST(questions_go_to_the_resolver_and_its_answers_to_who_asked)
{
	struct segment s = a_to(LAB_GATEWAY, 53, 0);
	struct packet p;

	lab_open_with(&lab, "local", "local");
	s.data = "question";
	s.size = 8;
	lab_udp(&lab, A, s);
	CHECK_INT(lab.questions, 1);
	p = lab_packet(&lab, A); /* the lab's resolver says what it heard */
	CHECK(p.source == LAB_GATEWAY && p.source_port == 53 && p.destination_port == 40000 &&
		p.data_size == 8);
	CHECK_INT(lab.count, 1);
	CHECK_INT(lab_counters(&lab, A).flows, 0);
	/* TCP goes to the resolver's own listener, behind the world's side. */
	lab_tcp(&lab, A, a_to(LAB_GATEWAY, 53, PACKET_SYN));
	lab_check_same(&lab, LAB_EGRESS);
	/* The gateway has nothing else. */
	lab_tcp(&lab, A, a_to(LAB_GATEWAY, 80, PACKET_SYN));
	lab_check_reset(&lab, A, LAB_GATEWAY);
	lab_policy(&lab, A, "none");
	lab_udp(&lab, A, s);
	CHECK_INT(lab.questions, 1);
	lab_close(&lab);
}

TEST(the_gateway_answers_ping)
{
	struct packet p;

	lab_open_with(&lab, "local", NULL);
	lab_from(&lab, A,
		frame_icmp(
			&lab.frame, lab_address(A), LAB_GATEWAY, PACKET_ICMP_ECHO, 0, 0xabcd0001, "data", 4));
	p = lab_packet(&lab, A);
	CHECK(p.icmp_type == PACKET_ICMP_ECHO_REPLY && p.source == LAB_GATEWAY && p.icmp_id == 0xabcd);
	CHECK(p.data_size == 4 && memcmp(p.frame + p.data_at, "data", 4) == 0);
	lab_forget(&lab);
	lab_from(&lab, A,
		frame_icmp(
			&lab.frame, lab_address(A), LAB_OUTSIDE, PACKET_ICMP_ECHO, 0, 0xabcd0001, "data", 4));
	lab_check_unreachable(&lab, A, PACKET_UNREACHABLE_PROHIBITED);
	lab_close(&lab);
}

TEST(nobody_there_is_said_at_once)
{
	lab_open_with(&lab, "any", NULL);
	lab_udp(&lab, A, a_to(LAB_SUBNET + 99, 80, 0));
	lab_check_unreachable(&lab, A, PACKET_UNREACHABLE_HOST);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	lab_forget(&lab);
	lab_udp(&lab, A, a_to(lab_address(A), 80, 0));
	lab_check_silence(&lab);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_NOBODY), 2);
	/* Who was there and has gone is not sought outside. */
	lab_add(&lab, B, "local");
	lab_udp(&lab, A, a_to(lab_address(B), 80, 0));
	switch_remove(lab.sw, lab.id[B]);
	lab_udp(&lab, A, a_to(lab_address(B), 80, 0));
	lab_check_unreachable(&lab, A, PACKET_UNREACHABLE_HOST);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	lab_close(&lab);
}

TEST(a_deny_rule_holds_for_what_a_sandbox_starts_itself)
{
	struct segment s;

	lab_open_with(&lab, "local", "local; deny 10.1.2.3");
	s = a_to(lab_address(B), 80, PACKET_SYN);
	lab_tcp(&lab, A, s);
	lab_check_same(&lab, B);
	lab_tcp(&lab, B, answer_to(s, PACKET_SYN | PACKET_ACK));
	lab_check_same(&lab, A);
	/* A connection of its own is not an answer, not even with the same ports. */
	lab_forget(&lab);
	lab_tcp(&lab, B, answer_to(s, PACKET_SYN));
	CHECK_INT(lab_count(&lab, A), 0);
	lab_check_reset(&lab, B, lab_address(A));
	lab_close(&lab);
}

TEST(host_internal_opens_by_a_rule_only)
{
	lab_open_with(&lab, "any", "local; allow host.internal:8080");
	lab_tcp(&lab, A, a_to(LAB_HOST, 8080, PACKET_SYN));
	lab_check_reset(&lab, A, LAB_HOST);
	lab_tcp(&lab, A, a_to(0xcb007105, 80, PACKET_SYN)); /* the host's own address */
	lab_check_reset(&lab, A, 0xcb007105);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	for (uint16_t port = 8080; port < 8082; port++) {
		struct segment s = a_to(LAB_HOST, port, PACKET_SYN);

		s.source = lab_address(B);
		lab_tcp(&lab, B, s);
	}
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 1);
	lab_check_reset(&lab, B, LAB_HOST);
	lab_close(&lab);
}

TEST(a_changed_policy_cuts_what_it_denies_and_leaves_the_rest)
{
	struct segment out = a_to(LAB_OUTSIDE, 443, PACKET_SYN), in;

	lab_open_with(&lab, "public", "public");
	in = a_to(lab_address(B), 80, PACKET_SYN);
	lab_tcp(&lab, A, out);
	lab_tcp(&lab, LAB_EGRESS, answer_to(out, PACKET_SYN | PACKET_ACK));
	lab_tcp(&lab, A, in);
	lab_policy(&lab, A, "local");
	lab_forget(&lab);
	out.flags = in.flags = PACKET_ACK;
	out.sequence = in.sequence = 1001;
	lab_tcp(&lab, A, in);
	lab_check_same(&lab, B);
	CHECK_INT(lab.verdicts, 0);
	lab_tcp(&lab, A, out);
	CHECK_INT(lab.verdicts, 1);
	lab_check_reset(&lab, A, LAB_OUTSIDE);
	lab_check_reset(&lab, LAB_EGRESS, lab_address(A));
	CHECK_INT(lab_packet(&lab, LAB_EGRESS).sequence, 1001);
	/* The next packet from there finds no flow. */
	lab_forget(&lab);
	lab_tcp(&lab, LAB_EGRESS, answer_to(out, PACKET_ACK));
	lab_check_silence(&lab);
	lab_close(&lab);
}

TEST(a_changed_policy_cuts_at_the_next_packet_of_either_side)
{
	struct segment s = a_to(LAB_OUTSIDE, 443, PACKET_SYN);

	lab_open_with(&lab, "public", NULL);
	lab_tcp(&lab, A, s);
	lab_tcp(&lab, LAB_EGRESS, answer_to(s, PACKET_SYN | PACKET_ACK));
	lab_policy(&lab, A, "local");
	lab_forget(&lab);
	lab_tcp(&lab, LAB_EGRESS, answer_to(s, PACKET_ACK));
	lab_check_reset(&lab, A, LAB_OUTSIDE);
	lab_check_reset(&lab, LAB_EGRESS, lab_address(A));
	CHECK_INT(lab.count, 2);
	lab_close(&lab);
}

TEST(what_becomes_an_address_of_the_host_is_cut)
{
	struct prefix more[] = {prefix_ipv4(0xcb007105, 32), prefix_ipv4(LAB_OUTSIDE, 32)};
	struct surroundings s = {.subnet = prefix_ipv4(LAB_SUBNET, 24),
		.gateway = LAB_GATEWAY,
		.host = LAB_HOST,
		.host_addresses = more,
		.host_address_count = 2};
	struct segment t = a_to(LAB_OUTSIDE, 443, PACKET_SYN);
	struct error err;

	lab_open_with(&lab, "any", NULL);
	lab_tcp(&lab, A, t);
	lab_check_same(&lab, LAB_EGRESS);
	CHECK_OK(switch_set_surroundings(lab.sw, &s, &err));
	t.flags = PACKET_ACK;
	lab_tcp(&lab, A, t);
	lab_check_reset(&lab, A, LAB_OUTSIDE);
	CHECK(lab.last.reason == REASON_HOST);
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

	lab_open_with(&lab, "local", NULL);
	CHECK_OK(switch_publish(lab.sw, lab.id[A], IPPROTO_TCP, 8000, 8010, &err));
	lab_tcp(&lab, LAB_EGRESS, s);
	lab_check_same(&lab, A);
	CHECK(lab.last.reason == REASON_PUBLISHED);
	/* Its answers go out, whatever the sandbox may reach. */
	lab_tcp(&lab, A, answer_to(s, PACKET_SYN | PACKET_ACK));
	lab_check_same(&lab, LAB_EGRESS);
	lab_tcp(&lab, A, answer_to(s, PACKET_ACK));
	lab_check_same(&lab, LAB_EGRESS);
	/* Another port, another protocol. */
	lab_forget(&lab);
	lab_udp(&lab, LAB_EGRESS, s);
	s.destination_port = 8011;
	lab_tcp(&lab, LAB_EGRESS, s);
	lab_check_silence(&lab);
	switch_unpublish(lab.sw, lab.id[A], IPPROTO_TCP, 8000, 8010);
	s.destination_port = 8006;
	lab_tcp(&lab, LAB_EGRESS, s);
	lab_check_silence(&lab);
	/* What was there goes on. */
	s.destination_port = 8005;
	s.flags = PACKET_ACK;
	lab_tcp(&lab, LAB_EGRESS, s);
	lab_check_same(&lab, A);
	lab_close(&lab);
}

#define FAR 0x0a630103 /* a sandbox of another group */

static void from_far(struct segment s)
{
	struct prefix group = prefix_ipv4(FAR & 0xffffff00, 24);
	struct frame *f = frame_tcp(&lab.frame, &s);

	switch_from_neighbour(lab.sw, &group, f->bytes, f->n, lab.now);
}

TEST(what_a_rule_sends_to_another_group_does_not_leave_to_the_world_and_reach_alone_sends_nothing_there)
{
	struct segment s = a_to(FAR, 80, PACKET_SYN);

	lab_open_with(&lab, "local; allow 10.99.1.3", "any");
	lab.far = FAR & 0xffffff00;
	lab_tcp(&lab, 0, s);
	lab_check_silence(&lab);
	CHECK_INT(lab.went_far, 1);
	s.source = lab_address(1);
	lab_tcp(&lab, 1, s);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 1); /* it is the world's, if it is any */
	CHECK_INT(lab.went_far, 1);
	lab_close(&lab);
}

TEST(what_comes_from_another_group_is_of_its_subnet_and_begins_as_a_connection_does)
{
	const struct segment syn = {.source = FAR,
		.destination = lab_address(0),
		.source_port = 5000,
		.destination_port = 80,
		.sequence = 100,
		.flags = PACKET_SYN};
	struct segment s = syn;

	lab_open_with(&lab, "local", NULL);
	lab.far = FAR & 0xffffff00;
	s.source = FAR + 0x100;
	from_far(s);
	s = syn;
	s.flags = PACKET_ACK;
	from_far(s);
	lab_check_silence(&lab);
	from_far(syn);
	CHECK_INT(lab_count(&lab, 0), 1);
	CHECK_INT(lab.last.reason, REASON_NEIGHBOUR);
	lab_tcp(&lab, 0, answer_to(syn, PACKET_SYN | PACKET_ACK));
	CHECK_INT(lab.went_far, 1);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	lab_close(&lab);
}

TEST(a_port_that_is_gone_gets_nothing_that_comes_late)
{
	uint32_t old;

	lab_open_with(&lab, "any", "any");
	lab_udp(&lab, A, a_to(LAB_OUTSIDE, 9, 0));
	old = lab.id[A];
	switch_remove(lab.sw, old);
	lab_add(&lab, A, "any");
	CHECK(lab.id[A] != old);
	lab_forget(&lab);
	switch_answer_dns(lab.sw, old, 40000, (const uint8_t *)"x", 1, lab.now);
	lab_udp(&lab, LAB_EGRESS, answer_to(a_to(LAB_OUTSIDE, 9, 0), 0));
	lab.frame.n = 60;
	switch_from_guest(lab.sw, old, lab.frame.bytes, lab.frame.n, lab.now);
	lab_check_silence(&lab);
	lab_close(&lab);
}

TEST(ports_are_checked_and_bounded)
{
	struct policy policy = {.reach = REACH_ANY};
	struct switch_port_config config = {.policy = &policy, .mac = {0x52, 0x4d}};
	static const uint32_t wrong[] = {LAB_SUBNET, LAB_GATEWAY, LAB_HOST, LAB_SUBNET + 255, LAB_OUTSIDE, 0};
	struct error err;
	uint32_t id;

	lab_open_with(&lab, "any", NULL);
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
		lab_udp(&lab, A, a_to(lab_address(n), 80, 0));
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

	lab_open_with(&lab, "any", NULL);
	lab_mac(config.address, config.mac);
	CHECK_OK(switch_add(lab.sw, &config, (void *)2, &lab.id[B], &err));
	s.data = data;
	s.size = 1472;
	lab_udp(&lab, A, s);
	lab_check_same(&lab, B);
	lab_forget(&lab);
	s.size++;
	lab_udp(&lab, A, s);
	lab_check_unreachable(&lab, A, PACKET_UNREACHABLE_TOO_LARGE);
	p = lab_packet(&lab, A);
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

	lab_open_with(&lab, "any", "any");
	s = a_to(lab_address(B), 80, 0);
	s.data = data;
	s.size = sizeof data;
	began = lab.now;
	switch_set_bandwidth(lab.sw, lab.id[A], 100000);
	for (uint32_t i = 0; i < 200; i++) {
		put_u32((uint8_t *)data, i);
		lab_udp(&lab, A, s);
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
		lab_udp(&lab, B, back);
	}
	CHECK(lab_count(&lab, A) < 5);
	CHECK(lab_counters(&lab, A).queued > 0);
	CHECK_INT(lab_dropped(&lab, B, SWITCH_DROP_BANDWIDTH), 0);
	CHECK(lab_dropped(&lab, A, SWITCH_DROP_BANDWIDTH) > 0);
	for (began = lab.now; lab.now < began + 5 * NANOSECONDS_PER_SECOND; lab.now += MILLISECONDS(1))
		switch_tick(lab.sw, lab.now);
	CHECK_INT(lab_count(&lab, A) + lab_dropped(&lab, A, SWITCH_DROP_BANDWIDTH), 1000);
	CHECK_INT(lab_counters(&lab, A).queued, 0);
	lab_close(&lab);
}

TEST(a_denial_is_remembered_in_words_after_its_policy_is_gone)
{
	char line[HISTORY_LINE_MAX];
	const struct history_entry *e;
	const struct history *h;
	struct segment s = a_to(LAB_PRIVATE, 22, PACKET_SYN);

	lab_open_with(&lab, "any; deny 192.168.0.0/16", NULL);
	for (uint16_t i = 0; i < 5; i++) {
		s.source_port = i;
		lab_tcp(&lab, A, s);
	}
	s.destination_port = 23;
	lab_tcp(&lab, A, s);
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
		lab_udp(&lab, A, a_to(LAB_OUTSIDE, port, 0));
	CHECK(history_at(h, HISTORY_SIZE - 1) && !history_at(h, HISTORY_SIZE));
	CHECK_INT(history_at(h, 0)->key.remote_port, 999);
	lab_close(&lab);
}

TEST(a_verdict_is_a_line)
{
	struct flow_key key = {.remote = address_from_ipv4(LAB_OUTSIDE),
		.local_port = 4,
		.remote_port = 443,
		.protocol = IPPROTO_TCP};
	struct verdict v = {VERDICT_ALLOW, REASON_REACH, -1, -1};
	char line[HISTORY_LINE_MAX];

	lab_open_with(&lab, "public", NULL);
	verdict_line(&key, &v, "dns.google", "box", switch_policy(lab.sw, lab.id[A]), 1000000000, line);
	CHECK_TEXT(line,
		"1970-01-01T00:00:01.000000000Z tcp box:4 → 8.8.8.8:443 (dns.google) allowed: reach public");
	lab_close(&lab);
}

TEST(flows_can_be_listed)
{
	const struct flow *f = NULL;
	size_t n = 0;

	lab_open_with(&lab, "any", NULL);
	for (uint16_t port = 1; port <= 10; port++)
		lab_udp(&lab, A, a_to(LAB_OUTSIDE, port, 0));
	while ((f = switch_next_flow(lab.sw, lab.id[A], f)))
		n += f->key.remote_port;
	CHECK_INT(n, 55);
	CHECK_TEXT(switch_drop_name(SWITCH_DROP_SPOOFED_MAC), "spoofed-mac");
	lab_close(&lab);
}

TEST(a_name_that_was_learnt_is_told)
{
	struct address a = address_from_ipv4(LAB_OUTSIDE);

	lab_open_with(&lab, "public", NULL);
	switch_learn(lab.sw, lab.id[A], "dns.google", &a, 60, lab.now);
	lab_tcp(&lab, A, a_to(LAB_OUTSIDE, 443, PACKET_SYN));
	CHECK_TEXT(lab.last_name, "dns.google");
	lab_close(&lab);
}

TEST(flows_end_in_time)
{
	lab_open_with(&lab, "any", NULL);
	lab_udp(&lab, A, a_to(LAB_OUTSIDE, 9, 0));
	CHECK_INT(lab_counters(&lab, A).flows, 1);
	for (int i = 0; i < 200 && switch_next_tick(lab.sw) != UINT64_MAX; i++) {
		lab.now = switch_next_tick(lab.sw);
		switch_tick(lab.sw, lab.now);
	}
	CHECK_INT(lab_counters(&lab, A).flows, 0);
	CHECK(switch_next_tick(lab.sw) == UINT64_MAX);
	lab_close(&lab);
}
