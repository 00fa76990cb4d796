/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sequence of frames, calls and time at one switch. Whatever comes: a frame leaves with its sender's own
 * MAC and address only, whole and without options; what a policy denies stays inside; nothing passes between
 * two that deny each other; a frame is right wherever it arrives.
 */
#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/big_endian.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "codec/packet.h"
#include "codec/packet_bytes.h"
#include "net/flows.h"
#include "net/policy.h"
#include "net/switch.h"

#define SUBNET  0x0a010200u
#define GATEWAY (SUBNET + 1)
#define HOST    (SUBNET + 2)
#define OPEN    0x08080000u /* 8.8.0.0/16 */
#define NAMED   0x09090909u
#define PORTS   3
#define WORLD   PORTS
#define NOBODY  (PORTS + 1) /* time, or the resolver */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct net_switch *sw;
	uint32_t id[PORTS];
	size_t sender; /* who is heard at the moment */
	uint64_t now;
};

static uint32_t address_of(size_t n)
{
	return SUBNET + 3 + (uint32_t)n;
}

static void put_mac(uint32_t address, uint8_t mac[6])
{
	be16_put(mac, 0x524d);
	be32_put(mac + 2, address);
}

static size_t port_of(uint32_t address)
{
	return address - address_of(0) < PORTS ? address - address_of(0) : PORTS;
}

static struct packet look(const uint8_t *frame, size_t n)
{
	struct packet p;

	assert(packet_parse(frame, n, &p) == PACKET_RIGHT && p.size == n && n <= SWITCH_FRAME_MAX);
	return p;
}

/* A guest gets what a member sent as himself, what the switch says as the gateway, or what came from the
 * world. */
static bool deliver(void *context, void *link, const uint8_t *frame, size_t n)
{
	const struct world *w = context;
	size_t to = (size_t)(uintptr_t)link - 1, from;
	struct packet p = look(frame, n);
	uint8_t mac[6];

	if (p.ethertype == PACKET_ARP) {
		assert(p.arp.operation == PACKET_ARP_REPLY);
		put_mac(p.arp.sender, mac);
		assert(memcmp(p.arp.sender_mac, mac, 6) == 0);
		return n % 7;
	}
	put_mac(address_of(to), mac);
	assert(memcmp(p.destination_mac, mac, 6) == 0 ||
		(p.destination == 0xffffffff && p.source == GATEWAY && p.source_port == 67));
	assert(p.destination == address_of(to) || p.destination == 0xffffffff);
	from = port_of(p.source);
	if (from < PORTS) {
		put_mac(p.source, mac);
		assert(memcmp(p.source_mac, mac, 6) == 0 && !p.fragment && !p.options);
		/* A's neighbour C and he deny each other: a reset says so, in the other's name. */
		assert(from + to != 2 || from == to || p.tcp_flags & PACKET_RST);
		/* What has his name is from him, or is the answer to what was sent to him. */
		assert(w->sender == from || w->sender == NOBODY || p.tcp_flags & PACKET_RST);
	}
	return n % 7; /* a queue may be full */
}

static bool may_leave(const struct packet *p)
{
	uint32_t to = p->destination;
	size_t from = port_of(p->source);

	if (p->protocol == IPPROTO_TCP && p->tcp_flags & PACKET_RST)
		return true; /* cuts what was open */
	if (from == 1 && p->source_port == 80)
		return true; /* an answer: B publishes it */
	if (to == GATEWAY)
		return p->protocol == IPPROTO_TCP && p->destination_port == 53;
	if (p->destination_port == 25)
		return false;
	return to >> 16 == OPEN >> 16 || to == NAMED || from == 1 /* any */;
}

static void egress(void *context, const uint8_t *frame, size_t n)
{
	const struct world *w = context;
	struct packet p = look(frame, n);
	uint8_t mac[6];
	size_t from;

	if (p.ethertype == PACKET_ARP) {
		assert(w->sender == WORLD && p.arp.operation == PACKET_ARP_REPLY &&
			port_of(p.arp.sender) < PORTS);
		return;
	}
	from = port_of(p.source);
	assert(from < PORTS && !p.fragment && !p.options && packet_checksum_right(&p));
	assert(w->sender == from || w->sender == NOBODY || p.tcp_flags & PACKET_RST);
	put_mac(p.source, mac);
	assert(memcmp(p.source_mac, mac, 6) == 0 || p.tcp_flags & PACKET_RST);
	assert(p.destination >> 8 != SUBNET >> 8 || p.destination == GATEWAY || p.destination == HOST);
	assert(may_leave(&p));
}

static void dns(void *context, uint32_t port, const struct packet *query)
{
	const struct world *w = context;
	struct address a = address_from_ipv4(NAMED);

	assert(query->source == address_of(w->sender < PORTS ? w->sender : port_of(query->source)));
	switch_learn(w->sw, port, "good.example", &a, 60, w->now);
	switch_answer_dns(
		w->sw, port, query->source_port, query->frame + query->data_at, query->data_size, w->now);
}

static void judged(void *context, uint32_t port, const struct flow_key *key, const struct verdict *v,
	const char *name, uint64_t now)
{
	(void)context;
	(void)port;
	(void)name;
	(void)now;
	assert(v->kind != VERDICT_INSPECT && key->sandbox < SWITCH_PORTS_MAX);
}

static struct policy policy_of(size_t n, bool other)
{
	/* A and C deny each other; B reaches anything but port 25. */
	static const struct {
		enum reach reach;
		const char *allow[2], *deny[2];
	} all[PORTS] = {
		{REACH_LOCAL, {"8.8.0.0/16", "good.example:443/tcp"}, {"*:25", "10.1.2.5"}},
		{REACH_ANY, {"192.168.0.0/16", "*.example"}, {"*:25/tcp", "*:25/udp"}},
		{REACH_LOCAL, {"8.8.8.8", "good.example"}, {"*:25", "10.1.2.3"}},
	};
	struct rule rules[4];
	struct policy p;
	size_t count = 0;

	for (size_t i = 0; i < 2; i++)
		assert(rule_parse(all[n].deny[i], false, &rules[count++], NULL) == 0);
	for (size_t i = 0; i < 2 - other; i++)
		assert(rule_parse(all[n].allow[i], true, &rules[count++], NULL) == 0);
	assert(policy_make(all[n].reach, rules, count, &p, NULL) == 0);
	return p;
}

static void add(struct world *w, size_t n)
{
	struct policy policy = policy_of(n, false);
	struct switch_port_config config = {
		.address = address_of(n), .mtu = n == 1 ? 1500 : 0, .main = n != 2, .policy = &policy};

	put_mac(config.address, config.mac);
	assert(switch_add(w->sw, &config, (void *)(uintptr_t)(n + 1), &w->id[n], NULL) == 0);
	if (n == 1) {
		assert(switch_publish(w->sw, w->id[n], IPPROTO_TCP, 80, 80, NULL) == 0);
		assert(switch_publish(w->sw, w->id[n], IPPROTO_UDP, 80, 80, NULL) == 0);
	}
	policy_free(&policy);
}

static void set_up(struct world *w)
{
	static const struct switch_calls calls = {
		.deliver = deliver, .egress = egress, .dns = dns, .verdict = judged};
	struct surroundings s = {.subnet = prefix_ipv4(SUBNET, 24), .gateway = GATEWAY, .host = HOST};
	struct switch_config config = {
		.surroundings = &s, .seed = {3, 4}, .flows = 512, .domain = "x.internal"};

	w->now = 1000000000000;
	assert(switch_new(&config, &calls, w, &w->sw, NULL) == 0);
	for (size_t n = 0; n < PORTS; n++)
		add(w, n);
}

/* Lengths and checksums made right, so that what is random inside is looked at. */
static void mend(uint8_t *f, size_t n)
{
	uint8_t *ip = f + PACKET_ETHERNET_SIZE;
	size_t header, inner;

	if (n < PACKET_ETHERNET_SIZE + 28 || be16_get(f + ETHERNET_TYPE) != PACKET_IPV4)
		return;
	ip[0] = (uint8_t)(0x40 | ((ip[0] & 15) < 5 ? 5 : ip[0] & 15));
	header = (size_t)(ip[0] & 15) * 4;
	if (n < PACKET_ETHERNET_SIZE + header + 8)
		return;
	inner = n - PACKET_ETHERNET_SIZE - header;
	be16_put(ip + IPV4_LENGTH, (uint16_t)(n - PACKET_ETHERNET_SIZE));
	be16_put(ip + IPV4_CHECKSUM, 0);
	checksum_put(ip + IPV4_CHECKSUM, checksum_add(0, ip, header));
	f = ip + header;
	if (ip[IPV4_PROTOCOL] == IPPROTO_TCP && inner >= TCP_SIZE) {
		be16_put(f + TCP_CHECKSUM, 0);
		checksum_put(
			f + TCP_CHECKSUM, checksum_add(checksum_pseudo(ip, IPPROTO_TCP, inner), f, inner));
	} else if (ip[IPV4_PROTOCOL] == IPPROTO_UDP) {
		be16_put(f + 4, (uint16_t)inner);
		be16_put(f + UDP_CHECKSUM, 0);
	} else if (ip[IPV4_PROTOCOL] == IPPROTO_ICMP) {
		be16_put(f + ICMP_CHECKSUM, 0);
		checksum_put(f + ICMP_CHECKSUM, checksum_add(0, f, inner));
	}
}

/* A frame that says what a few bytes mean: whom, ports, flags. */
static size_t compose(struct cursor *c, size_t sender, uint8_t *f)
{
	static const uint32_t peers[] = {SUBNET + 3, SUBNET + 4, SUBNET + 5, GATEWAY, HOST, OPEN + 0x0808,
		NAMED, 0xc0a80101, 0xffffffff, SUBNET + 9};
	static const uint16_t ports[] = {80, 443, 53, 25, 67, 68, 40000, 40001};
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
	uint32_t peer = peers[cursor_u8(c) % ARRAY_SIZE(peers)],
		 own = address_of(sender == WORLD ? cursor_u8(c) % PORTS : sender);
	uint8_t what = cursor_u8(c), which = cursor_u8(c), *ip = f + PACKET_ETHERNET_SIZE,
		*inner = ip + IPV4_SIZE;
	size_t n = cursor_u8(c), head;
	const uint8_t *data = cursor_take(c, n);

	memset(f, 0, PACKET_ETHERNET_SIZE + 40);
	put_mac(sender == WORLD ? own : peer, f);
	put_mac(sender == WORLD ? GATEWAY : own, f + 6);
	be16_put(f + ETHERNET_TYPE, PACKET_IPV4);
	ip[0] = 0x45;
	ip[IPV4_TTL] = 64;
	ip[IPV4_PROTOCOL] = protocols[what & 3];
	be32_put(ip + IPV4_SOURCE, sender == WORLD ? peer : own);
	be32_put(ip + IPV4_DESTINATION, sender == WORLD ? own : peer);
	be16_put(inner, ports[which & 7]);
	be16_put(inner + 2, ports[which >> 3 & 7]);
	head = ip[IPV4_PROTOCOL] == IPPROTO_TCP ? TCP_SIZE : 8;
	if (head == TCP_SIZE) {
		be32_put(inner + 4, 1000 + (which >> 6));
		be32_put(inner + 8, 1001);
		inner[12] = 0x50;
		inner[13] = what >> 2;
	} else if (ip[IPV4_PROTOCOL] == IPPROTO_ICMP) {
		be16_put(inner, (uint16_t)((what >> 2 & 15) << 8));
	}
	if (data)
		memcpy(inner + head, data, n);
	n = PACKET_ETHERNET_SIZE + IPV4_SIZE + head + (data ? n : 0);
	mend(f, n);
	return n;
}

static void say(struct world *w, size_t sender, const uint8_t *frame, size_t n)
{
	/* Of its exact size: what reads past its end is seen. */
	_cleanup_free_ uint8_t *copy = malloc(n + !n);

	assert(copy);
	memcpy(copy, frame, n);
	w->sender = sender;
	if (sender == WORLD)
		switch_from_egress(w->sw, copy, n, w->now);
	else
		switch_from_guest(w->sw, w->id[sender], copy, n, w->now);
	w->sender = NOBODY;
}

static void change(struct world *w, size_t n, uint8_t how)
{
	struct policy policy = policy_of(n, how & 1);

	switch (how >> 1 & 3) {
	case 0:
		assert(switch_set_policy(w->sw, w->id[n], &policy, NULL) == 0);
		break;
	case 1:
		switch_set_bandwidth(w->sw, w->id[n], (how >> 3) * 1000u);
		break;
	case 2:
		switch_remove(w->sw, w->id[n]);
		add(w, n);
		break;
	default:
		switch_set_link(w->sw, w->id[n], how & 8 ? NULL : (void *)(uintptr_t)(n + 1));
		break;
	}
	policy_free(&policy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t frame[4096];
	struct cursor c = cursor_of(data, size);
	struct world w = {.sender = NOBODY};
	struct switch_counters counters;

	set_up(&w);
	while (c.left && !c.failed) {
		uint8_t op = cursor_u8(&c);
		size_t who = op >> 4 & 3, n;

		if ((op & 15) < 8) {
			say(&w, who, frame, compose(&c, who, frame));
		} else if ((op & 15) < 12) {
			n = cursor_u16(&c) % sizeof frame;
			n = n < c.left ? n : c.left;
			if (n)
				memcpy(frame, cursor_take(&c, n), n);
			if (op & 1)
				mend(frame, n);
			say(&w, who, frame, n);
		} else if ((op & 15) < 14) {
			w.now += cursor_u8(&c) * 250000000ULL;
			switch_tick(w.sw, w.now);
		} else {
			change(&w, who % PORTS, cursor_u8(&c));
		}
	}
	for (size_t n = 0; n < PORTS; n++) {
		switch_count(w.sw, w.id[n], &counters);
		assert(counters.held <= 1048576 && counters.flows <= FLOWS_PER_SANDBOX);
	}
	switch_free(w.sw);
	return 0;
}
