/* SPDX-License-Identifier: Apache-2.0 */
/* The table of flows: states, times, who is pushed out, and random schedules beside a plain list. */
#include <netinet/in.h>
#include <stdlib.h>

#include "net/flows.h"
#include "test.h"

#define SECONDS 1000000000ULL

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

static const uint64_t seed[2] = {5, 6};
static struct error err;

static struct flows *table(size_t capacity, uint32_t sandboxes)
{
	struct flows *f;

	CHECK_OK(flows_new(capacity, sandboxes, seed, NULL, NULL, &f, &err));
	return f;
}

static struct flow_key key(uint32_t sandbox, uint8_t protocol, uint32_t number)
{
	return (struct flow_key){.remote = address_from_ipv4(0x09000000 + number / 60000),
		.sandbox = sandbox,
		.protocol = protocol,
		.local_port = (uint16_t)(number % 60000),
		.remote_port = 443};
}

static struct flow *add(struct flows *f, const struct flow_key *k, uint64_t now)
{
	return flows_add(f, k, false, now);
}

/* The state of a flow after packets "out:SYN in:SYN+ACK", and whether it is there `after` seconds of silence.
 */
static enum flow_state state_after(const char *packets, uint8_t protocol, bool inbound, unsigned *seconds)
{
	struct flows *f = table(4, 1);
	struct flow_key k = key(0, protocol, 1);
	struct flow *flow = flows_add(f, &k, inbound, 0);
	enum flow_state state;

	for (const char *at = packets; *at; at += strcspn(at, " ") + (at[strcspn(at, " ")] == ' ')) {
		const char *flags = strchr(at, ':') + 1;
		size_t n = strcspn(flags, " ");
		uint8_t bits = 0;

		for (size_t i = 0; i < n; i++)
			bits |= (uint8_t)(flags[i] == 'S'   ? SYN
					  : flags[i] == 'A' ? ACK
					  : flags[i] == 'F' ? FIN
							    : RST);
		flows_packet(f, flow, *at == 'o' ? FLOW_OUT : FLOW_IN, bits, 100, 0);
	}
	state = flow->state;
	for (*seconds = 0; flows_find(f, &k); ++*seconds)
		flows_expire(f, *seconds * SECONDS);
	--*seconds;
	flows_free(f);
	return state;
}

TEST(a_flow_has_the_state_and_the_time_that_its_packets_give)
{
	static const struct {
		const char *packets;
		uint8_t protocol;
		bool inbound;
		enum flow_state state;
		unsigned seconds;
	} rows[] = {
		{"out:S", IPPROTO_TCP, false, FLOW_TCP_OPENING, 60},
		{"out:S out:S", IPPROTO_TCP, false, FLOW_TCP_OPENING, 60},
		{"out:S in:SA", IPPROTO_TCP, false, FLOW_TCP_OPENING, 60},
		{"out:S in:SA out:A", IPPROTO_TCP, false, FLOW_TCP_OPEN, 7200},
		{"in:S out:SA", IPPROTO_TCP, true, FLOW_TCP_OPENING, 60},
		{"in:S out:SA in:A", IPPROTO_TCP, true, FLOW_TCP_OPEN, 7200},
		{"out:S in:RA", IPPROTO_TCP, false, FLOW_TCP_CLOSING, 60},
		{"out:S in:SA out:A in:FA", IPPROTO_TCP, false, FLOW_TCP_OPEN, 7200},
		{"out:S in:SA out:A in:FA out:A out:FA", IPPROTO_TCP, false, FLOW_TCP_CLOSING, 60},
		{"out:S in:SA out:A out:FA in:FA in:A", IPPROTO_TCP, false, FLOW_TCP_CLOSING, 60},
		{"out:S in:SA out:A out:R", IPPROTO_TCP, false, FLOW_TCP_CLOSING, 60},
		{"out:S in:SA out:A out:R out:A in:A", IPPROTO_TCP, false, FLOW_TCP_CLOSING, 60},
		{"out:A", IPPROTO_TCP, false, FLOW_TCP_OPENING, 60}, /* joined in its middle */
		{"out:A out:A", IPPROTO_TCP, false, FLOW_TCP_OPENING, 60},
		{"out:A in:A", IPPROTO_TCP, false, FLOW_TCP_OPEN, 7200},
		{"out:", IPPROTO_UDP, false, FLOW_UDP_SENT, 120},
		{"out: out:", IPPROTO_UDP, false, FLOW_UDP_SENT, 120},
		{"out: in:", IPPROTO_UDP, false, FLOW_UDP_ANSWERED, 180},
		{"in: in:", IPPROTO_UDP, true, FLOW_UDP_SENT, 120},
		{"in: out:", IPPROTO_UDP, true, FLOW_UDP_ANSWERED, 180},
		{"out: in:", IPPROTO_ICMP, false, FLOW_ICMP, 30},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		unsigned seconds;
		enum flow_state state =
			state_after(rows[i].packets, rows[i].protocol, rows[i].inbound, &seconds);

		if (state != rows[i].state || seconds != rows[i].seconds + 1)
			test_fail(__FILE__, __LINE__, "'%s': %s, %u s", rows[i].packets,
				flow_state_name(state), seconds);
	}
}

TEST(bytes_and_packets_are_counted_both_ways)
{
	struct flows *f = table(4, 1);
	struct flow_key k = key(0, IPPROTO_UDP, 1);
	struct flow *flow = add(f, &k, 7 * SECONDS);

	flows_packet(f, flow, FLOW_OUT, 0, 100, 8 * SECONDS);
	flows_packet(f, flow, FLOW_OUT, 0, 50, 9 * SECONDS);
	flows_packet(f, flow, FLOW_IN, 0, 1500, 10 * SECONDS);
	CHECK_INT(flow->packets[FLOW_OUT], 2);
	CHECK_INT(flow->bytes[FLOW_OUT], 150);
	CHECK_INT(flow->packets[FLOW_IN], 1);
	CHECK_INT(flow->bytes[FLOW_IN], 1500);
	CHECK(flow->began == 7 * SECONDS && flow->last == 10 * SECONDS);
	flows_free(f);
}

TEST(a_syn_opens_anew_unless_its_flow_is_being_opened_by_it)
{
	struct flows *f = table(8, 1);
	struct flow_key k = key(0, IPPROTO_TCP, 1), u = key(0, IPPROTO_UDP, 1);
	struct flow *flow = add(f, &k, 0);

	CHECK(!flow_opens_anew(flow, FLOW_OUT, SYN));
	CHECK(flow_opens_anew(flow, FLOW_IN, SYN));
	CHECK(!flow_opens_anew(flow, FLOW_IN, SYN | ACK));
	flows_packet(f, flow, FLOW_OUT, SYN, 60, 0);
	flows_packet(f, flow, FLOW_IN, SYN | ACK, 60, 0);
	flows_packet(f, flow, FLOW_OUT, ACK, 60, 0);
	CHECK(flow_opens_anew(flow, FLOW_OUT, SYN));
	CHECK(!flow_opens_anew(flow, FLOW_OUT, ACK));
	flows_packet(f, flow, FLOW_IN, RST, 60, 0);
	CHECK(flow_opens_anew(flow, FLOW_OUT, SYN));
	CHECK(!flow_opens_anew(flow, FLOW_OUT, ACK | FIN));
	CHECK(!flow_opens_anew(add(f, &u, 0), FLOW_IN, SYN));
	k.local_port++;
	flow = flows_add(f, &k, true, 0);
	CHECK(!flow_opens_anew(flow, FLOW_IN, SYN) && flow_opens_anew(flow, FLOW_OUT, SYN));
	flows_free(f);
}

static void open_tcp(struct flows *f, struct flow *flow, uint64_t now)
{
	flows_packet(f, flow, FLOW_OUT, SYN, 60, now);
	flows_packet(f, flow, FLOW_IN, SYN | ACK, 60, now);
	flows_packet(f, flow, FLOW_OUT, ACK, 60, now);
}

TEST(a_scan_does_not_push_out_the_connections_of_its_own_sandbox)
{
	struct flows *f = table(FLOWS_CAPACITY, 2);
	struct flow_key k;

	for (uint32_t i = 0; i < 1000; i++) {
		k = key(0, IPPROTO_TCP, i);
		open_tcp(f, add(f, &k, 0), 0);
	}
	for (uint32_t i = 0; i < 100000; i++) {
		k = key(0, IPPROTO_TCP, 100000 + i);
		flows_packet(f, add(f, &k, SECONDS), FLOW_OUT, SYN, 60, SECONDS);
	}
	CHECK_INT(flows_count_sandbox(f, 0), FLOWS_PER_SANDBOX);
	for (uint32_t i = 0; i < 1000; i++) {
		k = key(0, IPPROTO_TCP, i);
		CHECK(flows_find(f, &k));
	}
	/* of the scan, the latest are there */
	k = key(0, IPPROTO_TCP, 199999 - (FLOWS_PER_SANDBOX - 1000) + 1);
	CHECK(flows_find(f, &k));
	k.local_port--;
	CHECK(!flows_find(f, &k));
	flows_free(f);
}

TEST(connections_that_are_used_outlive_those_that_are_silent)
{
	enum { FIRST_USED = 5000, USED = 50 };
	struct flows *f = table(FLOWS_CAPACITY, 1);
	struct flow_key k;

	for (uint32_t i = 0; i < FLOWS_PER_SANDBOX; i++) {
		k = key(0, IPPROTO_TCP, i);
		open_tcp(f, add(f, &k, 0), 0);
	}
	/* More than all that were there */
	for (uint32_t i = 0; i < FLOWS_PER_SANDBOX + 1000; i++) {
		k = key(0, IPPROTO_TCP, 100000 + i);
		open_tcp(f, add(f, &k, SECONDS), SECONDS);
		for (uint32_t n = 0; n < USED; n++) {
			k = key(0, IPPROTO_TCP, FIRST_USED + n);
			CHECK(flows_find(f, &k));
			flows_packet(f, flows_find(f, &k), FLOW_OUT, ACK, 60, SECONDS);
		}
	}
	for (uint32_t i = 0; i < FIRST_USED; i++) {
		k = key(0, IPPROTO_TCP, i);
		CHECK(!flows_find(f, &k));
	}
	CHECK_INT(flows_count(f), FLOWS_PER_SANDBOX);
	flows_free(f);
}

TEST(nobody_is_pushed_below_his_share_of_a_full_table)
{
	enum { CAPACITY = 400, SANDBOXES = 4 };
	struct flows *f = table(CAPACITY, SANDBOXES);
	struct flow_key k;

	for (uint32_t i = 0; i < CAPACITY / SANDBOXES; i++)
		for (uint32_t s = 1; s < SANDBOXES; s++) {
			k = key(s, IPPROTO_UDP, i);
			add(f, &k, 0); /* the weakest that there are */
		}
	for (uint32_t i = 0; i < 10000; i++) {
		k = key(0, IPPROTO_TCP, i);
		open_tcp(f, add(f, &k, SECONDS), SECONDS);
	}
	for (uint32_t s = 0; s < SANDBOXES; s++)
		CHECK_INT(flows_count_sandbox(f, s), CAPACITY / SANDBOXES);
	/* What one leaves, another may have, and gives back */
	flows_remove_sandbox(f, 3);
	for (uint32_t i = 0; i < 10000; i++) {
		k = key(0, IPPROTO_TCP, 20000 + i);
		add(f, &k, SECONDS);
	}
	CHECK_INT(flows_count_sandbox(f, 0), 2 * CAPACITY / SANDBOXES);
	for (uint32_t i = 0; i < 10000; i++) {
		k = key(3, IPPROTO_TCP, i);
		add(f, &k, SECONDS);
	}
	for (uint32_t s = 0; s < SANDBOXES; s++)
		CHECK_INT(flows_count_sandbox(f, s), CAPACITY / SANDBOXES);
	flows_free(f);
}

static void note_gone(void *context, struct flow *flow)
{
	((size_t *)context)[flow->held]++;
}

TEST(whoever_holds_something_for_a_flow_hears_that_it_goes)
{
	size_t gone[6] = {0};
	struct flow_key k;
	struct flows *f;

	CHECK_OK(flows_new(3, 2, seed, note_gone, gone, &f, &err));
	for (uint32_t i = 0; i < 5; i++) {
		k = key(0, IPPROTO_UDP, i);
		add(f, &k, i * SECONDS)->held = i + 1;
	}
	CHECK(gone[1] == 1 && gone[2] == 1 && gone[3] == 0); /* pushed out */
	k = key(0, IPPROTO_UDP, 2);
	flows_remove(f, flows_find(f, &k));
	CHECK_INT(gone[3], 1);
	CHECK(flows_expire(f, 123 * SECONDS) > 123 * SECONDS && gone[4] == 0);
	flows_expire(f, 124 * SECONDS);
	CHECK_INT(gone[4], 1);
	flows_remove_sandbox(f, 0);
	CHECK_INT(gone[5], 1);
	CHECK_INT(flows_count(f), 0);
	flows_free(f);
}

TEST(the_table_says_when_it_wants_to_be_called)
{
	struct flows *f = table(10, 1);
	struct flow_key k = key(0, IPPROTO_TCP, 1);
	uint64_t at, now = 5 * SECONDS;
	unsigned calls = 0;

	CHECK(flows_expire(f, now) == UINT64_MAX);
	now += 1000000 * SECONDS; /* nobody called while there was nothing */
	open_tcp(f, add(f, &k, now), now);
	for (at = flows_expire(f, now); flows_count(f); calls++) {
		CHECK(at > now);
		now = at;
		at = flows_expire(f, now);
	}
	CHECK(at == UINT64_MAX);
	CHECK_INT(now / SECONDS, 5 + 1000000 + 7200 + 1);
	CHECK(calls < 10);
	flows_free(f);
}

TEST(a_clock_that_leaps_ends_everything_that_it_should)
{
	struct flows *f = table(10, 1);
	struct flow_key k = key(0, IPPROTO_TCP, 1), u = key(0, IPPROTO_UDP, 1);

	open_tcp(f, add(f, &k, 0), 0);
	add(f, &u, 0);
	flows_expire(f, 7199 * SECONDS);
	CHECK(flows_find(f, &k) && !flows_find(f, &u));
	add(f, &u, 7199 * SECONDS);
	CHECK(flows_expire(f, 1000000 * SECONDS) == UINT64_MAX);
	CHECK(!flows_find(f, &k) && !flows_find(f, &u));
	flows_free(f);
}

TEST(all_flows_of_a_sandbox_can_be_walked)
{
	struct flows *f = table(100, 3);
	struct flow_key k;
	size_t n = 0;

	for (uint32_t i = 0; i < 30; i++) {
		struct flow *flow;

		k = key(i % 3, IPPROTO_TCP, i);
		flow = add(f, &k, 0);
		if (i % 2)
			open_tcp(f, flow, 0);
	}
	for (const struct flow *at = NULL; (at = flows_next(f, 1, at)); n++)
		CHECK(at->key.sandbox == 1);
	CHECK_INT(n, 10);
	flows_remove_sandbox(f, 1);
	CHECK(!flows_next(f, 1, NULL));
	for (n = 0, k.sandbox = 0; n < 1; n++)
		CHECK(flows_next(f, 0, NULL) && flows_count_sandbox(f, 0) == 10);
	flows_free(f);
}

TEST(a_table_that_cannot_serve_is_refused)
{
	struct flows *f;

	CHECK_ERROR(flows_new(10, 11, seed, NULL, NULL, &f, &err), ERROR_INVALID);
	CHECK_ERROR(flows_new(10, 0, seed, NULL, NULL, &f, &err), ERROR_INVALID);
}

/* A plain list of what there is, without any bound. */
enum { KEYS = 3000, SANDBOXES = 5 };

struct model {
	bool there;
	enum flow_state state;
	uint64_t last;
	uint64_t bytes;
} models[KEYS];

static uint64_t random_state = 42;

static uint32_t any(uint32_t below)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(random_state >> 33) % below;
}

static struct flow_key key_of(uint32_t i)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};

	return key(i % SANDBOXES, protocols[i % 3], i);
}

static uint64_t life(enum flow_state state)
{
	static const uint64_t seconds[] = {60, 7200, 60, 120, 180, 30};

	return seconds[state] * SECONDS;
}

static void use(struct flows *f, uint32_t i, uint64_t now)
{
	static const uint8_t flags[] = {SYN, SYN | ACK, ACK, ACK, ACK, ACK, FIN | ACK, RST};
	struct flow_key k = key_of(i);
	struct flow *flow = flows_find(f, &k);
	uint32_t n = any(1500);

	if (!flow) {
		flow = flows_add(f, &k, false, now);
		models[i] = (struct model){.there = true};
	}
	flows_packet(
		f, flow, (enum flow_direction)any(2), k.protocol == IPPROTO_TCP ? flags[any(8)] : 0, n, now);
	models[i].state = flow->state;
	models[i].last = now;
	models[i].bytes += n;
	CHECK_INT(flow->bytes[0] + flow->bytes[1], models[i].bytes);
}

/* A flow is there while its time lasts, and gone a second later. */
static void compare(struct flows *f, uint64_t now)
{
	size_t counted[SANDBOXES] = {0}, all = 0;

	for (uint32_t i = 0; i < KEYS; i++) {
		struct flow_key k = key_of(i);
		struct flow *flow = flows_find(f, &k);
		uint64_t end = models[i].last + life(models[i].state);

		if (models[i].there && now < end)
			CHECK(flow);
		if (!models[i].there || now >= end + SECONDS)
			CHECK(!flow);
		models[i].there = flow != NULL;
		if (!flow)
			continue;
		CHECK_INT(flow->state, models[i].state);
		CHECK(flow->last == models[i].last);
		counted[k.sandbox]++;
		all++;
	}
	CHECK_INT(flows_count(f), all);
	for (uint32_t s = 0; s < SANDBOXES; s++) {
		size_t walked = 0;

		for (const struct flow *at = NULL; (at = flows_next(f, s, at));)
			walked++;
		CHECK_INT(walked, counted[s]);
		CHECK_INT(flows_count_sandbox(f, s), counted[s]);
	}
}

TEST(random_schedules_without_pressure_are_as_a_list_would_have_them)
{
	struct flows *f = table(KEYS, SANDBOXES);
	uint64_t now = 0;

	for (int round = 0; round < 1500; round++) {
		now += any(8) ? any(20) * SECONDS / 4 : any(100) ? any(300) * SECONDS : any(20000) * SECONDS;
		flows_expire(f, now);
		compare(f, now);
		for (uint32_t i = any(30); i--;)
			use(f, any(KEYS), now);
		if (!any(10)) {
			uint32_t i = any(KEYS);
			struct flow_key k = key_of(i);
			struct flow *flow = flows_find(f, &k);

			if (flow)
				flows_remove(f, flow);
			models[i].there = false;
		}
		if (!any(200)) {
			uint32_t s = any(SANDBOXES);

			flows_remove_sandbox(f, s);
			for (uint32_t i = s; i < KEYS; i += SANDBOXES)
				models[i].there = false;
		}
	}
	flows_free(f);
}

/* Under pressure: whoever had at most his share keeps it, and who opens a flow has it. */
TEST(random_schedules_under_pressure_take_from_those_who_have_most)
{
	enum { CAPACITY = 250, SHARE = CAPACITY / SANDBOXES };
	struct flows *f = table(CAPACITY, SANDBOXES);

	for (int round = 0; round < 100000; round++) {
		uint32_t greedy = any(3) ? (uint32_t)(round / 10000) % SANDBOXES : any(SANDBOXES);
		struct flow_key k = key_of(any(KEYS / SANDBOXES) * SANDBOXES + greedy);
		size_t before[SANDBOXES];
		struct flow *flow;

		for (uint32_t s = 0; s < SANDBOXES; s++)
			before[s] = flows_count_sandbox(f, s);
		flow = flows_find(f, &k);
		if (!flow)
			flow = flows_add(f, &k, false, 0);
		flows_packet(f, flow, (enum flow_direction)any(2), ACK, 60, 0);
		CHECK(flows_find(f, &k) == flow);
		CHECK(flows_count(f) <= CAPACITY);
		for (uint32_t s = 0; s < SANDBOXES; s++)
			CHECK(flows_count_sandbox(f, s) >= (before[s] < SHARE ? before[s] : SHARE));
	}
	flows_free(f);
}
