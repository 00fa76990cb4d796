/* SPDX-License-Identifier: Apache-2.0 */
#include "net/server/forwards.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/packet.h"
#include "net/ipam.h"
#include "net/proxy_header.h"

#define ACCEPTS_MOST   16 /* connections, or datagrams, of one port in a turn of the loop */
#define BACKLOG        128
#define SENDER_SECONDS 180
#define SENDER_PORTS   32768 /* where ports for senders begin, whose own is taken */
#define DATAGRAM_MOST  65507

union socket_address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

struct sender {
	union socket_address address;
	uint64_t last;
	uint16_t port; /* at the gateway; 0: free */
};

struct forward {
	struct forward *next;
	struct forwards *forwards;
	struct port port;
	uv_poll_t poll;
	int fd;
	struct sender *senders; /* UDP; FORWARDS_SENDERS of them, once there is one */
};

struct forwards {
	struct forwards_config config;
	struct forward *list, **end; /* in the order they were published */
	size_t count;
	bool up;
	uint8_t gateway_mac[6], mac[6];
	int spare; /* a descriptor to give up, so that a connection can be refused when there are no more */
};

/* ---- addresses --------------------------------------------------------------------------------------- */

static socklen_t to_socket(const struct port *p, union socket_address *a)
{
	*a = (union socket_address){0};
	if (address_is_ipv4(&p->address)) {
		a->four.sin_family = AF_INET;
		a->four.sin_port = htons(p->host);
		a->four.sin_addr.s_addr = htonl(address_ipv4(&p->address));
		return sizeof a->four;
	}
	a->six.sin6_family = AF_INET6;
	a->six.sin6_port = htons(p->host);
	memcpy(&a->six.sin6_addr, p->address.bytes, sizeof p->address.bytes);
	return sizeof a->six;
}

static struct address from_socket(const union socket_address *a, uint16_t *port)
{
	struct address out;

	if (a->any.sa_family == AF_INET) {
		*port = ntohs(a->four.sin_port);
		return address_from_ipv4(ntohl(a->four.sin_addr.s_addr));
	}
	*port = ntohs(a->six.sin6_port);
	memcpy(out.bytes, &a->six.sin6_addr, sizeof out.bytes);
	return out;
}

/* ---- connections ------------------------------------------------------------------------------------- */

static size_t make_header(const struct forward *w, int fd, const union socket_address *from, uint8_t *out)
{
	union socket_address here = {0};
	socklen_t size = sizeof here;
	struct address source, destination;
	uint16_t source_port, destination_port;

	if (!w->port.proxy || getsockname(fd, &here.any, &size) < 0)
		return 0;
	source = from_socket(from, &source_port);
	destination = from_socket(&here, &destination_port);
	return proxy_header(w->port.proxy, &source, source_port, &destination, destination_port, out);
}

/* No more descriptors: a connection that stayed in the queue would wake us for ever. */
static void refuse_one(struct forwards *f, int listener)
{
	int fd;

	if (f->spare >= 0)
		close(TAKE_FD(f->spare));
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		socket_reset(fd);
	f->spare = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
}

static void on_connections(uv_poll_t *handle, int status, int events)
{
	struct forward *w = handle->data;
	uint8_t header[PROXY_HEADER_MAX];

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS_MOST; i++) {
		union socket_address from = {0};
		socklen_t size = sizeof from;
		int fd = accept4(w->fd, &from.any, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE)
				refuse_one(w->forwards, w->fd);
			return;
		}
		if (!w->forwards->up)
			socket_reset(fd);
		else
			egress_connect(w->forwards->config.guest, w->port.guest, fd, header,
				make_header(w, fd, &from, header), NULL);
	}
}

/* ---- datagrams --------------------------------------------------------------------------------------- */

static bool same_sender(const union socket_address *a, const union socket_address *b)
{
	uint16_t one, other;
	struct address x = from_socket(a, &one), y = from_socket(b, &other);

	return a->any.sa_family == b->any.sa_family && one == other && address_equal(&x, &y);
}

static struct sender *sender_at(struct forward *w, uint16_t port)
{
	for (int i = 0; w->senders && i < FORWARDS_SENDERS; i++)
		if (w->senders[i].port == port)
			return &w->senders[i];
	return NULL;
}

/* A port at the gateway for a new sender: its own, where that is free. 53 is our DNS service's. */
static uint16_t choose_port(struct forward *w, const union socket_address *from)
{
	uint16_t port;

	from_socket(from, &port);
	if (port < 1024)
		port = SENDER_PORTS;
	while (sender_at(w, port))
		port = port == UINT16_MAX ? SENDER_PORTS : (uint16_t)(port + 1);
	return port;
}

/* The sender, known or new; the one that was silent longest makes room. NULL: out of memory, or all are
 * talking. */
static struct sender *find_sender(struct forward *w, const union socket_address *from, uint64_t now)
{
	struct sender *oldest;

	if (!w->senders && !(w->senders = calloc(FORWARDS_SENDERS, sizeof *w->senders)))
		return NULL;
	oldest = w->senders;
	for (struct sender *s = w->senders; s < w->senders + FORWARDS_SENDERS; s++) {
		if (s->port && same_sender(&s->address, from))
			return s;
		if (!s->port || (oldest->port && s->last < oldest->last))
			oldest = s;
	}
	if (oldest->port && now - oldest->last < SENDER_SECONDS * NANOSECONDS_PER_SECOND / 10)
		return NULL;
	*oldest = (struct sender){0};
	oldest->port = choose_port(w, from);
	oldest->address = *from;
	return oldest;
}

static void pass_datagram(struct forward *w, const union socket_address *from, const uint8_t *data, size_t n)
{
	struct forwards *f = w->forwards;
	uint64_t now = clock_monotonic();
	struct sender *s = find_sender(w, from, now);
	uint8_t frame[PACKET_FRAME_MOST];
	struct packet_udp udp = {.source_mac = f->gateway_mac,
		.destination_mac = f->mac,
		.source = f->config.gateway,
		.destination = f->config.address,
		.source_port = s ? s->port : 0,
		.destination_port = w->port.guest,
		.data = data,
		.size = n};
	size_t size;

	if (!s)
		return;
	s->last = now;
	size = packet_build_udp(&udp, frame, sizeof frame);
	if (size)
		f->config.frame(f->config.context, frame, size);
}

static void on_datagrams(uv_poll_t *handle, int status, int events)
{
	struct forward *w = handle->data;
	uint8_t data[DATAGRAM_MOST];

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS_MOST; i++) {
		union socket_address from = {0};
		socklen_t size = sizeof from;
		ssize_t n = recvfrom(w->fd, data, sizeof data, MSG_DONTWAIT, &from.any, &size);

		if (n < 0 && errno != ECONNREFUSED) /* of an answer to who has gone */
			return;
		if (n >= 0 && w->forwards->up)
			pass_datagram(w, &from, data, (size_t)n);
	}
}

bool forwards_output(struct forwards *f, const uint8_t *frame, size_t n)
{
	struct packet p;

	if (!f->count || packet_parse(frame, n, &p) != PACKET_RIGHT || p.ethertype != PACKET_IPV4 ||
		p.protocol != PACKET_UDP || p.destination != f->config.gateway || !p.transport)
		return false;
	for (struct forward *w = f->list; w; w = w->next) {
		struct sender *s = w->port.protocol == PORT_PROTOCOL_UDP && w->port.guest == p.source_port
					   ? sender_at(w, p.destination_port)
					   : NULL;

		if (!s)
			continue;
		s->last = clock_monotonic();
		sendto(w->fd, frame + p.data_at, p.data_size, MSG_DONTWAIT | MSG_NOSIGNAL, &s->address.any,
			s->address.any.sa_family == AF_INET ? sizeof s->address.four : sizeof s->address.six);
		return true;
	}
	return false;
}

/* ---- publishing -------------------------------------------------------------------------------------- */

static int cannot_publish(const struct port *p, int number, struct error *err)
{
	char text[PORT_TEXT_MAX];

	port_format(p, text);
	switch (number) {
	case EADDRINUSE:
		return error_set(err, ERROR_BUSY,
			"publish %s: port %u of the host is used already: choose another, or 0 for any that "
			"is "
			"free",
			text, p->host);
	case EACCES:
	case EPERM:
		return error_set(err, ERROR_DENIED,
			"publish %s: this host does not let you have port %u: choose one from 1024 on (or "
			"see "
			"net.ipv4.ip_unprivileged_port_start)",
			text, p->host);
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
		return error_set(err, ERROR_INVALID, "publish %s: this host has no such address", text);
	default:
		return error_errno(err, number, "publish %s", text);
	}
}

/* The socket of a port; its number, where any will do, is in p then. */
static int open_socket(struct port *p, int *fd, struct error *err)
{
	bool tcp = p->protocol == PORT_PROTOCOL_TCP;
	union socket_address a;
	socklen_t size = to_socket(p, &a);
	_cleanup_fd_ int s =
		socket(a.any.sa_family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	if (s < 0)
		return cannot_publish(p, errno, err);
	if (tcp) /* what ended a moment ago is no obstacle; for UDP this would share the port */
		setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (a.any.sa_family == AF_INET6)
		setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(s, &a.any, size) < 0 || (tcp && listen(s, BACKLOG) < 0) || getsockname(s, &a.any, &size) < 0)
		return cannot_publish(p, errno, err);
	from_socket(&a, &p->host);
	*fd = TAKE_FD(s);
	return 0;
}

static int publish(struct forwards *f, struct port *p, struct error *err)
{
	struct forward *w;
	int fd = -1, r;

	if (f->count >= PORTS_MAX)
		return error_set(err, ERROR_LIMIT, "more than %d ports of one sandbox", PORTS_MAX);
	r = open_socket(p, &fd, err);
	if (r < 0)
		return r;
	w = calloc(1, sizeof *w);
	if (!w || uv_poll_init(f->config.loop, &w->poll, fd) < 0) {
		free(w);
		close(fd);
		return error_no_memory(err, "publish a port");
	}
	w->forwards = f;
	w->port = *p;
	w->fd = fd;
	w->poll.data = w;
	uv_poll_start(
		&w->poll, UV_READABLE, p->protocol == PORT_PROTOCOL_TCP ? on_connections : on_datagrams);
	*f->end = w;
	f->end = &w->next;
	f->count++;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct forward *w = handle->data;

	free(w->senders);
	free(w);
}

static struct forward **find(struct forwards *f, const struct port *p)
{
	struct forward **at = &f->list;

	while (*at &&
		!((*at)->port.protocol == p->protocol && (*at)->port.host == p->host &&
			(*at)->port.guest == p->guest && address_equal(&(*at)->port.address, &p->address)))
		at = &(*at)->next;
	return at;
}

static void take_back(struct forwards *f, struct forward **at)
{
	struct forward *w = *at;

	*at = w->next;
	if (f->end == &w->next)
		f->end = at;
	f->count--;
	uv_poll_stop(&w->poll);
	close(w->fd);
	uv_close((uv_handle_t *)&w->poll, on_closed);
}

int forwards_add(struct forwards *f, struct port *ports, size_t count, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		int r = publish(f, &ports[i], err);

		while (r < 0 && i > 0)
			take_back(f, find(f, &ports[--i]));
		if (r < 0)
			return r;
	}
	return 0;
}

int forwards_remove(struct forwards *f, const struct port *ports, size_t count, struct error *err)
{
	char text[PORT_TEXT_MAX];

	for (size_t i = 0; i < count; i++)
		if (!*find(f, &ports[i]))
			return error_set(
				err, ERROR_NOT_FOUND, "%s is not published", port_format(&ports[i], text));
	for (size_t i = 0; i < count; i++)
		if (*find(f, &ports[i]))
			take_back(f, find(f, &ports[i]));
	return 0;
}

const struct port *forwards_at(const struct forwards *f, size_t n)
{
	const struct forward *w = f->list;

	while (w && n--)
		w = w->next;
	return w ? &w->port : NULL;
}

void forwards_set_up(struct forwards *f, bool up)
{
	f->up = up;
}

int forwards_new(const struct forwards_config *config, struct forwards **forwards, struct error *err)
{
	struct forwards *f = calloc(1, sizeof *f);

	if (!f)
		return error_no_memory(err, "publish ports");
	f->config = *config;
	f->end = &f->list;
	f->spare = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	ipam_mac(config->gateway, f->gateway_mac);
	ipam_mac(config->address, f->mac);
	*forwards = f;
	return 0;
}

void forwards_close(struct forwards *f)
{
	while (f->list)
		take_back(f, &f->list);
	if (f->spare >= 0)
		close(f->spare);
	free(f);
}
