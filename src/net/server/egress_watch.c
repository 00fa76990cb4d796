/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libslirp is made for poll(2): before each wait it tells all descriptors that it waits for, afterwards it
 * asks for each what came. Here an epoll keeps what it told, and it is asked again only where something has
 * changed; a guest for whom nothing came costs nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "net/server/egress_parts.h"

#define EVENTS_MOST 256 /* of one turn of the loop */
#define TABLE_STEP  64

#define PING_REPLY_MOST 60000
#define PING_WAIT       NANOSECONDS_PER_SECOND /* for a reply, once others need the room */

static struct watched *watched_of(const struct egress *e, int fd)
{
	return fd >= 0 && (size_t)fd < e->watched_size && e->watched[fd].guest ? &e->watched[fd] : NULL;
}

/* ---- the descriptors --------------------------------------------------------------------------------- */

static bool make_room(struct egress *e, int fd)
{
	size_t size = ((size_t)fd / TABLE_STEP + 1) * TABLE_STEP;
	struct watched *grown;

	if ((size_t)fd < e->watched_size)
		return true;
	grown = realloc(e->watched, size * sizeof *grown);
	if (!grown)
		return false;
	memset(grown + e->watched_size, 0, (size - e->watched_size) * sizeof *grown);
	e->watched = grown;
	e->watched_size = size;
	return true;
}

/* libslirp puts the reply where the request was, and takes the room for larger than it is: no reply may fill
 * it (65,500 bytes behind the headers, with our MTU). It is asked to look for one that has not come, too. */
static void begin_ping(struct egress_guest *g, struct watched *w, int fd)
{
	struct sock_filter cut = BPF_STMT(BPF_RET | BPF_K, PING_REPLY_MOST);
	const struct sock_fprog program = {.len = 1, .filter = &cut};

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
		shutdown(fd, SHUT_RD);
	fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
	w->since = clock_monotonic();
	g->pings++;
}

bool egress_watch_end_ping(struct egress_guest *g)
{
	struct watched *all = g->egress->watched, *oldest = NULL;

	for (int fd = g->first; fd >= 0; fd = all[fd].next)
		if (all[fd].protocol == IPPROTO_ICMP && (!oldest || all[fd].since < oldest->since))
			oldest = &all[fd];
	if (!oldest || clock_monotonic() - oldest->since < PING_WAIT)
		return false;
	oldest->got = EPOLLERR;
	egress_run(g);
	return true;
}

/* One that finds no room is never polled, and ends by libslirp's timers. */
void egress_watch_add(int fd, void *guest)
{
	struct egress_guest *g = guest;
	struct egress *e = g->egress;
	struct watched *w;

	if (fd < 0 || !make_room(e, fd) || e->watched[fd].guest)
		return;
	w = &e->watched[fd];
	*w = (struct watched){.guest = g,
		.next = g->first,
		.previous = -1,
		.protocol = g->protocol,
		.port = g->port,
		.remote = g->remote,
		.remote_port = g->remote_port,
		.weight = g->arriving ? 2 : 1};
	if (g->first >= 0)
		e->watched[g->first].previous = fd;
	g->first = fd;
	g->sockets += w->weight;
	e->sockets += w->weight;
	if (w->protocol == IPPROTO_ICMP)
		begin_ping(g, w, fd);
	egress_dirty(g);
	if (g->arriving)
		egress_handover_arrived(g, fd);
	else if (g->asks && g->dns)
		egress_dns_arrived(g, fd);
}

void egress_watch_remove(int fd, void *guest)
{
	struct egress_guest *g = guest;
	struct egress *e = g->egress;
	struct watched *w = watched_of(e, fd);

	if (!w)
		return;
	egress_handover_left(g, fd);
	knock_end(g, fd);
	if (g->last == fd)
		g->last = -1;
	if (w->armed)
		epoll_ctl(e->epoll, EPOLL_CTL_DEL, fd, NULL);
	if (w->next >= 0)
		e->watched[w->next].previous = w->previous;
	if (w->previous >= 0)
		e->watched[w->previous].next = w->next;
	else
		g->first = w->next;
	g->sockets -= w->weight;
	e->sockets -= w->weight;
	if (w->protocol == IPPROTO_ICMP)
		g->pings--;
	*w = (struct watched){0};
}

static bool is_tcp(const struct watched *w, uint16_t port, uint32_t remote, uint16_t remote_port)
{
	return w->protocol == IPPROTO_TCP && w->port == port && w->remote == remote &&
	       w->remote_port == remote_port;
}

struct watched *egress_watch_tcp(struct egress_guest *g, uint16_t port, uint32_t remote, uint16_t remote_port)
{
	struct watched *all = g->egress->watched;

	if (g->last >= 0 && is_tcp(&all[g->last], port, remote, remote_port))
		return &all[g->last];
	for (int fd = g->first; fd >= 0; fd = all[fd].next)
		if (is_tcp(&all[fd], port, remote, remote_port)) {
			g->last = fd;
			return &all[fd];
		}
	return NULL;
}

void egress_watch_again(struct egress_guest *g, int fd)
{
	struct watched *w = watched_of(g->egress, fd);

	/* The kernel forgot the old socket when the last number that meant it came to mean this one. */
	if (w)
		w->armed = w->got = 0;
	egress_dirty(g);
}

static void arm(struct egress *e, int fd)
{
	struct watched *w = &e->watched[fd];
	struct epoll_event event = {.events = w->wanted, .data.fd = fd};
	int how = w->armed ? w->wanted ? EPOLL_CTL_MOD : EPOLL_CTL_DEL : EPOLL_CTL_ADD;

	if (w->wanted != w->armed && epoll_ctl(e->epoll, how, fd, &event) == 0)
		w->armed = w->wanted;
}

/* ---- what libslirp waits for ------------------------------------------------------------------------- */

static int on_wanted(int fd, int events, void *guest)
{
	struct egress_guest *g = guest;
	struct watched *w = watched_of(g->egress, fd);

	if (!w)
		return fd;
	w->wanted = (events & SLIRP_POLL_OUT ? (uint32_t)EPOLLOUT : 0u);
	if (!g->held)
		w->wanted |= (events & SLIRP_POLL_IN ? (uint32_t)EPOLLIN : 0u) |
			     (events & SLIRP_POLL_PRI ? (uint32_t)EPOLLPRI : 0u);
	return fd;
}

static void ask(struct egress_guest *g)
{
	struct egress *e = g->egress;
	uint32_t timeout = UINT32_MAX;
	int next;

	g->dirty = false;
	for (int fd = g->first; fd >= 0; fd = e->watched[fd].next)
		e->watched[fd].wanted = 0;
	/* Sockets of UDP that are too old are closed in here. */
	slirp_pollfds_fill(g->slirp, &timeout, on_wanted, g);
	for (int fd = g->first; fd >= 0; fd = next) {
		next = e->watched[fd].next;
		arm(e, fd);
	}
	g->dirty = false;
	g->due = timeout == UINT32_MAX ? UINT64_MAX : clock_monotonic() + MILLISECONDS(timeout);
}

void egress_dirty(struct egress_guest *g)
{
	g->dirty = true;
}

/* ---- what came --------------------------------------------------------------------------------------- */

static int on_asked(int fd, void *guest)
{
	struct egress_guest *g = guest;
	struct watched *w = watched_of(g->egress, fd);
	uint32_t got = w ? w->got : 0;

	if (fd == g->accepting)
		return SLIRP_POLL_IN;
	if (w)
		w->got = 0;
	return (got & EPOLLIN ? SLIRP_POLL_IN : 0) | (got & EPOLLOUT ? SLIRP_POLL_OUT : 0) |
	       (got & EPOLLPRI ? SLIRP_POLL_PRI : 0) | (got & EPOLLERR ? SLIRP_POLL_ERR : 0) |
	       (got & EPOLLHUP ? SLIRP_POLL_HUP : 0);
}

void egress_run(struct egress_guest *g)
{
	g->busy++;
	g->egress->now = clock_monotonic();
	slirp_pollfds_poll(g->slirp, 0, on_asked, g);
	g->busy--;
	g->ready = false;
	egress_dirty(g);
	egress_pass_waiting(g);
}

/* libslirp has one clock for all, which is set when it is polled: what it stamps with a stale one is too old
 * at once. */
void egress_tell_time(struct egress_guest *g)
{
	uint64_t now = clock_monotonic();

	if (now - g->egress->now > MILLISECONDS(100) && !g->busy)
		egress_run(g);
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
	struct egress *e = handle->data;
	struct epoll_event got[EVENTS_MOST];
	int n = status == 0 && events ? epoll_wait(e->epoll, got, EVENTS_MOST, 0) : 0;

	for (int i = 0; i < n; i++) {
		struct watched *w = watched_of(e, got[i].data.fd);

		if (w) {
			w->got = got[i].events;
			w->guest->ready = true;
		}
	}
	for (struct egress_guest *g = e->guests; n > 0 && g; g = g->next)
		if (g->ready)
			egress_run(g);
}

static void on_timer(uv_timer_t *handle)
{
	struct egress *e = handle->data;
	uint64_t now = clock_monotonic();

	for (struct egress_guest *g = e->guests; g; g = g->next) {
		knock_again(g, now);
		if (g->due <= now)
			egress_run(g);
	}
}

/* Before the loop waits: all that happened in this turn is behind us. */
static void on_wait(uv_prepare_t *handle)
{
	struct egress *e = handle->data;
	uint64_t due = UINT64_MAX, now;
	bool changed = false;

	for (struct egress_guest *g = e->guests; g; g = g->next) {
		egress_handovers(g);
		if (g->dirty) {
			ask(g);
			changed = true;
		}
		if (g->due < due)
			due = g->due;
		if (g->knocks && knock_due(g) < due)
			due = knock_due(g);
	}
	if (!changed && due >= e->due && uv_is_active((uv_handle_t *)&e->timer))
		return;
	e->due = due;
	if (due == UINT64_MAX) {
		uv_timer_stop(&e->timer);
		return;
	}
	now = clock_monotonic();
	uv_update_time(e->loop);
	uv_timer_start(&e->timer, on_timer, due <= now ? 0 : (due - now) / 1000000 + 1, 0);
}

/* ---- its life ---------------------------------------------------------------------------------------- */

int egress_watch_open(struct egress *e, struct error *err)
{
	e->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (e->epoll < 0)
		return error_errno(err, errno, "watch sockets");
	if (uv_poll_init(e->loop, &e->poll, e->epoll) < 0) {
		close(TAKE_FD(e->epoll));
		return error_set(err, ERROR_SYSTEM, "watch sockets");
	}
	e->poll.data = e;
	uv_poll_start(&e->poll, UV_READABLE, on_readable);
	uv_prepare_init(e->loop, &e->before_wait);
	e->before_wait.data = e;
	uv_prepare_start(&e->before_wait, on_wait);
	uv_timer_init(e->loop, &e->timer);
	e->timer.data = e;
	e->handles = 3;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct egress *e = handle->data;

	if (--e->handles)
		return;
	free(e->watched);
	map_free(&e->by_address);
	free(e);
}

void egress_watch_close(struct egress *e)
{
	uv_poll_stop(&e->poll);
	close(TAKE_FD(e->epoll));
	uv_close((uv_handle_t *)&e->poll, on_closed);
	uv_close((uv_handle_t *)&e->before_wait, on_closed);
	uv_close((uv_handle_t *)&e->timer, on_closed);
}
