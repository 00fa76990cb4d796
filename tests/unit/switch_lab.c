/* SPDX-License-Identifier: Apache-2.0 */
#include "switch_lab.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

uint16_t get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)get_u16(p) << 16 | get_u16(p + 2);
}

void put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void put_u32(uint8_t *p, uint32_t v)
{
	put_u16(p, (uint16_t)(v >> 16));
	put_u16(p + 2, (uint16_t)v);
}

static void record(struct lab *lab, int to, const uint8_t *frame, size_t n)
{
	struct came_out *o = &lab->out[lab->count];

	if (lab->forget) {
		lab->forgotten[to + 1]++;
		return;
	}
	CHECK(lab->count < LAB_FRAMES);
	lab->count++;
	*o = (struct came_out){.to = to, .n = n, .bytes = malloc(n)};
	CHECK(o->bytes);
	memcpy(o->bytes, frame, n);
}

static bool deliver(void *context, void *link, const uint8_t *frame, size_t n)
{
	struct lab *lab = context;
	int to = (int)((uintptr_t)link - 1);

	if (lab->stuck[to])
		return false;
	record(lab, to, frame, n);
	return true;
}

static void egress(void *context, const uint8_t *frame, size_t n)
{
	struct lab *lab = context;

	record(lab, LAB_EGRESS, frame, n);
	if (lab->on_egress)
		lab->on_egress(lab, frame, n);
}

static bool neighbour(void *context, const uint8_t *frame, size_t n)
{
	struct lab *lab = context;
	struct packet p;

	if (!lab->far || packet_parse(frame, n, &p) != PACKET_RIGHT || (p.destination ^ lab->far) >> 8)
		return false;
	lab->went_far++;
	return true;
}

static void dns(void *context, uint32_t port, const struct packet *query)
{
	struct lab *lab = context;

	lab->questions++;
	switch_answer_dns(
		lab->sw, port, query->source_port, query->frame + query->data_at, query->data_size, lab->now);
}

static void judged(void *context, uint32_t port, const struct flow_key *key, const struct verdict *verdict,
	const char *name, uint64_t now)
{
	struct lab *lab = context;

	(void)port;
	(void)key;
	(void)now;
	lab->verdicts++;
	lab->last = *verdict;
	snprintf(lab->last_name, sizeof lab->last_name, "%s", name ? name : "");
}

int lab_make(struct lab *lab, struct error *err)
{
	static const struct switch_calls calls = {
		.deliver = deliver, .egress = egress, .neighbour = neighbour, .dns = dns, .verdict = judged};
	struct prefix host_address = prefix_ipv4(0xcb007105, 32); /* 203.0.113.5 */
	struct surroundings s = {
		.subnet = prefix_ipv4(LAB_SUBNET, 24),
		.gateway = LAB_GATEWAY,
		.host = LAB_HOST,
		.host_addresses = &host_address,
		.host_address_count = 1,
	};
	struct switch_config config = {.surroundings = &s, .seed = {1, 2}, .domain = "lab.internal"};

	lab->now = 1000000000000;
	return switch_new(&config, &calls, lab, &lab->sw, err);
}

void lab_open(struct lab *lab)
{
	struct error err;

	memset(lab, 0, sizeof *lab);
	CHECK_OK(lab_make(lab, &err));
}

void lab_forget(struct lab *lab)
{
	while (lab->count)
		free(lab->out[--lab->count].bytes);
	lab->questions = lab->verdicts = 0;
}

void lab_close(struct lab *lab)
{
	lab_forget(lab);
	switch_free(lab->sw);
}

uint32_t lab_address(int n)
{
	return LAB_SUBNET + 3 + (uint32_t)n;
}

const uint8_t *lab_mac(uint32_t address, uint8_t mac[6])
{
	/* What is outside is behind the gateway. */
	if (address >> 8 != LAB_SUBNET >> 8)
		address = LAB_GATEWAY;
	put_u16(mac, 0x524d);
	put_u32(mac + 2, address);
	return mac;
}

void lab_parse(const char *text, struct policy *p)
{
	struct rule rules[POLICY_RULES_MAX];
	char copy[4096], *word, *save = NULL;
	enum reach reach = REACH_PUBLIC;
	struct error err;
	size_t n = 0;

	snprintf(copy, sizeof copy, "%s", text);
	for (word = strtok_r(copy, ";", &save); word; word = strtok_r(NULL, ";", &save)) {
		word += strspn(word, " ");
		if (strncmp(word, "allow ", 6) == 0)
			CHECK_OK(rule_parse(word + 6, true, &rules[n++], &err));
		else if (strncmp(word, "deny ", 5) == 0)
			CHECK_OK(rule_parse(word + 5, false, &rules[n++], &err));
		else
			CHECK_OK(reach_parse(word, &reach, &err));
	}
	CHECK_OK(policy_make(reach, rules, n, p, &err));
}

void lab_add(struct lab *lab, int n, const char *text)
{
	struct policy policy;
	struct switch_port_config config = {.address = lab_address(n), .main = true, .policy = &policy};
	struct error err;

	lab_parse(text, &policy);
	lab_mac(config.address, config.mac);
	CHECK_OK(switch_add(lab->sw, &config, (void *)(uintptr_t)(n + 1), &lab->id[n], &err));
	policy_free(&policy);
}

void lab_policy(struct lab *lab, int n, const char *text)
{
	struct policy policy;
	struct error err;

	lab_parse(text, &policy);
	CHECK_OK(switch_set_policy(lab->sw, lab->id[n], &policy, &err));
	policy_free(&policy);
}

void lab_from(struct lab *lab, int n, const struct frame *f)
{
	/* Exactly as large as it is, so that the sanitizer sees what reads past its end; not where
	 * allocations are counted. */
	uint8_t *copy = lab->forget ? lab->copy : malloc(f->n ? f->n : 1);

	CHECK(copy);
	memcpy(copy, f->bytes, f->n);
	if (n == LAB_EGRESS)
		switch_from_egress(lab->sw, copy, f->n, lab->now);
	else
		switch_from_guest(lab->sw, lab->id[n], copy, f->n, lab->now);
	if (!lab->forget)
		free(copy);
}

const struct came_out *lab_last(const struct lab *lab, int to)
{
	for (size_t i = lab->count; i-- > 0;)
		if (lab->out[i].to == to)
			return &lab->out[i];
	return NULL;
}

size_t lab_count(const struct lab *lab, int to)
{
	size_t n = 0;

	for (size_t i = 0; i < lab->count; i++)
		n += lab->out[i].to == to;
	return n;
}

struct switch_counters lab_counters(const struct lab *lab, int n)
{
	struct switch_counters c;

	switch_count(lab->sw, n == LAB_EGRESS ? 0 : lab->id[n], &c);
	return c;
}

uint64_t lab_dropped(const struct lab *lab, int n, enum switch_drop why)
{
	return lab_counters(lab, n).drops[why];
}

/* RFC 1071, the plain way. */
static uint16_t sum(uint32_t start, const uint8_t *p, size_t n)
{
	uint64_t s = start;

	for (size_t i = 0; i + 1 < n; i += 2)
		s += get_u16(p + i);
	if (n % 2)
		s += (uint32_t)p[n - 1] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

void frame_sum(struct frame *f)
{
	uint8_t *ip = f->bytes + 14, *inner = ip + (ip[0] & 15) * 4;
	size_t n = get_u16(ip + 2) - (size_t)(ip[0] & 15) * 4;
	uint32_t pseudo = get_u16(ip + 12) + get_u16(ip + 14) + get_u16(ip + 16) + get_u16(ip + 18) + ip[9] +
			  (uint32_t)n;
	size_t at = ip[9] == IPPROTO_TCP ? 16 : ip[9] == IPPROTO_UDP ? 6 : 2;

	put_u16(ip + 10, 0);
	put_u16(ip + 10, sum(0, ip, (size_t)(ip[0] & 15) * 4));
	put_u16(inner + at, 0);
	put_u16(inner + at, sum(ip[9] == IPPROTO_ICMP ? 0 : pseudo, inner, n));
	if (ip[9] == IPPROTO_UDP && get_u16(inner + at) == 0)
		put_u16(inner + at, 0xffff);
}

static uint8_t *start_ip(struct frame *f, uint32_t source, uint32_t destination, uint8_t protocol, size_t n)
{
	uint8_t *ip = f->bytes + 14;

	memset(f->bytes, 0, 14 + 20 + 20);
	lab_mac(destination, f->bytes);
	lab_mac(source, f->bytes + 6);
	put_u16(f->bytes + 12, 0x0800);
	ip[0] = 0x45;
	put_u16(ip + 2, (uint16_t)(20 + n));
	put_u16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = protocol;
	put_u32(ip + 12, source);
	put_u32(ip + 16, destination);
	f->n = 14 + 20 + n;
	return ip + 20;
}

struct frame *frame_tcp(struct frame *f, const struct segment *s)
{
	uint8_t *tcp = start_ip(f, s->source, s->destination, IPPROTO_TCP, 20 + s->size);

	put_u16(tcp, s->source_port);
	put_u16(tcp + 2, s->destination_port);
	put_u32(tcp + 4, s->sequence);
	put_u32(tcp + 8, s->acknowledgement);
	tcp[12] = 0x50;
	tcp[13] = s->flags;
	put_u16(tcp + 14, 65535);
	if (s->size)
		memcpy(tcp + 20, s->data, s->size);
	frame_sum(f);
	return f;
}

struct frame *frame_udp(struct frame *f, const struct segment *s)
{
	uint8_t *udp = start_ip(f, s->source, s->destination, IPPROTO_UDP, 8 + s->size);

	put_u16(udp, s->source_port);
	put_u16(udp + 2, s->destination_port);
	put_u16(udp + 4, (uint16_t)(8 + s->size));
	put_u16(udp + 6, 0);
	if (s->size)
		memcpy(udp + 8, s->data, s->size);
	frame_sum(f);
	return f;
}

struct frame *frame_icmp(struct frame *f, uint32_t source, uint32_t destination, uint8_t type, uint8_t code,
	uint32_t rest, const void *data, size_t n)
{
	uint8_t *icmp = start_ip(f, source, destination, IPPROTO_ICMP, 8 + n);

	icmp[0] = type;
	icmp[1] = code;
	put_u16(icmp + 2, 0);
	put_u32(icmp + 4, rest);
	if (n)
		memcpy(icmp + 8, data, n);
	frame_sum(f);
	return f;
}

struct frame *frame_arp(struct frame *f, uint32_t sender, uint32_t target, uint16_t operation)
{
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4};
	uint8_t *arp = f->bytes + 14;

	memset(f->bytes, 0xff, 6);
	lab_mac(sender, f->bytes + 6);
	put_u16(f->bytes + 12, 0x0806);
	memcpy(arp, head, sizeof head);
	put_u16(arp + 6, operation);
	lab_mac(sender, arp + 8);
	put_u32(arp + 14, sender);
	memset(arp + 18, 0, 6);
	put_u32(arp + 24, target);
	f->n = 14 + 28;
	return f;
}

void lab_open_with(struct lab *lab, const char *a, const char *b)
{
	lab_open(lab);
	lab_add(lab, 0, a);
	if (b)
		lab_add(lab, 1, b);
}

void lab_tcp(struct lab *lab, int from, struct segment s)
{
	lab_from(lab, from, frame_tcp(&lab->frame, &s));
}

void lab_udp(struct lab *lab, int from, struct segment s)
{
	lab_from(lab, from, frame_udp(&lab->frame, &s));
}

struct segment a_to(uint32_t destination, uint16_t port, uint8_t flags)
{
	return (struct segment){.source = lab_address(0),
		.destination = destination,
		.source_port = 40000,
		.destination_port = port,
		.sequence = 1000,
		.acknowledgement = 5000,
		.flags = flags};
}

struct segment answer_to(struct segment s, uint8_t flags)
{
	return (struct segment){.source = s.destination,
		.destination = s.source,
		.source_port = s.destination_port,
		.destination_port = s.source_port,
		.sequence = 5000,
		.acknowledgement = s.sequence + 1,
		.flags = flags};
}

struct packet lab_packet(const struct lab *lab, int to)
{
	const struct came_out *o = lab_last(lab, to);
	struct packet p;

	CHECK(o);
	CHECK_INT(packet_parse(o->bytes, o->n, &p), PACKET_RIGHT);
	CHECK(p.ethertype == PACKET_ARP || packet_checksum_right(&p));
	return p;
}

void lab_check_same(const struct lab *lab, int to)
{
	const struct came_out *o = lab_last(lab, to);

	CHECK(o && o->n == lab->frame.n && memcmp(o->bytes, lab->frame.bytes, o->n) == 0);
}

void lab_check_reset(const struct lab *lab, int to, uint32_t from)
{
	struct packet p = lab_packet(lab, to);

	CHECK(p.protocol == IPPROTO_TCP && p.tcp_flags & PACKET_RST);
	CHECK_INT(p.source, from);
}

void lab_check_unreachable(const struct lab *lab, int to, uint8_t code)
{
	struct packet p = lab_packet(lab, to);

	CHECK(p.protocol == IPPROTO_ICMP && p.icmp_type == PACKET_ICMP_UNREACHABLE);
	CHECK_INT(p.icmp_code, code);
	CHECK_INT(p.source, LAB_GATEWAY);
}

void lab_check_silence(const struct lab *lab)
{
	CHECK_INT(lab->count, 0);
}
