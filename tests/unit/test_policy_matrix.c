/* SPDX-License-Identifier: Apache-2.0 */
/* Reach × destination × protocol at every boundary of the special-purpose table; and random policies. */
#include <netinet/in.h>
#include <stdlib.h>

#include "net/policy.h"
#include "net/special.h"
#include "policy_make.h"
#include "test.h"

static bool bit(const struct address *a, int i)
{
	return a->bytes[i / 8] >> (7 - i % 8) & 1;
}

/* The most specific row, bit by bit. */
static const struct special *row_of(const struct address *a)
{
	const struct special *best = NULL;

	for (int i = 0; i < SPECIAL_COUNT; i++) {
		const struct special *row = &special_table[i];
		bool ipv4 = row->prefix.bits >= 96 && address_is_ipv4(&row->prefix.address);
		int same = 0;

		while (same < row->prefix.bits && bit(a, same) == bit(&row->prefix.address, same))
			same++;
		if (same == row->prefix.bits && ipv4 == address_is_ipv4(a) &&
			(!best || best->prefix.bits < same))
			best = row;
	}
	return best;
}

static bool is_of_host(const struct address *a)
{
	for (size_t i = 0; i < policy_surroundings.host_address_count; i++)
		if (prefix_contains(&policy_surroundings.host_addresses[i], a))
			return true;
	return row_of(a)->scope == SCOPE_HOST;
}

/* What no rule is about, in the plainest words. */
static bool expected(enum reach reach, const struct address *a)
{
	struct address carried[ADDRESS_CARRIED];
	size_t n = address_unwrap(a, carried, NULL);
	bool public = row_of(a)->scope == SCOPE_PUBLIC || (row_of(a)->scope == SCOPE_CARRIED && n);

	if (reach == REACH_NONE || is_of_host(a) || row_of(a)->scope == SCOPE_NOBODY)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (is_of_host(&carried[i]) || row_of(&carried[i])->scope == SCOPE_NOBODY)
			return false;
		public &= row_of(&carried[i])->scope == SCOPE_PUBLIC;
	}
	return reach == REACH_ANY || (reach == REACH_PUBLIC && public);
}

/* The address d before or behind; false: there is none. */
static bool step(struct address *a, int d)
{
	for (int i = 15; i >= 0; i--) {
		a->bytes[i] = (uint8_t)(a->bytes[i] + d);
		if (a->bytes[i] != (d > 0 ? 0 : 0xff))
			return true;
	}
	return false;
}

static size_t boundaries(const struct prefix *p, struct address out[4])
{
	struct address last = p->address, before = p->address, behind;
	size_t n = 0;

	for (int i = p->bits; i < 128; i++)
		last.bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
	behind = last;
	if (step(&before, -1))
		out[n++] = before;
	out[n++] = p->address;
	out[n++] = last;
	if (step(&behind, 1))
		out[n++] = behind;
	return n;
}

static size_t check_address(const struct address *a)
{
	static const struct flow_key flows[] = {{.protocol = IPPROTO_TCP, .remote_port = 443},
		{.protocol = IPPROTO_UDP, .remote_port = 53}, {.protocol = IPPROTO_ICMP}, {.protocol = 47}};
	char text[ADDRESS_TEXT_MAX], words[64];
	size_t checked = 0;

	for (int reach = REACH_NONE; reach <= REACH_ANY; reach++)
		for (size_t i = 0; i < sizeof flows / sizeof *flows; i++, checked++) {
			struct policy p = {.reach = (enum reach)reach};
			struct flow_key k = flows[i];
			struct verdict v;
			bool open;

			k.remote = *a;
			v = policy_judge(&p, &policy_surroundings, NULL, &k, 0);
			open = expected(p.reach, a) && k.protocol != 47;
			if (v.kind != (open ? VERDICT_ALLOW : VERDICT_DENY))
				test_fail(__FILE__, __LINE__, "%s, protocol %d, reach %s: '%s'",
					address_format(a, text), k.protocol, reach_name(p.reach),
					verdict_words(&v, words));
		}
	return checked;
}

/* An address of IPv4, as the mechanisms of transition write it. */
static size_t check_forms(const struct address *a)
{
	const uint8_t *b = a->bytes + 12;
	const struct address forms[] = {
		{{[12] = b[0], b[1], b[2], b[3]}},
		{{0x00, 0x64, 0xff, 0x9b, [12] = b[0], b[1], b[2], b[3]}},
		{{0x00, 0x64, 0xff, 0x9b, 0, 1, [12] = b[0], b[1], b[2], b[3]}},
		{{0x00, 0x64, 0xff, 0x9b, 0, 1, b[0], b[1], 0, b[2], b[3]}},
		{{0x20, 0x02, b[0], b[1], b[2], b[3]}},
		{{0x20, 0x01, 0, 0, 1, 1, 1, 1, [12] = (uint8_t)~b[0], (uint8_t)~b[1], (uint8_t)~b[2],
			(uint8_t)~b[3]}},
	};
	size_t checked = 0;

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		checked += check_address(&forms[i]);
	return checked;
}

TEST(reach_holds_at_every_boundary_of_the_special_purpose_table_and_of_the_host_in_every_form)
{
	struct address edges[4];
	size_t checked = 0;

	for (int i = 0; i < SPECIAL_COUNT; i++)
		for (size_t n = boundaries(&special_table[i].prefix, edges); n--;) {
			checked += check_address(&edges[n]);
			if (address_is_ipv4(&edges[n]))
				checked += check_forms(&edges[n]);
		}
	for (size_t i = 0; i < policy_surroundings.host_address_count; i++)
		for (size_t n = boundaries(&policy_surroundings.host_addresses[i], edges); n--;)
			checked += check_address(&edges[n]);
	CHECK(checked > 8000);
	printf("# %zu verdicts\n", checked);
}

static uint64_t state;

static uint32_t any(uint32_t below)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(state >> 33) % below;
}

static const char *const targets[] = {"*", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "10.7.0.5", "9.9.9.0/24",
	"9.9.9.1", "1.0.0.0/8", "192.168.1.5", "192.168.0.0/16", "0.0.0.0/0", "host.internal", "10.7.0.2",
	"example.com", "*.example.com", "www.example.com", "evil.test", "*.test"};
static const char *const ports[] = {"", "", ":22", ":443", ":20-100", ":443-500"};
static const char *const protocols[] = {"", "", "/tcp", "/udp"};
static const char *const addresses[] = {"10.1.2.3", "10.1.2.4", "10.7.0.5", "10.7.0.2", "10.7.0.1", "9.9.9.1",
	"9.9.9.2", "9.9.9.3", "1.1.1.1", "192.168.1.5", "192.168.1.6", "169.254.169.254", "127.0.0.1",
	"0.0.0.0", "224.0.0.1"};
static const char *const names[] = {"www.example.com", "example.com", "evil.test", "other.org", NULL};
static const uint16_t numbers[] = {22, 53, 80, 443, 853, 4430};

#define ANY(list) (list)[any(sizeof(list) / sizeof *(list))]

static struct rule any_rule(void)
{
	char text[128];
	struct error err;
	struct rule r;

	do
		snprintf(text, sizeof text, "%s%s%s", ANY(targets), ANY(ports), ANY(protocols));
	while (rule_parse(text, any(2), &r, &err) < 0);
	return r;
}

static struct flow_key any_flow(void)
{
	struct flow_key k = {.protocol = any(2) ? IPPROTO_TCP : IPPROTO_UDP, .remote_port = ANY(numbers)};
	struct error err;

	if (!any(8))
		k = (struct flow_key){.protocol = IPPROTO_ICMP};
	CHECK_OK(address_parse(ANY(addresses), &k.remote, &err));
	return k;
}

/* How much a verdict lets through. */
static int openness(const struct verdict *v)
{
	return v->kind == VERDICT_ALLOW ? 2 : v->kind == VERDICT_INSPECT ? 1 : 0;
}

static struct verdict judge(enum reach reach, const struct rule *rules, size_t n, const struct learnt *l,
	const struct flow_key *k)
{
	struct policy p;
	struct error err;
	struct verdict v;

	CHECK_OK(policy_make(reach, rules, n, &p, &err));
	v = policy_judge(&p, &policy_surroundings, l, k, SECONDS);
	policy_free(&p);
	return v;
}

static void check_rule_named(const struct rule *rules, const struct verdict *v)
{
	if (v->reason == REASON_RULE)
		CHECK_INT(rules[v->rule].allow, v->kind == VERDICT_ALLOW);
	if (v->kind == VERDICT_INSPECT && v->rule >= 0)
		CHECK(rules[v->rule].allow);
}

/* Ports on which a rule by domain closes what it does not name. */
static bool goes_past(const struct flow_key *k)
{
	return k->remote_port == 53 || k->remote_port == 853 ||
	       (k->remote_port == 443 && k->protocol == IPPROTO_UDP);
}

static void try_policy(struct learnt *l)
{
	struct rule rules[9], turned[9];
	size_t n = any(9), host = 0;
	enum reach reach = (enum reach)any(4);
	struct flow_key k = any_flow();
	struct verdict v, w;

	for (size_t i = 0; i < n; i++) {
		rules[i] = any_rule();
		host += rules[i].allow && (rules[i].target == RULE_HOST || rules[i].prefix.bits == 128);
	}
	v = judge(reach, rules, n, l, &k);
	check_rule_named(rules, &v);
	for (size_t i = 0; i < n; i++)
		turned[i] = rules[n - 1 - i];
	w = judge(reach, turned, n, l, &k);
	CHECK_INT(openness(&w), openness(&v)); /* the order in which rules are written says nothing */
	if (reach < REACH_ANY && !goes_past(&k)) {
		w = judge((enum reach)(reach + 1), rules, n, l, &k);
		CHECK(openness(&w) >= openness(&v));
	}
	rules[n] = any_rule();
	w = judge(reach, rules, n + 1, l, &k);
	if (!rules[n].allow)
		CHECK(openness(&w) <= openness(&v));
	else if (!goes_past(&k))
		CHECK(openness(&w) >= openness(&v));
	if (is_of_host(&k.remote) || address_ipv4(&k.remote) == policy_surroundings.host)
		CHECK(openness(&v) == 0 || host);
	CHECK(reach != REACH_NONE || openness(&v) == 0);
}

/* What was inspected: whatever the name, nothing that is denied by the addresses' verdict opens. */
static void try_name(struct learnt *l)
{
	struct rule rules[8];
	size_t n = any(9);
	struct flow_key k = any_flow();
	const char *name = ANY(names);
	struct policy p;
	struct error err;
	struct verdict v, w;

	for (size_t i = 0; i < n; i++)
		rules[i] = any_rule();
	CHECK_OK(policy_make((enum reach)any(4), rules, n, &p, &err));
	v = policy_judge(&p, &policy_surroundings, l, &k, SECONDS);
	w = policy_judge_name(&p, &policy_surroundings, l, &k, name, false, SECONDS);
	check_rule_named(rules, &w);
	CHECK(w.kind != VERDICT_INSPECT);
	CHECK(v.kind == VERDICT_INSPECT || w.kind == v.kind);
	if (v.kind == VERDICT_INSPECT)
		CHECK(k.protocol == IPPROTO_TCP && (k.remote_port == 443 || k.remote_port == 80));
	w = policy_judge_again(
		&p, &policy_surroundings, l, &k, SECONDS, name ? learnt_fingerprint(l, name) : 0);
	CHECK(w.kind != VERDICT_INSPECT);
	CHECK(v.kind == VERDICT_INSPECT || w.kind == v.kind);
	policy_free(&p);
}

TEST(random_policies_keep_what_is_promised_of_all)
{
	struct learnt *l =
		learnt_of("www.example.com=9.9.9.1 example.com=9.9.9.2 other.org=9.9.9.1 evil.test=9.9.9.3 "
			  "www.example.com=10.1.2.3 example.com=192.168.1.5");
	const char *seed = getenv("MC_SEED");

	state = seed ? strtoull(seed, NULL, 10) : 20261;
	printf("# MC_SEED=%llu\n", (unsigned long long)state);
	for (int i = 0; i < 30000; i++) {
		try_policy(l);
		try_name(l);
	}
	learnt_free(l);
}
