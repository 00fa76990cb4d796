/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times what decides in the switch of a group: finding a packet's flow, and verdicts. Prints a line for each
 * measure: its name, and nanoseconds of processor time.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "net/flows.h"
#include "net/policy.h"

#define PACKETS 5000000u

static const char *const texts[] = {"10.0.0.0/8:22/tcp", "172.16.0.0/12", "192.168.0.0/16",
	"198.51.100.0/24:80-90", "203.0.113.7", "10.1.0.0/16:5432/tcp", "192.0.2.0/24:443/tcp",
	"198.18.0.0/15/udp", "host.internal:5432", "100.64.0.0/10"};
static const uint64_t seed[2] = {1, 2};

static uint64_t state = 1;

static uint32_t any(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 32) * below >> 32);
}

static struct policy make_policy(size_t count, const char *domain)
{
	static struct rule rules[POLICY_RULES_MAX];
	struct policy p;
	struct error err;

	for (size_t i = 0; i < count; i++)
		if (rule_parse(domain ? domain : texts[i % 10], domain || i >= 5, &rules[i], &err) < 0)
			exit(1);
	if (policy_make(domain ? REACH_LOCAL : REACH_PUBLIC, rules, count, &p, &err) < 0)
		exit(1);
	return p;
}

static struct flow_key key(uint32_t sandbox, uint32_t number)
{
	return (struct flow_key){.remote = address_from_ipv4(0x09000000 + number),
		.sandbox = sandbox,
		.local_port = (uint16_t)(20000 + number % 40000),
		.remote_port = 443,
		.protocol = IPPROTO_TCP};
}

/* Of this thread: others on the machine do not count. */
static uint64_t cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)t.tv_nsec;
}

static void report(const char *what, uint64_t began, uint32_t times)
{
	printf("%s %.1f\n", what, (double)(cpu_time() - began) / times);
}

static struct flows *table(void)
{
	struct flows *f;
	struct error err;

	if (flows_new(FLOWS_CAPACITY, 256, seed, NULL, NULL, &f, &err) < 0)
		exit(1);
	return f;
}

/* Packets of flows that are there, in no order. */
static void time_known(const char *what, uint32_t flows)
{
	struct flows *f = table();
	uint64_t began, now = clock_monotonic();

	for (uint32_t i = 0; i < flows; i++) {
		struct flow_key k = key(i % 200, i);

		flows_add(f, &k, false, now);
	}
	began = cpu_time();
	for (uint32_t i = 0; i < PACKETS; i++) {
		uint32_t number = any(flows);
		struct flow_key k = key(number % 200, number);

		flows_packet(f, flows_find(f, &k), (enum flow_direction)(i & 1), 16, 64, now + i);
	}
	report(what, began, PACKETS);
	flows_free(f);
}

/* Each packet opens a flow; after the first thousands each pushes out another. */
static void time_flood(const struct policy *p, const struct surroundings *s)
{
	struct flows *f = table();
	uint64_t began = cpu_time();

	for (uint32_t i = 0; i < PACKETS; i++) {
		struct flow_key k = key(7, i);

		if (flows_find(f, &k) || policy_judge(p, s, NULL, &k, began).kind == VERDICT_DENY)
			continue;
		flows_packet(f, flows_add(f, &k, false, began + i), FLOW_OUT, 2, 64, began + i);
	}
	report("flow-new", began, PACKETS);
	flows_free(f);
}

static void time_judge(const char *what, const struct policy *p, const struct surroundings *s,
	const struct learnt *l, uint32_t times)
{
	uint64_t began = cpu_time();
	unsigned kinds = 0;

	for (uint32_t i = 0; i < times; i++) {
		struct flow_key k = key(7, l ? 0 : any(1u << 24));

		kinds += policy_judge(p, s, l, &k, 1).kind;
	}
	report(what, began, times);
	if (kinds > 2 * times)
		exit(1);
}

/* As bad as a guest can make it: 64 rules that match none of 32 long names of one address. */
static struct learnt *make_names(void)
{
	struct address a = address_from_ipv4(0x09000000);
	struct learnt *l;
	struct error err;
	char name[128];

	if (learnt_new(seed, &l, &err) < 0)
		exit(1);
	for (int i = 0; i < LEARNT_NAMES_MAX; i++) {
		snprintf(name, sizeof name, "%060d.%040d.example.net", i, i);
		learnt_add(l, name, &a, 300, 0, &err);
	}
	return l;
}

int main(void)
{
	const struct prefix host = prefix_ipv4(0xc0a80105, 32);
	const struct surroundings s = {.subnet = prefix_ipv4(0x0a070000, 24),
		.gateway = 0x0a070001,
		.host = 0x0a070002,
		.host_addresses = &host,
		.host_address_count = 1};
	struct policy ten = make_policy(10, NULL),
		      domains = make_policy(POLICY_RULES_MAX, "*.other.example.net");
	struct learnt *l = make_names();

	time_known("flow-1000", 1000);
	time_known("flow-60000", 60000);
	time_judge("verdict", &ten, &s, NULL, PACKETS);
	time_judge("verdict-domains", &domains, &s, l, 20000);
	time_flood(&ten, &s);
	learnt_free(l);
	policy_free(&ten);
	policy_free(&domains);
	return 0;
}
