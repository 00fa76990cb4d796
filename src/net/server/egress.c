/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames in and out of libslirp. Addresses are rewritten where the world has none for them, in frames that
 * come and back in those that go:
 *
 *     host.internal      127.0.0.1   which libslirp knows as any other address; its own alias of the host is
 * off gateway:53 (TCP)   the subnet's own address, which is nobody's, and at which libslirp finds a unix
 * socket
 */
#include "net/server/egress.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/big_endian.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/packet.h"
#include "codec/packet_bytes.h"
#include "net/ipam.h"
#include "net/server/egress_parts.h"

#define MTU           65520
#define SMALL_MTU     9000
#define TCP_HEADERS   40
#define LOOPBACK      0x7f000001u
#define DNS_PORT      53
#define IP_AT         PACKET_ETHERNET_SIZE
#define WAITING_MOST  64
#define RESERVED      128 /* descriptors for what is not libslirp's */
#define SOCKETS_LEAST 64

/* ---- what a frame is about --------------------------------------------------------------------------- */

struct view {
	uint32_t source, destination;
	uint8_t protocol;
	uint16_t source_port, destination_port; /* TCP and UDP */
	uint8_t kind;                           /* flags of TCP, type of ICMP */
};

/* Who gave the frame has parsed it; no more is read here than what decides where it goes. */
static bool look(const uint8_t *frame, size_t n, struct view *v)
{
	const uint8_t *ip = frame + IP_AT, *transport;
	size_t header;

	if (n < IP_AT + 20 || be16_get(frame + 12) != PACKET_IPV4 || ip[0] >> 4 != 4)
		return false;
	header = (size_t)(ip[0] & 15) * 4;
	if (header < 20 || n < IP_AT + header + 8)
		return false;
	transport = ip + header;
	*v = (struct view){.source = be32_get(ip + 12), .destination = be32_get(ip + 16), .protocol = ip[9]};
	if (v->protocol == IPPROTO_ICMP)
		v->kind = transport[0];
	else if (v->protocol == IPPROTO_TCP && n < IP_AT + header + 20)
		return false;
	else {
		v->source_port = be16_get(transport);
		v->destination_port = be16_get(transport + 2);
		v->kind = v->protocol == IPPROTO_TCP ? transport[13] : 0;
	}
	return true;
}

/* An address that a packet leaves this host for; those with a meaning here only have been dealt with. */
static bool is_of_the_world(const struct egress *e, uint32_t address)
{
	uint32_t mask = ~(UINT32_MAX >> e->bits);

	return address >> 24 != 0 && address >> 24 != 127 && address >> 28 < 14 &&
	       (address & mask) != e->subnet;
}

/* ---- from the guest ---------------------------------------------------------------------------------- */

void egress_to_guest(struct egress_guest *g, const uint8_t *frame, size_t n)
{
	if (n)
		g->egress->calls.frame(g->egress->context, frame, n);
}

static bool is_full(const struct egress_guest *g)
{
	return g->sockets >= EGRESS_GUEST_MOST || g->egress->sockets >= g->egress->sockets_most;
}

static bool has_udp(const struct egress_guest *g, uint16_t port)
{
	const struct watched *all = g->egress->watched;

	for (int fd = g->first; fd >= 0; fd = all[fd].next)
		if (all[fd].protocol == IPPROTO_UDP && all[fd].port == port)
			return true;
	return false;
}

static void refuse(struct egress_guest *g, const uint8_t *frame, size_t n)
{
	uint8_t answer[PACKET_ANSWER_ROOM], mac[6];
	struct packet p;

	if (packet_parse(frame, n, &p) != PACKET_RIGHT)
		return;
	ipam_mac(g->egress->gateway, mac);
	egress_to_guest(g, answer,
		p.protocol == IPPROTO_TCP ? packet_build_tcp_reset(&p, answer, sizeof answer)
					  : packet_build_icmp_unreachable(&p, g->egress->gateway, mac,
						    PACKET_UNREACHABLE_PROHIBITED, 0, answer, sizeof answer));
}

/* A frame that would make a socket, where there are too many or may be none. */
static bool has_room(struct egress_guest *g, const struct view *v)
{
	switch (v->protocol) {
	case IPPROTO_TCP:
		return (v->kind & (PACKET_SYN | PACKET_ACK)) != PACKET_SYN || !is_full(g);
	case IPPROTO_UDP:
		return !is_full(g) || has_udp(g, v->source_port);
	case IPPROTO_ICMP:
		return g->egress->pings && !is_full(g) &&
		       (g->pings < EGRESS_PINGS_MOST || egress_watch_end_ping(g));
	default:
		return false;
	}
}

/* The address that libslirp is to see in the place of the destination; 0: the frame has no place to go. */
static uint32_t translate(const struct egress *e, const struct view *v)
{
	if (v->protocol == IPPROTO_ICMP && v->kind != PACKET_ICMP_ECHO)
		return 0;
	if (v->destination == e->host)
		return LOOPBACK;
	if (v->destination == e->gateway && v->protocol != IPPROTO_TCP)
		return 0;
	if (v->destination == e->gateway) /* but for DNS: answers to connections of the host's */
		return v->destination_port == DNS_PORT ? e->subnet : e->gateway;
	return is_of_the_world(e, v->destination) ? v->destination : 0;
}

static void pass(struct egress_guest *g, const uint8_t *frame, size_t n)
{
	g->busy++;
	slirp_input(g->slirp, frame, (int)n);
	g->busy--;
}

/* libslirp keeps a connection that it ended first for ten seconds, with its socket, should something of it
 * come late. Between here and the guest nothing does: a reset ends it. */
static void forget_ended(struct egress_guest *g, const uint8_t *frame, size_t n, const struct view *v)
{
	struct watched *w = egress_watch_tcp(g, v->source_port, v->destination, v->destination_port);
	uint8_t reset[PACKET_ANSWER_ROOM];
	struct packet p;
	size_t size;

	if (!w || !w->finished || packet_parse(frame, n, &p) != PACKET_RIGHT || p.acknowledgement != w->fin)
		return;
	size = packet_build_tcp_abort(&p, reset, sizeof reset);
	if (size)
		pass(g, reset, size);
}

/* What libslirp would keep for its turn is bounded: egress_arrival.c. */
static bool comes_in_turn(struct egress_guest *g, const uint8_t *frame, size_t n, const struct view *v)
{
	struct watched *w = v->protocol == IPPROTO_TCP
				    ? egress_watch_tcp(g, v->source_port, v->destination, v->destination_port)
				    : NULL;

	if (w && g->knocks)
		knock_end(g, (int)(w - g->egress->watched));
	return !w || arrival_from_guest(&w->arrival, frame, n);
}

/* The frame as libslirp may have it. */
static void let_out(struct egress_guest *g, const uint8_t *frame, size_t n, const struct view *v)
{
	g->protocol = v->protocol;
	g->port = v->source_port;
	g->remote = v->destination;
	g->remote_port = v->destination_port;
	g->asks = v->destination == g->egress->subnet;
	if (!comes_in_turn(g, frame, n, v))
		return;
	pass(g, frame, n);
	g->protocol = 0;
	if (g->asks)
		egress_dns_accept(g);
	g->asks = false;
	if (v->protocol == IPPROTO_TCP && v->kind & PACKET_FIN)
		forget_ended(g, frame, n, v);
	egress_dirty(g);
}

static void let_out_rewritten(struct egress_guest *g, const uint8_t *frame, size_t n, const struct view *v)
{
	uint8_t copy[PACKET_FRAME_MOST];
	struct packet p;

	if (n > sizeof copy)
		return;
	memcpy(copy, frame, n);
	if (packet_parse(copy, n, &p) != PACKET_RIGHT)
		return;
	packet_set_destination(copy, &p, v->destination, NULL);
	let_out(g, copy, n, v);
}

static void input(struct egress_guest *g, const uint8_t *frame, size_t n)
{
	struct view v;
	uint32_t to;

	if (!look(frame, n, &v) || !(to = translate(g->egress, &v)))
		return;
	if (!has_room(g, &v)) {
		if (v.protocol != IPPROTO_ICMP || !g->egress->pings)
			refuse(g, frame, n);
		return;
	}
	if (to == v.destination) {
		let_out(g, frame, n, &v);
		return;
	}
	v.destination = to;
	let_out_rewritten(g, frame, n, &v);
}

static void keep_waiting(struct egress_guest *g, const uint8_t *frame, size_t n)
{
	struct waiting *w = g->waiting_count < WAITING_MOST ? malloc(sizeof *w + n) : NULL;

	if (!w)
		return;
	*w = (struct waiting){.size = n};
	memcpy(w->frame, frame, n);
	*g->waiting_end = w;
	g->waiting_end = &w->next;
	g->waiting_count++;
}

void egress_pass_waiting(struct egress_guest *g)
{
	struct waiting *w;

	while (!g->busy && (w = g->waiting)) {
		g->waiting = w->next;
		if (!g->waiting)
			g->waiting_end = &g->waiting;
		g->waiting_count--;
		input(g, w->frame, w->size);
		free(w);
	}
}

void egress_input(struct egress *e, const uint8_t *frame, size_t n)
{
	uint32_t source = n >= IP_AT + 20 ? be32_get(frame + IP_AT + 12) : 0;
	struct egress_guest *g = map_get(&e->by_address, &source, sizeof source);

	if (!g)
		return;
	if (g->busy) {
		keep_waiting(g, frame, n);
		return;
	}
	egress_tell_time(g);
	input(g, frame, n);
	egress_pass_waiting(g);
}

/* ---- to the guest ------------------------------------------------------------------------------------ */

/* What an ICMP error quotes is the packet as the guest sent it. Ports and what else the guest looks at are as
 * they were; the checksum of its transport is not, and nobody looks at that. */
static void restore_quote(const struct egress *e, uint8_t *frame, const struct packet *p)
{
	uint8_t *icmp = frame + p->payload_at, *quoted = icmp + ICMP_SIZE;

	if (!packet_is_icmp_error(p) || p->payload_size < ICMP_SIZE + IPV4_SIZE ||
		be32_get(quoted + IPV4_DESTINATION) != LOOPBACK)
		return;
	be32_put(quoted + IPV4_DESTINATION, e->host);
	be16_put(quoted + IPV4_CHECKSUM, 0);
	checksum_put(quoted + IPV4_CHECKSUM, checksum_add(0, quoted, IPV4_SIZE));
	be16_put(icmp + ICMP_CHECKSUM, 0);
	checksum_put(icmp + ICMP_CHECKSUM, checksum_add(0, icmp, p->payload_size));
}

/* What forget_ended() and others have to know of a connection. */
static void note_segment(struct egress_guest *g, const struct packet *p)
{
	struct watched *w = egress_watch_tcp(g, p->destination_port, p->source, p->source_port);

	if (w && p->tcp_flags & PACKET_ACK)
		arrival_from_slirp(&w->arrival, p->acknowledgement);
	if (w && p->tcp_flags & PACKET_FIN) {
		w->finished = true;
		w->fin = p->sequence + (uint32_t)p->data_size + 1;
	}
}

/* The first segment of a connection that has just been accepted tells between whom it is. */
static void note_first(struct egress_guest *g, const struct packet *p)
{
	struct watched *w = &g->egress->watched[g->accepted];

	w->port = p->destination_port;
	w->remote = p->source;
	w->remote_port = p->source_port;
	knock_begin(g, g->accepted, p->frame, p->size);
	g->accepted = -1;
}

static ssize_t on_packet(const void *bytes, size_t n, void *context)
{
	struct egress_guest *g = context;
	struct egress *e = g->egress;
	uint8_t *frame = (uint8_t *)bytes; /* of libslirp's stack, where it is never read again */
	uint8_t mac[6];
	struct packet p;

	/* ARP has been answered before it asked: egress_add(). */
	if (packet_parse(frame, n, &p) != PACKET_RIGHT || p.ethertype != PACKET_IPV4)
		return (ssize_t)n;
	if (p.protocol == IPPROTO_ICMP)
		restore_quote(e, frame, &p);
	else if (p.protocol == IPPROTO_TCP)
		note_segment(g, &p);
	ipam_mac(p.source == LOOPBACK ? e->host : e->gateway, mac);
	packet_set_source(frame, &p,
		p.source == LOOPBACK    ? e->host
		: p.source == e->subnet ? e->gateway
					: p.source,
		mac);
	packet_set_segments(frame, &p, MTU - TCP_HEADERS);
	if (g->accepted >= 0 && p.protocol == IPPROTO_TCP && p.tcp_flags == PACKET_SYN)
		note_first(g, &p);
	egress_to_guest(g, frame, n);
	return (ssize_t)n;
}

/* ---- what libslirp asks for -------------------------------------------------------------------------- */

static void on_guest_error(const char *message, void *context)
{
	(void)message;
	(void)context;
}

static int64_t on_clock(void *context)
{
	(void)context;
	return (int64_t)clock_monotonic();
}

/* Its only timer is for router advertisements, which IPv6 alone has. */
static void *on_timer_new(SlirpTimerCb call, void *call_context, void *context)
{
	(void)call;
	(void)call_context;
	return context;
}

static void on_timer_free(void *timer, void *context)
{
	(void)timer;
	(void)context;
}

static void on_timer_set(void *timer, int64_t milliseconds, void *context)
{
	(void)timer;
	(void)milliseconds;
	(void)context;
}

/* A buffer has room again: what it waits for has changed. */
static void on_notify(void *context)
{
	egress_dirty(context);
}

const SlirpCb egress_slirp_calls = {
	.send_packet = on_packet,
	.guest_error = on_guest_error,
	.clock_get_ns = on_clock,
	.timer_new = on_timer_new,
	.timer_free = on_timer_free,
	.timer_mod = on_timer_set,
	.register_poll_fd = egress_watch_add,
	.unregister_poll_fd = egress_watch_remove,
	.notify = on_notify,
};

/* ---- guests ------------------------------------------------------------------------------------------ */

/* libslirp learns where the guest is, for good: it remembers sixteen, and hears of one. */
static void tell_mac(struct egress_guest *g)
{
	uint8_t arp[PACKET_ETHERNET_SIZE + 28] = {
		[12] = 8, [13] = 6, [15] = 1, [16] = 8, [18] = 6, [19] = 4, [21] = PACKET_ARP_REPLY};

	memcpy(arp + 6, g->mac, 6);
	memcpy(arp + 22, g->mac, 6);
	for (int i = 0; i < 4; i++)
		arp[28 + i] = (uint8_t)(g->address >> (24 - 8 * i));
	slirp_input(g->slirp, arp, sizeof arp);
}

/* libslirp knows no window above 64 KiB, and one size of segments, from if_mru, for both ways. The guest is
 * told of larger ones, which libslirp takes. Those for the guest are small: the window has room for some of
 * them, so that neither side waits for the other at each, and none is as large as half of it. libslirp keeps
 * back what fills neither a segment nor half of the largest window that it saw, for five seconds where the
 * guest, with a bit less than half free, sees no reason to say more. */
static Slirp *make_slirp(const struct egress *e, struct egress_guest *g)
{
	const SlirpConfig config = {.version = 4,
		.in_enabled = true,
		.vnetwork.s_addr = htonl(e->subnet),
		.vnetmask.s_addr = htonl(~(UINT32_MAX >> e->bits)),
		.vhost.s_addr = htonl(e->gateway),
		.if_mtu = MTU,
		.if_mru = SMALL_MTU,
		.disable_host_loopback = true,
		.disable_dns = true,
		.disable_dhcp = true};

	return slirp_new(&config, &egress_slirp_calls, g);
}

int egress_add(struct egress *e, uint32_t address, struct egress_guest **guest, struct error *err)
{
	struct egress_guest *g = calloc(1, sizeof *g);
	int r;

	if (!g)
		return error_no_memory(err, "give a sandbox a way out");
	*g = (struct egress_guest){.egress = e,
		.address = address,
		.first = -1,
		.last = -1,
		.accepting = -1,
		.accepted = -1,
		.due = UINT64_MAX};
	g->waiting_end = &g->waiting;
	ipam_mac(address, g->mac);
	r = map_set(&e->by_address, &address, sizeof address, g, NULL, err);
	if (r == 0 && !(g->slirp = make_slirp(e, g)))
		r = error_no_memory(err, "give a sandbox a way out");
	if (r < 0) {
		map_remove(&e->by_address, &address, sizeof address);
		free(g);
		return r;
	}
	tell_mac(g);
	g->next = e->guests;
	e->guests = g;
	*guest = g;
	return 0;
}

void egress_remove(struct egress_guest *g)
{
	struct egress *e = g->egress;
	struct egress_guest **at = &e->guests;
	struct waiting *w;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	map_remove(&e->by_address, &g->address, sizeof g->address);
	slirp_cleanup(g->slirp);
	while ((w = g->waiting)) {
		g->waiting = w->next;
		free(w);
	}
	if (g->dns)
		unlink(g->dns);
	free(g->dns);
	free(g);
}

void egress_hold(struct egress_guest *g, bool hold)
{
	g->held = hold;
	egress_dirty(g);
}

unsigned egress_sockets(const struct egress_guest *g)
{
	return g->sockets;
}

/* ---- all of it --------------------------------------------------------------------------------------- */

static bool may_ping(void)
{
	_cleanup_fd_ int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);

	return s >= 0;
}

static unsigned count_sockets(unsigned wanted)
{
	struct rlimit limit;

	if (wanted)
		return wanted;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < RESERVED + SOCKETS_LEAST)
		return SOCKETS_LEAST;
	return limit.rlim_cur > 1u << 20 ? 1u << 20 : (unsigned)limit.rlim_cur - RESERVED;
}

int egress_new(uv_loop_t *loop, const struct egress_config *config, const struct egress_calls *calls,
	void *context, struct egress **egress, struct error *err)
{
	struct egress *e = calloc(1, sizeof *e);
	int r;

	if (!e)
		return error_no_memory(err, "make a way out");
	*e = (struct egress){.loop = loop,
		.calls = *calls,
		.context = context,
		.subnet = config->subnet,
		.gateway = config->subnet + 1,
		.host = config->subnet + 2,
		.bits = config->bits,
		.directory = config->directory,
		.sockets_most = count_sockets(config->sockets),
		.pings = may_ping(),
		.dns = -1};
	r = egress_watch_open(e, err);
	if (r < 0) {
		free(e);
		return r;
	}
	*egress = e;
	return 0;
}

void egress_close(struct egress *e)
{
	if (e->dns >= 0) {
		close(TAKE_FD(e->dns));
		unlinkat(e->directory, "way", 0);
	}
	egress_watch_close(e);
}

bool egress_pings(const struct egress *e)
{
	return e->pings;
}
