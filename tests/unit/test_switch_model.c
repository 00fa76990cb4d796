/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random schedules at one switch, beside a model that keeps connections in a plain list: for each frame, who
 * gets it, and whether its sender is told that it was refused.
 */
#include <netinet/in.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "switch_lab.h"
#include "test.h"

#define GUESTS 5
#define NOBODY (-2)

/* What a policy says, in a form that needs no code of the switch's to be judged. */
struct plain {
	const char *text;
	bool outside;   /* 8.8.8.8 is open */
	bool private;   /* 192.168.1.1 is open */
	int denied;     /* a guest; NOBODY */
	uint16_t ports; /* a denied port, wherever; 0: none */
};

static const struct plain policies[] = {
	{"local", false, false, NOBODY, 0},
	{"public", true, false, NOBODY, 0},
	{"any", true, true, NOBODY, 0},
	{"public; deny 10.1.2.4", true, false, 1, 0},
	{"any; deny *:81", true, true, NOBODY, 81},
	{"local; allow 192.168.1.1; deny 10.1.2.3; deny :80/tcp", false, true, 0, 80},
};

/* A connection as its owner sees it. */
struct connection {
	int owner;
	uint32_t remote;
	uint16_t local_port, remote_port;
	uint8_t protocol;
	bool inbound, opener_seen, other_seen, closing;
	bool fin_out, fin_in;
};

static struct lab lab;
static const struct plain *plain[GUESTS];
static bool there[GUESTS];
static struct connection list[10000];
static size_t count;
static uint32_t random_state;

static uint32_t dice(uint32_t sides)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % sides;
}

static int guest_at(uint32_t address)
{
	for (int n = 0; n < GUESTS; n++)
		if (there[n] && lab_address(n) == address)
			return n;
	return NOBODY;
}

static bool is_open(const struct plain *p, uint32_t to, uint8_t protocol, uint16_t port)
{
	if (p->denied != NOBODY && to == lab_address(p->denied))
		return false;
	if (p->ports == 80 ? protocol == IPPROTO_TCP && port == 80 : p->ports && port == p->ports)
		return false;
	if (to >> 8 == LAB_SUBNET >> 8)
		return true;
	return to == LAB_OUTSIDE ? p->outside : p->private;
}

static struct connection *find(int owner, uint32_t remote, uint16_t local, uint16_t port, uint8_t protocol)
{
	for (size_t i = 0; i < count; i++) {
		struct connection *c = &list[i];

		if (c->owner == owner && c->remote == remote && c->local_port == local &&
			c->remote_port == port && c->protocol == protocol)
			return c;
	}
	return NULL;
}

static void forget(struct connection *c)
{
	*c = list[--count];
}

static void note(struct connection *c, bool out, uint8_t flags)
{
	if (c->protocol != IPPROTO_TCP)
		return;
	if (flags & PACKET_FIN)
		*(out ? &c->fin_out : &c->fin_in) = true;
	if (out == c->inbound)
		c->other_seen = true;
	else if (flags & PACKET_ACK)
		c->opener_seen = true;
	c->closing |= flags & PACKET_RST || (c->fin_out && c->fin_in);
}

/* A frame, and what the model expects of it. */
struct expected {
	int to; /* guest, LAB_EGRESS, or NOBODY */
	bool refused;
};

static bool begins_anew(const struct connection *c, bool out, const struct segment *s, uint8_t protocol)
{
	if (protocol != IPPROTO_TCP || (s->flags & (PACKET_SYN | PACKET_ACK)) != PACKET_SYN)
		return false;
	return out == c->inbound || c->closing || (c->opener_seen && c->other_seen);
}

/* The connection goes on, unless its owner's policy changed its mind. */
static struct expected go_on(struct connection *c, bool out, const struct segment *s, int to, bool from_guest)
{
	if (!c->inbound && !is_open(plain[c->owner], c->remote, c->protocol, c->remote_port)) {
		bool reset = c->protocol == IPPROTO_TCP && s->flags & PACKET_RST;

		forget(c);
		return (struct expected){NOBODY, from_guest && !reset};
	}
	note(c, out, s->flags);
	return (struct expected){to, false};
}

static struct expected expect_new(int from, const struct segment *s, uint8_t protocol, int to)
{
	bool syn = (s->flags & (PACKET_SYN | PACKET_ACK)) == PACKET_SYN;

	if (protocol == IPPROTO_TCP && !syn && (to == LAB_EGRESS || s->flags & (PACKET_SYN | PACKET_RST)))
		return (struct expected){NOBODY, !(s->flags & PACKET_RST)};
	if (!is_open(plain[from], s->destination, protocol, s->destination_port))
		return (struct expected){NOBODY, !(protocol == IPPROTO_TCP && s->flags & PACKET_RST)};
	list[count++] = (struct connection){.owner = from,
		.remote = s->destination,
		.local_port = s->source_port,
		.remote_port = s->destination_port,
		.protocol = protocol};
	note(&list[count - 1], true, s->flags);
	return (struct expected){to, false};
}

static struct expected expect_from_guest(int from, const struct segment *s, uint8_t protocol)
{
	int to = s->destination >> 8 == LAB_SUBNET >> 8 ? guest_at(s->destination) : LAB_EGRESS;
	bool syn = protocol == IPPROTO_TCP && (s->flags & (PACKET_SYN | PACKET_ACK)) == PACKET_SYN;
	struct connection *c = find(from, s->destination, s->source_port, s->destination_port, protocol);

	if (to == from || to == NOBODY)
		return (struct expected){NOBODY, to == NOBODY};
	if (c && !begins_anew(c, true, s, protocol))
		return go_on(c, true, s, to, true);
	if (c)
		forget(c);
	else if (to >= 0 && !syn && (c = find(to, s->source, s->destination_port, s->source_port, protocol)))
		return go_on(c, false, s, to, true);
	return expect_new(from, s, protocol, to);
}

/* Port 80 of guest 0 is published. */
static struct expected expect_from_world(const struct segment *s, uint8_t protocol)
{
	int to = guest_at(s->destination);
	bool syn = (s->flags & (PACKET_SYN | PACKET_ACK)) == PACKET_SYN;
	struct connection *c;

	if (to == NOBODY)
		return (struct expected){NOBODY, false};
	c = find(to, s->source, s->destination_port, s->source_port, protocol);
	if (c && !begins_anew(c, false, s, protocol))
		return go_on(c, false, s, to, false);
	if (to != 0 || s->destination_port != 80 || (protocol == IPPROTO_TCP && !syn))
		return (struct expected){NOBODY, false};
	if (c)
		forget(c);
	list[count++] = (struct connection){.owner = to,
		.remote = s->source,
		.local_port = 80,
		.remote_port = s->source_port,
		.protocol = protocol,
		.inbound = true};
	note(&list[count - 1], false, s->flags);
	return (struct expected){to, false};
}

static char told[120]; /* the frame in words */

static void check(const struct expected *e, int from)
{
	bool got = false, refused = false;

	for (size_t i = 0; i < lab.count; i++) {
		const struct came_out *o = &lab.out[i];
		struct packet p;

		CHECK_INT(packet_parse(o->bytes, o->n, &p), PACKET_RIGHT);
		if (o->n == lab.frame.n && memcmp(o->bytes, lab.frame.bytes, o->n) == 0) {
			if (o->to != e->to)
				test_fail(__FILE__, __LINE__, "%s: came to %d, expected %d", told, o->to,
					e->to);
			got = true;
		} else {
			CHECK(p.tcp_flags & PACKET_RST || packet_is_icmp_error(&p));
			refused |= o->to == from;
		}
	}
	if (got != (e->to != NOBODY))
		test_fail(__FILE__, __LINE__, "%s: did not come to %d", told, e->to);
	if (from != LAB_EGRESS && refused != e->refused)
		test_fail(__FILE__, __LINE__, "%s: it %s refused", told, refused ? "was" : "was not");
	lab_forget(&lab);
}

static void add(int n)
{
	struct error err;

	plain[n] = &policies[dice(ARRAY_SIZE(policies))];
	there[n] = true;
	lab_add(&lab, n, plain[n]->text);
	if (n == 0) {
		CHECK_OK(switch_publish(lab.sw, lab.id[n], IPPROTO_TCP, 80, 80, &err));
		CHECK_OK(switch_publish(lab.sw, lab.id[n], IPPROTO_UDP, 80, 80, &err));
	}
}

static void take_away(int n)
{
	switch_remove(lab.sw, lab.id[n]);
	there[n] = false;
	for (size_t i = count; i-- > 0;)
		if (list[i].owner == n)
			forget(&list[i]);
}

static void change(void)
{
	int n = (int)dice(GUESTS);

	if (there[n] && dice(2)) {
		plain[n] = &policies[dice(ARRAY_SIZE(policies))];
		lab_policy(&lab, n, plain[n]->text);
	} else if (there[n] && dice(4) == 0) {
		take_away(n);
	} else if (!there[n]) {
		add(n);
	}
}

static void step(uint32_t round, uint32_t number)
{
	static const uint8_t flags[] = {PACKET_SYN, PACKET_SYN, PACKET_SYN | PACKET_ACK, PACKET_ACK,
		PACKET_ACK, PACKET_ACK | PACKET_FIN, PACKET_RST, PACKET_RST | PACKET_ACK};
	static const uint16_t ports[] = {80, 81, 4000};
	static const uint32_t outside[] = {LAB_OUTSIDE, LAB_PRIVATE};
	struct segment s = {.source_port = ports[dice(3)],
		.destination_port = ports[dice(3)],
		.flags = flags[dice(8)],
		.sequence = dice(1000),
		.acknowledgement = dice(1000),
		.data = "data",
		.size = dice(5)};
	uint8_t protocol = dice(2) ? IPPROTO_TCP : IPPROTO_UDP;
	int from = (int)dice(GUESTS + 1);
	struct expected e;

	if (from == GUESTS) {
		from = LAB_EGRESS;
		s.source = outside[dice(2)];
		s.destination = lab_address((int)dice(GUESTS));
	} else {
		if (!there[from])
			return;
		s.source = lab_address(from);
		s.destination = dice(3) ? lab_address((int)dice(GUESTS)) : outside[dice(2)];
	}
	if (protocol == IPPROTO_UDP)
		s.flags = 0;
	snprintf(told, sizeof told, "seed %u, step %u: %s of %d from port %u to %08x:%u, flags %x", round,
		number, protocol == IPPROTO_TCP ? "TCP" : "UDP", from, s.source_port, s.destination,
		s.destination_port, s.flags);
	e = from == LAB_EGRESS ? expect_from_world(&s, protocol) : expect_from_guest(from, &s, protocol);
	if (protocol == IPPROTO_TCP)
		frame_tcp(&lab.frame, &s);
	else
		frame_udp(&lab.frame, &s);
	lab.now += MILLISECONDS(20); /* slow enough for ICMP errors, too fast for anything to expire */
	lab_from(&lab, from, &lab.frame);
	check(&e, from);
}

TEST(random_schedules_do_what_a_plain_list_of_connections_says)
{
	const char *seed = getenv("MC_SEED");
	uint32_t first = seed ? (uint32_t)strtoul(seed, NULL, 0) : 1;

	for (uint32_t round = first; round < first + (seed ? 1 : 100); round++) {
		random_state = round * 2654435761u;
		count = 0;
		lab_open(&lab);
		for (int n = 0; n < GUESTS; n++)
			add(n);
		for (uint32_t i = 0; i < 2500; i++) {
			if (dice(50) == 0)
				change();
			step(round, i);
		}
		lab_close(&lab);
	}
}
