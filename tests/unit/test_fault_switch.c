/* SPDX-License-Identifier: Apache-2.0 */
/* The switch of a group when memory runs out: each allocation fails once, in its turn. What was asked for
 * fails or a frame is lost; nothing leaks, nothing passes that would not have, and the next try succeeds. */
#include <netinet/in.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "fault.h"
#include "switch_lab.h"
#include "test.h"

enum { A, B };

static struct lab lab;
static struct error err;

TEST(a_switch_is_there_whole_or_not_at_all)
{
	long before = fault_blocks();
	bool happened = true;
	unsigned n;

	for (n = 1; happened; n++) {
		int r;

		memset(&lab, 0, sizeof lab);
		fault_arm(FAULT_MEMORY, n);
		r = lab_make(&lab, &err);
		happened = fault_happened();
		fault_disarm();
		CHECK(happened ? r == -ERROR_NO_MEMORY : r == 0);
		switch_free(lab.sw);
		CHECK_INT(fault_blocks(), before);
	}
	CHECK(n > 6);
}

TEST(a_port_is_there_whole_or_not_at_all)
{
	struct policy policy;
	struct switch_port_config config = {.address = lab_address(A), .policy = &policy};
	bool happened = true;
	long before;
	unsigned n;

	lab_open(&lab);
	lab_parse("local; allow good.example", &policy);
	lab_mac(config.address, config.mac);
	before = fault_blocks();
	for (n = 1; happened; n++) {
		int r;

		fault_arm(FAULT_MEMORY, n);
		r = switch_add(lab.sw, &config, NULL, &lab.id[A], &err);
		happened = fault_happened();
		fault_disarm();
		CHECK(happened ? r == -ERROR_NO_MEMORY : r == 0);
		CHECK(!happened || fault_blocks() == before);
	}
	CHECK(n > 4);
	/* And what is set on it. */
	before = fault_blocks();
	fault_arm(FAULT_MEMORY, 1);
	CHECK_ERROR(switch_publish(lab.sw, lab.id[A], IPPROTO_TCP, 1, 2, &err), ERROR_NO_MEMORY);
	fault_arm(FAULT_MEMORY, 1);
	CHECK_ERROR(switch_set_policy(lab.sw, lab.id[A], &policy, &err), ERROR_NO_MEMORY);
	fault_disarm();
	CHECK(switch_policy(lab.sw, lab.id[A])->count == 1);
	CHECK_INT(fault_blocks(), before);
	policy_free(&policy);
	lab_close(&lab);
}

TEST(a_denial_that_cannot_be_remembered_is_one_all_the_same)
{
	struct segment s = a_to(LAB_PRIVATE, 22, PACKET_SYN);
	struct policy open;

	lab_open_with(&lab, "public; deny 192.168.0.0/16", NULL);
	lab_parse("any", &open);
	lab.forget = true;
	fault_arm(FAULT_MEMORY, 1);
	lab_tcp(&lab, A, s);
	CHECK(fault_happened());
	fault_disarm();
	CHECK_INT(lab.forgotten[LAB_EGRESS + 1], 0);
	CHECK_INT(lab.forgotten[A + 1], 1);
	CHECK_INT(lab_counters(&lab, A).denied, 1);
	CHECK(!history_at(switch_history(lab.sw, lab.id[A]), 0));
	/* Nor is one kept whose words cannot be, once its rule is gone. */
	lab_tcp(&lab, A, s);
	CHECK(history_at(switch_history(lab.sw, lab.id[A]), 0));
	fault_arm(FAULT_MEMORY, 2); /* behind the policy's own */
	CHECK_OK(switch_set_policy(lab.sw, lab.id[A], &open, &err));
	CHECK(fault_happened());
	fault_disarm();
	CHECK(!history_at(switch_history(lab.sw, lab.id[A]), 0));
	policy_free(&open);
	lab_close(&lab);
}

TEST(a_frame_that_cannot_wait_is_dropped)
{
	lab_open_with(&lab, "any", NULL);
	lab.forget = true;
	switch_set_bandwidth(lab.sw, lab.id[A], 1000);
	lab_udp(&lab, A, a_to(LAB_OUTSIDE, 9, 0));
	fault_arm(FAULT_MEMORY, 1);
	lab_udp(&lab, A, a_to(LAB_OUTSIDE, 9, 0));
	CHECK(fault_happened());
	fault_disarm();
	CHECK_INT(lab_dropped(&lab, A, SWITCH_DROP_BANDWIDTH), 1);
	lab_close(&lab);
}

static const char request[] = "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n";

/* Shakes hands and sends a request in two pieces; what was lost may be sent again by calling it again. */
static void speak(void)
{
	struct segment s = a_to(LAB_OUTSIDE, 80, PACKET_SYN), answer = answer_to(s, PACKET_SYN | PACKET_ACK);

	lab_tcp(&lab, A, s);
	lab_tcp(&lab, LAB_EGRESS, answer);
	s.sequence++;
	s.flags = PACKET_ACK;
	s.data = request;
	s.size = 20;
	lab_tcp(&lab, A, s);
	s.sequence += 20;
	s.data = request + 20;
	s.size = sizeof request - 1 - 20;
	lab_tcp(&lab, A, s);
}

TEST(a_first_flight_that_cannot_be_held_is_lost_and_may_be_sent_again)
{
	struct address a = address_from_ipv4(LAB_OUTSIDE);
	bool happened = true;
	unsigned n;

	for (n = 1; happened; n++) {
		long before;

		lab_open(&lab);
		before = fault_blocks();
		lab_add(&lab, A, "local; allow good.example");
		switch_learn(lab.sw, lab.id[A], "good.example", &a, 600, lab.now);
		lab.forget = true;
		fault_arm(FAULT_MEMORY, n);
		speak();
		happened = fault_happened();
		fault_disarm();
		/* The SYN, if that, and then both pieces or nothing. */
		CHECK(happened ? lab.forgotten[LAB_EGRESS + 1] <= 1 : lab.forgotten[LAB_EGRESS + 1] == 3);
		speak();
		CHECK(lab.verdicts >= 1 && lab.last.kind == VERDICT_ALLOW);
		CHECK(lab.forgotten[LAB_EGRESS + 1] >= 3);
		switch_remove(lab.sw, lab.id[A]);
		lab.forget = false;
		/* The table of flights stays. */
		CHECK(fault_blocks() <= before + 2);
		lab_close(&lab);
	}
	CHECK(n > 4);
}
