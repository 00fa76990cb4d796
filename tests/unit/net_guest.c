/* SPDX-License-Identifier: Apache-2.0 */
#include "net_guest.h"

#include <stdlib.h>
#include <string.h>

#include "net/ipam.h"
#include "test.h"

#define ETHERNET 14
#define IP       20
#define TCP      20

void net_guest_init(struct net_guest *g, uint32_t address, uint32_t gateway,
	void (*send)(void *context, uint8_t *frame, size_t n), void *context)
{
	*g = (struct net_guest){.address = address, .gateway = gateway, .send = send, .context = context};
	ipam_mac(address, g->mac);
}

void net_guest_free(struct net_guest *g)
{
	while (g->frame_count)
		free(g->frames[--g->frame_count]);
}

/* ---- frames ------------------------------------------------------------------------------------------ */

static void put16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
	put16(at, v >> 16);
	put16(at + 2, v & 0xffff);
}

static uint32_t add(const uint8_t *bytes, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return sum;
}

static unsigned fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

/* Ethernet and IP before a payload of n bytes that stands in the frame already. */
static void finish(struct net_guest *g, uint8_t *frame, uint32_t to, uint8_t protocol, size_t n)
{
	uint8_t *ip = frame + ETHERNET;

	ipam_mac((to & 0xffffff00) == (g->address & 0xffffff00) ? to : g->gateway, frame);
	memcpy(frame + 6, g->mac, 6);
	put16(frame + 12, PACKET_IPV4);
	memset(ip, 0, IP);
	ip[0] = 0x45;
	put16(ip + 2, (unsigned)(IP + n));
	ip[8] = 64;
	ip[9] = protocol;
	put32(ip + 12, g->address);
	put32(ip + 16, to);
	put16(ip + 10, fold(add(ip, IP, 0)));
	g->send(g->context, frame, ETHERNET + IP + n);
}

static unsigned transport_checksum(
	struct net_guest *g, uint32_t to, uint8_t protocol, const uint8_t *at, size_t n)
{
	uint8_t pseudo[12] = {[9] = protocol};

	put32(pseudo, g->address);
	put32(pseudo + 4, to);
	put16(pseudo + 10, (unsigned)n);
	return fold(add(at, n, add(pseudo, sizeof pseudo, 0)));
}

void net_guest_udp(
	struct net_guest *g, uint16_t port, uint32_t to, uint16_t to_port, const void *data, size_t n)
{
	uint8_t *frame = malloc(ETHERNET + IP + 8 + n), *udp = frame + ETHERNET + IP;

	put16(udp, port);
	put16(udp + 2, to_port);
	put16(udp + 4, (unsigned)(8 + n));
	put16(udp + 6, 0);
	memcpy(udp + 8, data, n);
	put16(udp + 6, transport_checksum(g, to, PACKET_UDP, udp, 8 + n));
	finish(g, frame, to, PACKET_UDP, 8 + n);
	free(frame);
}

void net_guest_ping(struct net_guest *g, uint32_t to, uint16_t id)
{
	uint8_t frame[ETHERNET + IP + 16] = {0}, *icmp = frame + ETHERNET + IP;

	icmp[0] = PACKET_ICMP_ECHO;
	put16(icmp + 4, id);
	put16(icmp + 6, 1);
	put16(icmp + 2, fold(add(icmp, 16, 0)));
	finish(g, frame, to, PACKET_ICMP, 16);
}

static void segment(struct net_tcp *t, unsigned flags, const void *data, size_t n)
{
	static const uint8_t largest[] = {2, 4, NET_GUEST_SEGMENT >> 8, NET_GUEST_SEGMENT & 255};
	size_t header = TCP + (flags & PACKET_SYN ? sizeof largest : 0);
	uint8_t *frame = malloc(ETHERNET + IP + header + n), *tcp = frame + ETHERNET + IP;

	memset(tcp, 0, TCP);
	put16(tcp, t->port);
	put16(tcp + 2, t->remote_port);
	put32(tcp + 4, t->sent);
	put32(tcp + 8, t->expected);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = (uint8_t)flags;
	put16(tcp + 14, t->room);
	if (flags & PACKET_SYN)
		memcpy(tcp + TCP, largest, sizeof largest);
	if (n)
		memcpy(tcp + header, data, n);
	put16(tcp + 16, transport_checksum(t->guest, t->remote, PACKET_TCP, tcp, header + n));
	t->sent += (uint32_t)n + !!(flags & (PACKET_SYN | PACKET_FIN));
	finish(t->guest, frame, t->remote, PACKET_TCP, header + n);
	free(frame);
}

/* ---- what comes -------------------------------------------------------------------------------------- */

static void take_segment(struct net_tcp *t, const struct packet *p)
{
	size_t n = p->data_size;

	if (p->tcp_flags & PACKET_RST) {
		t->reset = true;
		return;
	}
	t->window = (uint32_t)p->frame[p->payload_at + 14] << 8 | p->frame[p->payload_at + 15];
	if (p->tcp_flags & PACKET_ACK)
		t->acknowledged = p->acknowledgement;
	if (p->tcp_flags & PACKET_SYN) {
		const uint8_t *option = p->frame + p->payload_at + TCP;
		bool answer = t->listens;

		t->expected = p->sequence + 1;
		if (p->data_at - p->payload_at >= TCP + 4 && option[0] == 2 && option[1] == 4)
			t->segments = (uint16_t)(option[2] << 8 | option[3]);
		t->remote = p->source;
		t->remote_port = p->source_port;
		t->connected = !answer;
		t->listens = false;
		segment(t, answer ? PACKET_SYN | PACKET_ACK : PACKET_ACK, NULL, 0);
		return;
	}
	t->connected = true;
	if (p->sequence != t->expected)
		return;
	buffer_append(&t->in, p->frame + p->data_at, n);
	t->expected += (uint32_t)n;
	if (p->tcp_flags & PACKET_FIN) {
		t->expected++;
		t->ended = true;
		n++;
	}
	if (n)
		segment(t, PACKET_ACK, NULL, 0);
}

void net_guest_take(struct net_guest *g, const uint8_t *frame, size_t n)
{
	struct packet p;

	g->seen++;
	if (n > g->largest)
		g->largest = n;
	if (packet_parse(frame, n, &p) != PACKET_RIGHT)
		test_fail(__FILE__, __LINE__, "a frame for the guest is broken");
	if (memcmp(p.destination_mac, g->mac, 6) != 0)
		test_fail(__FILE__, __LINE__, "a frame for somebody else");
	if (p.ethertype == PACKET_IPV4 && !packet_checksum_right(&p))
		test_fail(__FILE__, __LINE__, "a wrong checksum");
	if (p.ethertype == PACKET_IPV4 && p.protocol == PACKET_TCP)
		for (struct net_tcp *t = g->connections; t; t = t->next)
			if (t->port == p.destination_port &&
				((t->listens && p.tcp_flags == PACKET_SYN) ||
					(t->remote == p.source && t->remote_port == p.source_port))) {
				take_segment(t, &p);
				return;
			}
	if (g->frame_count == NET_GUEST_FRAMES)
		return;
	g->frames[g->frame_count] = malloc(n);
	memcpy(g->frames[g->frame_count], frame, n);
	g->sizes[g->frame_count++] = n;
}

bool net_guest_next(struct net_guest *g, struct packet *p)
{
	static uint8_t *last;

	free(last);
	last = NULL;
	if (!g->frame_count)
		return false;
	last = g->frames[0];
	packet_parse(last, g->sizes[0], p);
	g->frame_count--;
	memmove(g->frames, g->frames + 1, g->frame_count * sizeof *g->frames);
	memmove(g->sizes, g->sizes + 1, g->frame_count * sizeof *g->sizes);
	return true;
}

/* ---- TCP --------------------------------------------------------------------------------------------- */

static void begin(struct net_guest *g, struct net_tcp *t, uint16_t port)
{
	*t = (struct net_tcp){
		.next = g->connections, .guest = g, .port = port, .sent = 1000u * port, .room = 65535};
	t->acknowledged = t->sent;
	g->connections = t;
}

void net_tcp_connect(struct net_guest *g, struct net_tcp *t, uint16_t port, uint32_t to, uint16_t to_port)
{
	begin(g, t, port);
	t->remote = to;
	t->remote_port = to_port;
	segment(t, PACKET_SYN, NULL, 0);
}

void net_tcp_listen(struct net_guest *g, struct net_tcp *t, uint16_t port)
{
	begin(g, t, port);
	t->listens = true;
}

void net_tcp_send(struct net_tcp *t, const void *data, size_t n)
{
	segment(t, PACKET_ACK | PACKET_PSH, data, n);
}

void net_tcp_end(struct net_tcp *t)
{
	segment(t, PACKET_ACK | PACKET_FIN, NULL, 0);
}

void net_tcp_forget(struct net_tcp *t)
{
	struct net_tcp **at = &t->guest->connections;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	buffer_free(&t->in);
}
