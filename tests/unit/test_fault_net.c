/* SPDX-License-Identifier: Apache-2.0 */
/* What the network's policy keeps when memory runs out: each allocation fails once, in its turn; the call
 * fails, leaks nothing, and what there was is as it was. */
#include <netinet/in.h>
#include <stdlib.h>

#include "fault.h"
#include "net/flows.h"
#include "net/learnt.h"
#include "net/policy.h"
#include "test.h"

static const uint64_t seed[2] = {7, 8};
static struct error err;

TEST(a_policy_that_could_not_be_kept_opens_nothing)
{
	const struct surroundings s = {
		.subnet = prefix_ipv4(0x0a070000, 24), .gateway = 0x0a070001, .host = 0x0a070002};
	const struct flow_key k = {
		.remote = address_from_ipv4(0x01010101), .remote_port = 443, .protocol = IPPROTO_TCP};
	struct rule r;
	struct policy p;
	long before = fault_blocks();

	CHECK_OK(rule_parse("1.1.1.1", true, &r, &err));
	fault_arm(FAULT_MEMORY, 1);
	CHECK_ERROR(policy_make(REACH_ANY, &r, 1, &p, &err), ERROR_NO_MEMORY);
	fault_disarm();
	CHECK_INT(policy_judge(&p, &s, NULL, &k, 0).kind, VERDICT_DENY);
	policy_free(&p);
	CHECK_INT(fault_blocks(), before);
}

TEST(a_name_that_could_not_be_kept_is_not_known_and_pushes_nobody_out)
{
	struct address a = address_from_ipv4(1);
	long before = fault_blocks();
	struct learnt *l;
	uint32_t walk = 0;

	fault_arm(FAULT_MEMORY, 1);
	CHECK_ERROR(learnt_new(seed, &l, &err), ERROR_NO_MEMORY);
	fault_disarm();
	CHECK_OK(learnt_new(seed, &l, &err));
	for (uint32_t i = 0; i < LEARNT_MAX; i++) {
		struct address other = address_from_ipv4(100 + i);

		CHECK_OK(learnt_add(l, "a.test", &other, 60, 0, &err));
	}
	fault_arm(FAULT_MEMORY, 1);
	CHECK_ERROR(learnt_add(l, "a.test", &a, 60, 0, &err), ERROR_NO_MEMORY);
	fault_disarm();
	CHECK(!learnt_next(l, &a, 0, &walk));
	a = address_from_ipv4(100);
	CHECK(learnt_next(l, &a, 0, &walk));
	learnt_free(l);
	CHECK_INT(fault_blocks(), before);
}

TEST(a_table_of_flows_is_there_whole_or_not_at_all)
{
	long before = fault_blocks();
	struct flows *f;
	bool happened = true;
	unsigned n;

	for (n = 1; happened; n++) {
		fault_arm(FAULT_MEMORY, n);
		happened = flows_new(10, 2, seed, NULL, NULL, &f, &err) < 0;
		CHECK_INT(happened, fault_happened());
		fault_disarm();
		if (!happened)
			flows_free(f);
		CHECK_INT(fault_blocks(), before);
	}
	CHECK(n > 4);
}

TEST(nothing_is_allocated_on_the_way_of_a_packet)
{
	const struct surroundings s = {
		.subnet = prefix_ipv4(0x0a070000, 24), .gateway = 0x0a070001, .host = 0x0a070002};
	struct flow_key k = {
		.remote = address_from_ipv4(0x01010101), .remote_port = 443, .protocol = IPPROTO_TCP};
	struct rule rules[2];
	char text[VERDICT_TEXT_MAX];
	struct learnt *l;
	struct policy p;
	struct flows *f;
	struct verdict v;

	CHECK_OK(rule_parse("*.test", true, &rules[0], &err));
	CHECK_OK(rule_parse("evil.test", false, &rules[1], &err));
	CHECK_OK(policy_make(REACH_LOCAL, rules, 2, &p, &err));
	CHECK_OK(learnt_new(seed, &l, &err));
	CHECK_OK(learnt_add(l, "a.test", &k.remote, 60, 0, &err));
	CHECK_OK(flows_new(4, 1, seed, NULL, NULL, &f, &err));
	fault_arm(FAULT_MEMORY, 1);
	for (k.local_port = 1; k.local_port < 10; k.local_port++) {
		CHECK_INT(policy_judge(&p, &s, l, &k, 0).kind, VERDICT_INSPECT);
		v = policy_judge_name(&p, &s, l, &k, "a.test", false, 0);
		CHECK_INT(v.kind, VERDICT_ALLOW);
		CHECK(*verdict_format(&p, &k, NULL, &v, text));
		flows_packet(f, flows_add(f, &k, false, 0), FLOW_OUT, 2, 60, 0);
		CHECK(flows_find(f, &k));
	}
	flows_expire(f, 100000000000ULL);
	CHECK(!fault_happened());
	fault_disarm();
	flows_free(f);
	learnt_free(l);
	policy_free(&p);
}
