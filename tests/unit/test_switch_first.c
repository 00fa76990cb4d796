/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First flights (net/switch_first.c): connections that are open to certain names only. The last test is an
 * attacker who tries everything at random against a receiver that takes segments as it likes.
 */
#include <netinet/in.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/first_flight.h"
#include "switch_lab.h"
#include "test.h"

enum { A };

#define GUEST_BASE 1001u /* sequence of the guest's first byte */
#define WORLD_BASE 9001u
#define GOOD       "good.example"
#define EVIL       "evil.example"

static struct lab lab;

static struct segment guest(uint8_t flags, uint32_t at, const void *data, size_t n)
{
	return (struct segment){.source = lab_address(A),
		.destination = LAB_OUTSIDE,
		.source_port = 40000,
		.destination_port = 443,
		.sequence = GUEST_BASE + at,
		.acknowledgement = WORLD_BASE,
		.flags = flags,
		.data = data,
		.size = n};
}

static void say(uint8_t flags, uint32_t at, const void *data, size_t n)
{
	struct segment s = guest(flags | PACKET_ACK, at, data, n);

	lab_from(&lab, A, frame_tcp(&lab.frame, &s));
}

static void world_says(uint8_t flags, uint32_t acknowledges, const void *data, size_t n)
{
	struct segment s = {.source = LAB_OUTSIDE,
		.destination = lab_address(A),
		.source_port = 443,
		.destination_port = 40000,
		.sequence = WORLD_BASE - !!(flags & PACKET_SYN),
		.acknowledgement = GUEST_BASE + acknowledges,
		.flags = flags,
		.data = data,
		.size = n};

	lab_from(&lab, LAB_EGRESS, frame_tcp(&lab.frame, &s));
}

static void shake_hands(void)
{
	struct segment s = guest(PACKET_SYN, (uint32_t)-1, NULL, 0);

	s.acknowledgement = 0;
	lab_from(&lab, A, frame_tcp(&lab.frame, &s));
	world_says(PACKET_SYN | PACKET_ACK, 0, NULL, 0);
	say(0, 0, NULL, 0);
}

static void add_guest(void)
{
	struct address a = address_from_ipv4(LAB_OUTSIDE);

	lab_add(&lab, A, "local; allow " GOOD "; allow *.many.example");
	switch_learn(lab.sw, lab.id[A], GOOD, &a, 600, lab.now);
	switch_learn(lab.sw, lab.id[A], EVIL, &a, 600, lab.now);
}

static void open_lab(void)
{
	lab_open(&lab);
	add_guest();
}

static void open_connection(void)
{
	open_lab();
	shake_hands();
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 2);
	CHECK_INT(lab_count(&lab, A), 1);
	CHECK_INT(lab.verdicts, 0);
	lab_forget(&lab);
}

/* A ClientHello for this name; NULL: without one. */
static size_t hello(uint8_t *out, const char *name)
{
	size_t n = name ? strlen(name) : 0, extensions = 8 + (name ? n + 9 : 0),
	       body = 2 + 32 + 1 + 4 + 2 + 2 + extensions;
	uint8_t *at = out;

	*at++ = 22;
	put_u16(at, 0x0301);
	put_u16(at + 2, (uint16_t)(body + 4));
	at += 4;
	put_u32(at, 0x01000000 | (uint32_t)body);
	put_u16(at + 4, 0x0303);
	memset(at + 6, 0x42, 32);
	at += 38;
	*at++ = 0; /* session */
	put_u16(at, 2);
	put_u16(at + 2, 0x1301);
	put_u16(at + 4, 0x0100); /* compression */
	put_u16(at + 6, (uint16_t)extensions);
	at += 8;
	if (name) {
		put_u16(at, 0);
		put_u16(at + 2, (uint16_t)(n + 5));
		put_u16(at + 4, (uint16_t)(n + 3));
		at[6] = 0;
		put_u16(at + 7, (uint16_t)n);
		memcpy(at + 9, name, n);
		at += 9 + n;
	}
	put_u16(at, 43); /* versions: 1.3 */
	put_u16(at + 2, 3);
	at[4] = 2;
	put_u16(at + 5, 0x0304);
	at[7] = 0;
	/* A byte of padding would be none of this extension's. */
	put_u16(out + 3, (uint16_t)(body + 4 - 1));
	put_u32(out + 5, 0x01000000 | (uint32_t)(body - 1));
	put_u16(out + 5 + 4 + 2 + 32 + 1 + 4 + 2, (uint16_t)(extensions - 1));
	return (size_t)(at + 7 - out);
}

/* All data that went out to the world, in the order of going, as one. */
static size_t went_out(uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < lab.count; i++) {
		struct packet p;

		if (lab.out[i].to != LAB_EGRESS)
			continue;
		CHECK_INT(packet_parse(lab.out[i].bytes, lab.out[i].n, &p), PACKET_RIGHT);
		CHECK(packet_checksum_right(&p));
		memcpy(out + n, lab.out[i].bytes + p.data_at, p.data_size);
		n += p.data_size;
	}
	return n;
}

static void check_went_out(const void *data, size_t n)
{
	uint8_t out[70000];

	CHECK_INT(went_out(out), n);
	CHECK(memcmp(out, data, n) == 0);
}

static void check_refused(enum verdict_reason reason)
{
	struct packet p;
	uint8_t out[70000];

	CHECK(lab.last.kind == VERDICT_DENY);
	CHECK_INT(lab.last.reason, reason);
	CHECK_INT(went_out(out), 0);
	packet_parse(lab_last(&lab, A)->bytes, lab_last(&lab, A)->n, &p);
	CHECK(p.tcp_flags & PACKET_RST && p.source == LAB_OUTSIDE);
	packet_parse(lab_last(&lab, LAB_EGRESS)->bytes, lab_last(&lab, LAB_EGRESS)->n, &p);
	CHECK(p.tcp_flags & PACKET_RST && p.source == lab_address(A));
	CHECK_INT(p.sequence, GUEST_BASE); /* what the other side expects: else it would not believe it */
	CHECK_INT(lab_counters(&lab, A).flows, 0);
	CHECK_INT(lab_counters(&lab, A).held, 0);
}

TEST(an_allowed_name_opens_its_connection)
{
	uint8_t data[600];
	size_t n = hello(data, GOOD);

	open_connection();
	say(PACKET_PSH, 0, data, n);
	check_went_out(data, n);
	CHECK(lab.last.kind == VERDICT_ALLOW);
	CHECK_TEXT(lab.last_name, GOOD);
	world_says(PACKET_ACK, (uint32_t)n, "server hello", 12);
	CHECK_INT(lab_count(&lab, A), 1);
	CHECK_INT(lab_counters(&lab, A).held, 0);
	lab_forget(&lab);
	say(0, (uint32_t)n, EVIL, 12); /* what comes behind is not read */
	check_went_out(EVIL, 12);
	lab_close(&lab);
}

TEST(another_name_resets_both_sides)
{
	uint8_t data[600];
	size_t n = hello(data, EVIL);

	open_connection();
	say(0, 0, data, n);
	CHECK_TEXT(lab.last_name, EVIL);
	check_refused(REASON_NAME_OTHER);
	/* Nothing of it lives on. */
	lab_forget(&lab);
	say(0, 0, data, n);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	lab_close(&lab);
}

TEST(no_name_or_an_encrypted_one_is_refused_with_its_reason)
{
	uint8_t data[600];
	size_t n = hello(data, NULL);

	open_connection();
	say(0, 0, data, n);
	check_refused(REASON_NAME_NONE);
	lab_close(&lab);
	open_connection();
	say(0, 0, "SSH-2.0-OpenSSH\r\n", 17);
	check_refused(REASON_NAME_NONE);
	lab_close(&lab);
	open_connection();
	n = hello(data, GOOD);
	put_u16(data + n - 7, 0xfe0d); /* its last extension */
	say(0, 0, data, n);
	check_refused(REASON_NAME_ENCRYPTED);
	lab_close(&lab);
}

TEST(http_is_read_on_port_80)
{
	static const char *const hosts[] = {GOOD, EVIL};

	for (int i = 0; i < 2; i++) {
		struct segment s;
		char text[200];

		open_lab();
		s = guest(PACKET_SYN, (uint32_t)-1, NULL, 0);
		s.destination_port = 80;
		lab_from(&lab, A, frame_tcp(&lab.frame, &s));
		s = (struct segment){.source = LAB_OUTSIDE,
			.destination = lab_address(A),
			.source_port = 80,
			.destination_port = 40000,
			.sequence = WORLD_BASE - 1,
			.acknowledgement = GUEST_BASE,
			.flags = PACKET_SYN | PACKET_ACK};
		lab_from(&lab, LAB_EGRESS, frame_tcp(&lab.frame, &s));
		lab_forget(&lab);
		snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
		s = guest(PACKET_ACK, 0, text, strlen(text));
		s.destination_port = 80;
		lab_from(&lab, A, frame_tcp(&lab.frame, &s));
		if (i == 0)
			check_went_out(text, strlen(text));
		else
			check_refused(REASON_NAME_OTHER);
		lab_close(&lab);
	}
}

TEST(nothing_goes_before_the_handshake_is_answered)
{
	uint8_t data[600];
	size_t n = hello(data, GOOD);
	struct segment s;

	open_lab();
	/* With the SYN, too. */
	s = guest(PACKET_SYN, (uint32_t)-1, data, n);
	lab_from(&lab, A, frame_tcp(&lab.frame, &s));
	s = guest(PACKET_SYN, (uint32_t)-1, NULL, 0);
	lab_from(&lab, A, frame_tcp(&lab.frame, &s));
	say(0, 0, data, n);
	check_went_out("", 0);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 1);
	world_says(PACKET_SYN | PACKET_ACK, 0, NULL, 0);
	say(0, 0, data, n);
	check_went_out(data, n);
	lab_close(&lab);
}

TEST(a_flight_in_pieces_is_held_until_it_says_its_name_and_goes_in_order)
{
	uint8_t data[600];
	size_t n = hello(data, GOOD);

	for (size_t piece = 9; piece < 60; piece += 17) {
		open_connection();
		for (size_t at = 0; at < n; at += piece) {
			size_t left = n - at < piece ? n - at : piece;

			if (at + left < n)
				CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
			say(0, (uint32_t)at, data + at, left);
			if (at + left < n)
				say(0, 0, data, 5); /* said once more, too */
		}
		check_went_out(data, n);
		lab_close(&lab);
	}
}

TEST(what_comes_out_of_order_waits_for_its_turn)
{
	uint8_t data[600], expected[600];
	size_t n = hello(data, GOOD);

	open_connection();
	say(0, 20, data + 20, n - 20);
	say(0, 0, data, 10);
	say(0, 11, data + 11, n - 11);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	say(0, 5, data + 5, n - 5); /* over what is known, and on */
	/* Each goes as it was sent. */
	memcpy(expected, data, 10);
	memcpy(expected + 10, data + 5, n - 5);
	check_went_out(expected, 10 + n - 5);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_HELD), 2);
	lab_close(&lab);
}

TEST(other_bytes_in_the_place_of_held_ones_are_dropped)
{
	uint8_t good[600], evil[600];
	size_t n = hello(good, GOOD);

	hello(evil, EVIL); /* as long */
	open_connection();
	say(0, 0, evil, n - 4);
	say(0, 0, good, n); /* says its name over that of evil */
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_HELD), 1);
	say(0, (uint32_t)n - 10, good + n - 10, 10); /* they differ before */
	check_refused(REASON_NAME_OTHER);
	lab_close(&lab);
}

TEST(other_bytes_do_not_follow_the_judged_ones_until_these_have_arrived)
{
	uint8_t good[600], evil[600];
	size_t n = hello(good, GOOD);

	hello(evil, EVIL);
	open_connection();
	say(0, 0, good, n);
	lab_forget(&lab);
	/* The other side has not said that it has them: perhaps it refused them. */
	say(0, 0, evil, n);
	say(0, (uint32_t)n - 20, evil + n - 20, 20);
	say(0, (uint32_t)-5, evil, n);
	say(PACKET_URG, 0, good, n);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_HELD), 4);
	say(0, 0, good, n); /* the same again is fine */
	check_went_out(good, n);
	world_says(PACKET_ACK, (uint32_t)n - 1, NULL, 0);
	lab_forget(&lab);
	say(0, 0, evil, n);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	world_says(PACKET_ACK, (uint32_t)n, NULL, 0);
	CHECK_INT(lab_counters(&lab, A).held, 0);
	lab_close(&lab);
}

TEST(wrong_checksums_and_urgent_bytes_are_not_read)
{
	uint8_t data[600];
	size_t n = hello(data, GOOD);
	struct segment s;

	open_connection();
	s = guest(PACKET_ACK, 0, data, n);
	frame_tcp(&lab.frame, &s);
	lab.frame.bytes[34 + 17] ^= 1;
	lab_from(&lab, A, &lab.frame);
	say(PACKET_URG, 0, data, n);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	CHECK_INT(lab.verdicts, 0);
	lab_close(&lab);
}

TEST(what_the_other_side_says_first_waits)
{
	uint8_t data[600];
	size_t n = hello(data, GOOD);

	open_connection();
	world_says(PACKET_ACK, 0, "220 hello", 9);
	CHECK_INT(lab_count(&lab, A), 0);
	world_says(PACKET_ACK, 0, NULL, 0);
	CHECK_INT(lab_count(&lab, A), 1);
	say(0, 0, data, n);
	world_says(PACKET_ACK, 0, "220 hello", 9);
	CHECK_INT(lab_count(&lab, A), 2);
	lab_close(&lab);
}

TEST(a_flight_of_too_many_segments_or_bytes_is_refused)
{
	static char long_line[20000];
	uint8_t data[600];

	open_connection();
	hello(data, GOOD);
	for (uint32_t i = 0; i < 64; i++)
		say(0, i, data + i, 1);
	CHECK_INT(lab.verdicts, 0);
	say(0, 64, data + 64, 1);
	check_refused(REASON_NAME_NONE);
	lab_close(&lab);
	open_connection();
	memset(long_line, 'x', sizeof long_line);
	memcpy(long_line, "GET / HTTP/1.1\r\nA: ", 19);
	say(0, 0, long_line, 8000);
	say(0, 8000, long_line + 8000, 8000);
	CHECK_INT(lab.verdicts, 0);
	CHECK(lab_counters(&lab, A).held < 33000);
	say(0, 16000, long_line + 16000, 4000);
	check_refused(REASON_NAME_NONE);
	lab_close(&lab);
}

TEST(a_large_first_segment_passes_whole)
{
	static char text[60000];

	open_connection();
	memset(text, 'x', sizeof text);
	memcpy(text, "POST / HTTP/1.1\r\nHost: " GOOD "\r\nContent-Length: 59000\r\n\r\n", 23 + 12 + 27);
	say(0, 0, text, sizeof text);
	check_went_out(text, sizeof text);
	lab_close(&lab);
}

TEST(what_says_no_name_in_time_is_refused)
{
	uint8_t data[600];

	open_connection();
	hello(data, GOOD);
	say(0, 0, data, 30);
	CHECK(switch_next_tick(lab.sw) <= lab.now + 10 * NANOSECONDS_PER_SECOND);
	lab.now += 10 * NANOSECONDS_PER_SECOND - 1;
	switch_tick(lab.sw, lab.now);
	CHECK_INT(lab.verdicts, 0);
	lab.now++;
	switch_tick(lab.sw, lab.now);
	check_refused(REASON_NAME_NONE);
	lab_close(&lab);
	/* A connection that says nothing at all is not in a hurry. */
	open_connection();
	lab.now += 300 * NANOSECONDS_PER_SECOND;
	switch_tick(lab.sw, lab.now);
	CHECK_INT(lab.verdicts, 0);
	say(0, 0, data, hello(data, GOOD));
	CHECK(lab.last.kind == VERDICT_ALLOW);
	lab_close(&lab);
}

TEST(who_waits_for_the_other_side_to_speak_first_is_refused_in_time)
{
	open_connection();
	world_says(PACKET_ACK, 0, "220 hello", 9);
	CHECK_INT(lab_count(&lab, A), 0);
	lab.now += 10 * NANOSECONDS_PER_SECOND;
	switch_tick(lab.sw, lab.now);
	check_refused(REASON_NAME_NONE);
	CHECK_INT(lab_packet(&lab, A).sequence, WORLD_BASE); /* the guest believes it */
	lab_close(&lab);
}

TEST(an_end_before_the_name_is_refused_and_an_end_without_a_byte_passes)
{
	uint8_t data[600];

	open_connection();
	hello(data, GOOD);
	say(PACKET_FIN, 0, data, 30);
	check_refused(REASON_NAME_NONE);
	lab_close(&lab);
	open_connection();
	say(PACKET_FIN, 0, NULL, 0);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 1);
	CHECK_INT(lab.verdicts, 0);
	lab_close(&lab);
}

TEST(a_reset_gives_up_what_is_held)
{
	uint8_t data[600];

	open_connection();
	hello(data, GOOD);
	say(0, 0, data, 30);
	CHECK(lab_counters(&lab, A).held > 0);
	world_says(PACKET_RST | PACKET_ACK, 0, NULL, 0);
	CHECK_INT(lab_counters(&lab, A).held, 0);
	CHECK_INT(lab_count(&lab, A), 1);
	say(0, 0, data, 30);
	say(PACKET_RST, 30, NULL, 0);
	CHECK_INT(lab_counters(&lab, A).held, 0);
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 1);
	lab.now += 20 * NANOSECONDS_PER_SECOND;
	switch_tick(lab.sw, lab.now);
	CHECK_INT(lab.verdicts, 0);
	lab_close(&lab);
}

TEST(what_a_port_holds_is_bounded_and_given_back)
{
	uint8_t data[600];

	open_lab();
	hello(data, GOOD);
	for (uint16_t port = 1; port <= 500; port++) {
		struct segment s = guest(PACKET_SYN, (uint32_t)-1, NULL, 0);

		s.source_port = port;
		lab_from(&lab, A, frame_tcp(&lab.frame, &s));
		s = (struct segment){.source = LAB_OUTSIDE,
			.destination = lab_address(A),
			.source_port = 443,
			.destination_port = port,
			.sequence = WORLD_BASE - 1,
			.acknowledgement = GUEST_BASE,
			.flags = PACKET_SYN | PACKET_ACK};
		lab_from(&lab, LAB_EGRESS, frame_tcp(&lab.frame, &s));
		s = guest(PACKET_ACK, 0, data, 30);
		s.source_port = port;
		lab_from(&lab, A, frame_tcp(&lab.frame, &s));
		CHECK(lab_counters(&lab, A).held <= 1048576);
	}
	CHECK(lab_counters(&lab, A).held > 1000000);
	CHECK(lab_dropped(&lab, A, SWITCH_DROP_HELD) > 400);
	lab.now += 11 * NANOSECONDS_PER_SECOND;
	switch_tick(lab.sw, lab.now);
	CHECK_INT(lab_counters(&lab, A).held, 0);
	lab_close(&lab);
	/* With the port, too. */
	open_connection();
	say(0, 0, data, 30);
	switch_remove(lab.sw, lab.id[A]);
	lab.now += 11 * NANOSECONDS_PER_SECOND;
	switch_tick(lab.sw, lab.now);
	lab_close(&lab);
}

TEST(a_new_connection_on_the_same_ports_says_its_own_name)
{
	uint8_t data[600];
	size_t n = hello(data, GOOD);

	open_connection();
	say(0, 0, data, n);
	world_says(PACKET_ACK, (uint32_t)n, NULL, 0);
	shake_hands();
	lab_forget(&lab);
	say(0, 0, data, hello(data, EVIL));
	check_refused(REASON_NAME_OTHER);
	lab_close(&lab);
}

TEST(a_flight_begins_where_the_last_syn_and_its_answer_say)
{
	uint8_t data[600];
	size_t n = hello(data, GOOD);
	struct segment s;

	open_connection();
	s = guest(PACKET_SYN, 6, NULL, 0);
	lab_from(&lab, A, frame_tcp(&lab.frame, &s));
	lab_forget(&lab);
	/* Who took that SYN would read from its seventh byte on. */
	say(0, 0, data, n);
	world_says(PACKET_SYN | PACKET_ACK, 0, NULL, 0);
	say(0, 0, data, n);
	say(0, 7, data, n);
	CHECK_INT(lab.count, 0);
	world_says(PACKET_SYN | PACKET_ACK, 7, NULL, 0);
	say(0, 7, data, n);
	check_went_out(data, n);
	lab_close(&lab);
}

TEST(a_policy_that_changes_while_bytes_are_held_decides)
{
	uint8_t data[600];
	size_t n = hello(data, EVIL);

	open_connection();
	say(0, 0, data, 30);
	lab_policy(&lab, A, "public");
	CHECK_INT(lab_count(&lab, LAB_EGRESS), 0);
	say(0, 30, data + 30, n - 30);
	check_went_out(data, n);
	lab_close(&lab);
	open_connection();
	say(0, 0, data, 30);
	lab_policy(&lab, A, "local");
	say(0, 30, data + 30, n - 30);
	check_refused(REASON_REACH);
	lab_close(&lab);
}

TEST(a_name_that_is_not_allowed_any_more_is_cut)
{
	uint8_t data[600];
	size_t n = hello(data, GOOD);

	open_connection();
	say(0, 0, data, n);
	world_says(PACKET_ACK, (uint32_t)n, NULL, 0);
	lab_policy(&lab, A, "local; allow " GOOD "; allow other.example");
	lab_forget(&lab);
	say(0, (uint32_t)n, "more", 4);
	check_went_out("more", 4);
	lab_policy(&lab, A, "local; allow other.example");
	lab_forget(&lab);
	say(0, (uint32_t)n + 4, "more", 4);
	check_went_out("", 0);
	CHECK_INT(lab_counters(&lab, A).flows, 0);
	lab_close(&lab);
}

/* The other end of a connection: takes segments in any order, refuses some, prefers old or new bytes. */
struct receiver {
	bool open, newest_wins;
	uint32_t base;
	uint8_t bytes[4096];
	bool have[4096];
	size_t acked; /* contiguous */
};

static uint32_t random_state;

static uint32_t dice(uint32_t sides)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % sides;
}

static struct receiver receiver;

static void receive(struct lab *l, const uint8_t *bytes, size_t n)
{
	struct receiver *r = &receiver;
	struct packet p;

	(void)l;
	CHECK_INT(packet_parse(bytes, n, &p), PACKET_RIGHT);
	CHECK(packet_checksum_right(&p));
	if (p.tcp_flags & PACKET_SYN) {
		if (r->open && dice(2))
			return;
		memset(r->have, 0, sizeof r->have);
		r->acked = 0;
		r->open = true;
		r->newest_wins = dice(2);
		r->base = p.sequence + 1;
		return;
	}
	if (!r->open || dice(4) == 0)
		return; /* refused, for whatever reason */
	if (p.tcp_flags & PACKET_RST) {
		r->open = false;
		return;
	}
	for (size_t i = 0; i < p.data_size; i++) {
		uint32_t at = p.sequence - r->base + (uint32_t)i;

		/* What was acknowledged has been read. */
		if (at >= sizeof r->bytes || at < r->acked || (r->have[at] && !r->newest_wins))
			continue;
		r->bytes[at] = bytes[p.data_at + i];
		r->have[at] = true;
	}
	while (r->acked < sizeof r->have && r->have[r->acked])
		r->acked++;
}

/* One thing that an attacker may do with the bytes of two flights. */
static void attack(const uint8_t *good, const uint8_t *evil, size_t n)
{
	uint8_t mixed[600];
	uint32_t at = dice(3) ? 0 : dice((uint32_t)n),
		 size = dice(2) ? (uint32_t)n - at : 1 + dice((uint32_t)n - at);
	const uint8_t *from = dice(2) ? good : evil;
	struct segment s;

	memcpy(mixed, from, n);
	if (dice(8) == 0)
		memcpy(mixed + n / 2, from == good ? evil + n / 2 : good + n / 2, n - n / 2);
	s = guest(PACKET_ACK, at, mixed + at, size);
	switch (dice(16)) {
	case 0:
		s.flags = PACKET_SYN;
		s.sequence = GUEST_BASE - 1 + dice(2) * 7;
		s.size = dice(2) ? s.size : 0;
		break;
	case 1:
		s.flags |= PACKET_FIN;
		break;
	case 2:
		s.flags |= PACKET_URG;
		break;
	case 3:
		s.flags = PACKET_RST | (uint8_t)dice(2) * PACKET_ACK;
		break;
	case 4:
		s.sequence -= dice(10);
		break;
	case 5:
		s.sequence += dice(10) * 7;
		break;
	case 6:
		s.size = 0;
		break;
	default:
		break;
	}
	frame_tcp(&lab.frame, &s);
	if (dice(20) == 0)
		lab.frame.bytes[34 + 16] ^= 1;
	lab_from(&lab, A, &lab.frame);
}

static void answer(void)
{
	struct receiver *r = &receiver;
	bool shake = dice(2) && r->acked == 0;
	struct segment s = {.source = LAB_OUTSIDE,
		.destination = lab_address(A),
		.source_port = 443,
		.destination_port = 40000,
		.sequence = WORLD_BASE - shake,
		.acknowledgement = r->base + (uint32_t)r->acked,
		.flags = shake ? PACKET_SYN | PACKET_ACK : PACKET_ACK};

	if (r->open)
		lab_from(&lab, LAB_EGRESS, frame_tcp(&lab.frame, &s));
}

TEST(no_order_of_segments_brings_another_name_past)
{
	uint8_t good[600], evil[600];
	size_t n = hello(good, GOOD), opened = 0;
	const char *seed = getenv("MC_SEED");
	uint32_t first = seed ? (uint32_t)strtoul(seed, NULL, 0) : 1;

	CHECK_INT(hello(evil, EVIL), n);
	lab_open(&lab);
	lab.on_egress = receive;
	for (uint32_t round = first; round < first + (seed ? 1 : 20000); round++) {
		char name[FIRST_FLIGHT_NAME_SIZE];

		random_state = round * 2654435761u;
		add_guest();
		receiver = (struct receiver){0};
		for (int i = 0; i < 60; i++) {
			if (dice(3))
				attack(good, evil, n);
			else
				answer();
			if (dice(30) == 0)
				switch_tick(lab.sw, lab.now += dice(12) * NANOSECONDS_PER_SECOND);
			switch (first_flight_read(receiver.bytes, receiver.acked, name)) {
			case FIRST_FLIGHT_NEED_MORE:
				break;
			case FIRST_FLIGHT_NAME:
				opened++;
				if (strcmp(name, GOOD) == 0)
					break;
				/* fall through */
			default:
				test_fail(__FILE__, __LINE__, "round %u, step %d: '%s' got out", round, i,
					name);
			}
		}
		CHECK(lab_counters(&lab, A).held < 40000);
		lab_forget(&lab);
		switch_remove(lab.sw, lab.id[A]);
	}
	lab_close(&lab);
	CHECK(seed || opened > 100);
}
