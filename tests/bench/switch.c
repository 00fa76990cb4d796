/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times the switch of a group (net/switch.h) alone: a frame in memory, its verdict, a copy into an output
 * queue. Frames are checked whole, policies have ten rules. Prints a line for each measure: its name, and
 * nanoseconds of processor time for a frame.
 *
 *   bench_switch [FRAMES]     of each measure; 2,000,000 unless given
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "codec/packet.h"
#include "codec/packet_bytes.h"
#include "net/policy.h"
#include "net/switch.h"

#define SUBNET  0x0a010200u
#define GATEWAY (SUBNET + 1)
#define OUTSIDE 0x08080000u
#define PRIVATE 0xc0a80000u
#define FLOWS   1000u
#define QUEUE   (4u << 20)
#define LARGE   65534u

struct bench {
	struct net_switch *sw;
	uint32_t id[200];
	uint8_t *queue;
	size_t at, count;
	uint64_t now;
};

static void put(struct bench *b, const uint8_t *frame, size_t n)
{
	if (b->at + n > QUEUE)
		b->at = 0;
	memcpy(b->queue + b->at, frame, n);
	b->at += n;
	b->count++;
}

static bool deliver(void *context, void *link, const uint8_t *frame, size_t n)
{
	(void)link;
	put(context, frame, n);
	return true;
}

static void egress(void *context, const uint8_t *frame, size_t n)
{
	put(context, frame, n);
}

static void dns(void *context, uint32_t port, const struct packet *query)
{
	(void)context;
	(void)port;
	(void)query;
}

static void put_mac(uint32_t address, uint8_t *mac)
{
	be16_put(mac, 0x524d);
	be32_put(mac + 2, address >> 8 == SUBNET >> 8 ? address : GATEWAY);
}

static uint32_t address_of(size_t n)
{
	return SUBNET + 3 + (uint32_t)n;
}

static struct policy make_policy(void)
{
	static const char *const texts[] = {"10.0.0.0/8:22/tcp", "172.16.0.0/12", "*:25/tcp", "198.51.100.7",
		"*:6881-6889", "10.9.9.0/24:5432/tcp", "10.9.8.7:6379/tcp", "host.internal:8080",
		"10.77.0.0/16:443/tcp", "203.0.113.0/24"};
	struct rule rules[ARRAY_SIZE(texts)];
	struct policy p;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (rule_parse(texts[i], i >= 5, &rules[i], NULL) < 0)
			abort();
	if (policy_make(REACH_PUBLIC, rules, ARRAY_SIZE(texts), &p, NULL) < 0)
		abort();
	return p;
}

static void set_up(struct bench *b, size_t ports)
{
	static const struct switch_calls calls = {.deliver = deliver, .egress = egress, .dns = dns};
	struct surroundings s = {.subnet = prefix_ipv4(SUBNET, 24), .gateway = GATEWAY, .host = SUBNET + 2};
	struct switch_config config = {.surroundings = &s, .seed = {(uint64_t)time(NULL), 7}};
	struct policy policy = make_policy();

	*b = (struct bench){.queue = malloc(QUEUE), .now = 1000000000000};
	if (!b->queue || switch_new(&config, &calls, b, &b->sw, NULL) < 0)
		abort();
	for (size_t n = 0; n < ports; n++) {
		struct switch_port_config port = {.address = address_of(n), .policy = &policy};

		put_mac(port.address, port.mac);
		if (switch_add(b->sw, &port, b, &b->id[n], NULL) < 0)
			abort();
	}
	policy_free(&policy);
}

static void tear_down(struct bench *b)
{
	switch_free(b->sw);
	free(b->queue);
}

static void make_tcp(uint8_t *f, size_t n, uint32_t from, uint32_t to, uint32_t ports, uint8_t flags)
{
	uint8_t *ip = f + PACKET_ETHERNET_SIZE, *tcp = ip + IPV4_SIZE;
	size_t size = n - PACKET_ETHERNET_SIZE - IPV4_SIZE;

	memset(f, 0, n);
	put_mac(to, f);
	put_mac(from, f + 6);
	be16_put(f + 12, PACKET_IPV4);
	ip[0] = 0x45;
	be16_put(ip + IPV4_LENGTH, (uint16_t)(n - PACKET_ETHERNET_SIZE));
	ip[IPV4_TTL] = 64;
	ip[IPV4_PROTOCOL] = IPPROTO_TCP;
	be32_put(ip + IPV4_SOURCE, from);
	be32_put(ip + IPV4_DESTINATION, to);
	checksum_put(ip + IPV4_CHECKSUM, checksum_add(0, ip, IPV4_SIZE));
	be32_put(tcp, ports);
	tcp[12] = 0x50;
	tcp[13] = flags;
	checksum_put(tcp + TCP_CHECKSUM, checksum_add(checksum_pseudo(ip, IPPROTO_TCP, size), tcp, size));
}

static double processor(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Frames of 64 bytes of 1,000 connections that are open. */
enum way { TO_MEMBER, TO_WORLD, FROM_WORLD };

static uint8_t frames[FLOWS][64];

static void small(const char *name, enum way way, size_t ports, size_t count)
{
	size_t senders[FLOWS];
	struct bench b;
	double began;

	set_up(&b, ports);
	for (size_t i = 0; i < FLOWS; i++) {
		size_t n = senders[i] = i % ports;
		uint32_t own = address_of(n),
			 to = way == TO_MEMBER ? address_of((n + 1) % ports) : OUTSIDE + (uint32_t)i % 50;
		uint32_t port = (uint32_t)(20000 + i);

		make_tcp(frames[i], 64, own, to, port << 16 | 443, PACKET_SYN);
		switch_from_guest(b.sw, b.id[n], frames[i], 64, b.now);
		make_tcp(frames[i], 64, own, to, port << 16 | 443, PACKET_ACK);
		if (way == FROM_WORLD)
			make_tcp(frames[i], 64, to, own, 443 << 16 | port, PACKET_ACK);
	}
	if (b.count != FLOWS)
		abort();
	began = processor();
	for (size_t i = 0; i < count; i++) {
		size_t which = i % FLOWS;

		if (way == FROM_WORLD)
			switch_from_egress(b.sw, frames[which], 64, b.now);
		else
			switch_from_guest(b.sw, b.id[senders[which]], frames[which], 64, b.now);
		b.now += 300;
	}
	printf("%s %.1f\n", name, (processor() - began) / (double)count);
	if (b.count != FLOWS + count)
		abort();
	tear_down(&b);
}

static void large(size_t count)
{
	static uint8_t frame[LARGE];
	struct bench b;
	double began;

	set_up(&b, 2);
	make_tcp(frame, 64, address_of(0), address_of(1), 40000u << 16 | 80, PACKET_SYN);
	switch_from_guest(b.sw, b.id[0], frame, 64, b.now);
	make_tcp(frame, LARGE, address_of(0), address_of(1), 40000u << 16 | 80, PACKET_ACK);
	began = processor();
	for (size_t i = 0; i < count; i++)
		switch_from_guest(b.sw, b.id[0], frame, LARGE, b.now += 5000);
	printf("large %.1f\n", (processor() - began) / (double)count);
	if (b.count != 1 + count)
		abort();
	tear_down(&b);
}

/* A flood: a new connection with each frame, to what is allowed, or is not. */
static void flood(const char *name, uint32_t network, size_t count)
{
	static uint8_t frame[64];
	struct bench b;
	double began, making;

	set_up(&b, 2);
	began = processor();
	for (size_t i = 0; i < count; i++)
		make_tcp(frame, 64, address_of(0), network + (uint32_t)(i % 60000), (uint32_t)i * 2654435761u,
			PACKET_SYN);
	making = processor() - began;
	began = processor();
	for (size_t i = 0; i < count; i++) {
		make_tcp(frame, 64, address_of(0), network + (uint32_t)(i % 60000), (uint32_t)i * 2654435761u,
			PACKET_SYN);
		switch_from_guest(b.sw, b.id[0], frame, 64, b.now += 1000);
		if (i % 1000 == 0)
			switch_tick(b.sw, b.now);
	}
	printf("%s %.1f\n", name, (processor() - began - making) / (double)count);
	tear_down(&b);
}

/* Connections of two members, timed in turns with a third one's scan. */
static void beside_flood(size_t count)
{
	static uint8_t scan[64];
	double spent = 0, began;
	struct bench b;

	set_up(&b, 3);
	for (uint32_t i = 0; i < FLOWS; i++) {
		make_tcp(frames[i], 64, address_of(1), address_of(2), (20000 + i) << 16 | 443, PACKET_SYN);
		switch_from_guest(b.sw, b.id[1], frames[i], 64, b.now);
		make_tcp(frames[i], 64, address_of(1), address_of(2), (20000 + i) << 16 | 443, PACKET_ACK);
	}
	for (size_t done = 0; done < count; done += FLOWS) {
		for (size_t i = done; i < done + FLOWS; i++) {
			make_tcp(scan, 64, address_of(0),
				i % 2 ? OUTSIDE + (uint32_t)(i % 60000) : address_of(1),
				(uint32_t)i * 2654435761u, PACKET_SYN);
			switch_from_guest(b.sw, b.id[0], scan, 64, b.now += 1000);
		}
		began = processor();
		for (size_t i = 0; i < FLOWS; i++)
			switch_from_guest(b.sw, b.id[1], frames[i], 64, b.now += 300);
		spent += processor() - began;
		switch_tick(b.sw, b.now);
	}
	printf("beside-flood %.1f\n", spent / (double)count);
	tear_down(&b);
}

int main(int argc, char **argv)
{
	size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000000;

	small("to-member", TO_MEMBER, 2, count);
	small("to-world", TO_WORLD, 2, count);
	small("from-world", FROM_WORLD, 2, count);
	small("to-member-200", TO_MEMBER, 200, count);
	small("to-world-200", TO_WORLD, 200, count);
	large(count / 40);
	flood("new", OUTSIDE, count / 4);
	flood("denied", PRIVATE, count / 4);
	beside_flood(count / 4 / FLOWS * FLOWS);
	return 0;
}
