/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of the host's to a guest, and the guest's to our DNS service. libslirp makes or accepts their
 * sockets itself, at unix sockets; as soon as it has one, the number of its descriptor comes to mean the real
 * connection (dup2(2)), so that no byte is passed on by anybody.
 *
 * Incoming: a unix socket is made at which libslirp accepts once, for the guest's port; we connect to it.
 * Where the guest is to read a header first, that is written into this connection, and the number changes its
 * meaning when libslirp has read all of it.
 *
 * DNS: libslirp connects to the unix socket `way`, for whatever guest, as it takes a SYN; the queue there is
 * empty, since it is emptied after each, so that this never waits. The connection to the guest's own socket,
 * whose queue the guest may have filled, takes its place, or none does.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "net/server/egress_parts.h"
#include "os/unix_socket.h"

#define DNS_PORT 53

static struct sockaddr_un place(const struct egress *e, const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%s", e->directory, name);
	return a;
}

/* Never waits; -1 where nobody can accept just now. */
static int connect_now(const struct sockaddr_un *where)
{
	_cleanup_fd_ int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return s >= 0 && connect(s, (const struct sockaddr *)where, sizeof *where) == 0 ? TAKE_FD(s) : -1;
}

/* From now on `fd` is the socket `other` and nothing else. */
static void become(struct egress_guest *g, int fd, int other)
{
	if (dup3(other, fd, O_CLOEXEC) >= 0)
		egress_watch_again(g, fd);
}

/* ---- the host's to the guest ------------------------------------------------------------------------- */

static void handover_free(struct handover *h)
{
	if (h->ours >= 0)
		close(h->ours);
	if (h->connection >= 0)
		close(h->connection);
	free(h);
}

static int on_accepting(int fd, int events, void *guest)
{
	struct egress_guest *g = guest;
	int listens = 0;
	socklen_t size = sizeof listens;

	(void)events;
	if (g->accepting < 0 && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens)
		g->accepting = fd;
	return fd;
}

/* Within accept(2) in libslirp. */
void egress_handover_arrived(struct egress_guest *g, int fd)
{
	struct handover *h = g->arriving;

	g->arriving = NULL;
	g->accepted = fd;
	h->slirp = fd;
	h->next = g->handovers;
	g->handovers = h;
}

void egress_handover_left(struct egress_guest *g, int fd)
{
	for (struct handover **at = &g->handovers, *h; (h = *at); at = &h->next)
		if (h->slirp == fd) {
			*at = h->next;
			handover_free(h);
			return;
		}
}

void egress_handovers(struct egress_guest *g)
{
	struct handover **at = &g->handovers, *h;

	while ((h = *at)) {
		int unread = 0;

		if (ioctl(h->ours, SIOCOUTQ, &unread) == 0 && unread > 0) {
			at = &h->next;
			continue;
		}
		become(g, h->slirp, h->connection);
		*at = h->next;
		handover_free(h);
	}
}

/* libslirp accepts what waits at its one listening socket, and is not asked about others. */
static int accept_in_slirp(struct egress_guest *g, struct handover *h, struct error *err)
{
	uint32_t timeout = UINT32_MAX;

	g->accepting = -1;
	slirp_pollfds_fill(g->slirp, &timeout, on_accepting, g);
	if (g->accepting < 0)
		return error_set(err, ERROR_SYSTEM, "no socket listens");
	g->arriving = h;
	g->protocol = IPPROTO_TCP;
	egress_run(g);
	g->accepting = g->accepted = -1;
	g->protocol = 0;
	if (!g->arriving)
		return 0;
	g->arriving = NULL;
	return error_set(err, ERROR_SYSTEM, "the connection was not taken");
}

static int hand_over(struct egress_guest *g, uint16_t port, struct handover *h, const void *header, size_t n,
	struct error *err)
{
	const struct sockaddr_un where = place(g->egress, "in");
	const struct sockaddr_in guest = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(g->address), .sin_port = htons(port)};
	int r = 0;

	unlink(where.sun_path);
	if (slirp_add_hostxfwd(g->slirp, (const struct sockaddr *)&where, sizeof where,
		    (const struct sockaddr *)&guest, sizeof guest, 0) < 0)
		return error_errno(err, errno, "let a connection in");
	h->ours = connect_now(&where);
	if (h->ours < 0 || (n && send(h->ours, header, n, MSG_NOSIGNAL) != (ssize_t)n))
		r = error_errno(err, errno, "let a connection in");
	else
		r = accept_in_slirp(g, h, err);
	slirp_remove_hostxfwd(g->slirp, (const struct sockaddr *)&where, sizeof where, 0);
	unlink(where.sun_path);
	return r;
}

void socket_reset(int fd)
{
	const struct linger at_once = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(fd);
}

/* For such a connection libslirp takes a port of loopback as well, by which the guest tells it from others,
 * and ends the process where it gets none: there has to be one, and descriptors for all that is open at that
 * time. */
static bool can_accept(void)
{
	const struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	_cleanup_fd_ int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_fd_ int two = fcntl(one, F_DUPFD_CLOEXEC, 0);
	_cleanup_fd_ int three = fcntl(one, F_DUPFD_CLOEXEC, 0);
	_cleanup_fd_ int four = fcntl(one, F_DUPFD_CLOEXEC, 0);

	return four >= 0 && three >= 0 && two >= 0 &&
	       bind(one, (const struct sockaddr *)&any, sizeof any) == 0;
}

int egress_connect(struct egress_guest *g, uint16_t port, int connection, const void *header, size_t n,
	struct error *err)
{
	struct egress *e = g->egress;
	struct handover *h;
	int r;

	if (g->busy || g->sockets + 2 > EGRESS_GUEST_MOST || e->sockets + 2 > e->sockets_most ||
		!can_accept()) {
		socket_reset(connection);
		return error_set(err, ERROR_LIMIT, "the sandbox has too many connections");
	}
	h = calloc(1, sizeof *h);
	if (!h) {
		socket_reset(connection);
		return error_no_memory(err, "let a connection in");
	}
	*h = (struct handover){.slirp = -1, .ours = -1, .connection = connection};
	fcntl(connection, F_SETFL, O_RDWR | O_NONBLOCK);
	r = hand_over(g, port, h, header, n, err);
	if (r < 0) {
		socket_reset(TAKE_FD(h->connection));
		handover_free(h);
	} else
		egress_handovers(g);
	return r;
}

/* ---- the guest's to our DNS service ------------------------------------------------------------------ */

/* Within connect(2) in libslirp. */
void egress_dns_arrived(struct egress_guest *g, int fd)
{
	struct sockaddr_un where = {.sun_family = AF_UNIX};
	int real;

	snprintf(where.sun_path, sizeof where.sun_path, "%s", g->dns);
	real = connect_now(&where);
	if (real < 0)
		return; /* it keeps its connection to `way`, whose other end is closed at once */
	become(g, fd, real);
	close(real);
}

void egress_dns_accept(struct egress_guest *g)
{
	int fd;

	while (g->egress->dns >= 0 && (fd = accept4(g->egress->dns, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
}

int egress_dns(struct egress_guest *g, int *listening, struct error *err)
{
	struct egress *e = g->egress;
	const struct sockaddr_un way = place(e, "way");
	struct in_addr nobody = {.s_addr = htonl(e->subnet)};
	char name[24];
	int r = 0;

	if (e->dns < 0)
		r = unix_socket_listen(e->directory, "way", &e->dns, err);
	snprintf(name, sizeof name, "dns.%08x", g->address);
	if (r == 0)
		r = unix_socket_listen(e->directory, name, listening, err);
	if (r < 0)
		return r;
	g->dns = text_format(err, "/proc/self/fd/%d/%s", e->directory, name);
	if (!g->dns || slirp_add_unix(g->slirp, way.sun_path, &nobody, DNS_PORT) < 0) {
		close(TAKE_FD(*listening));
		return error_set(err, ERROR_SYSTEM, "lead a sandbox to its DNS service");
	}
	return 0;
}
