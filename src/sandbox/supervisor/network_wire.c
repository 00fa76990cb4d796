/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/control.h"
#include "net/groups.h"
#include "os/unix_socket.h"
#include "sandbox/supervisor/network.h"
#include "sandbox/supervisor/supervisor.h"

#define ATTACH_TIME (20 * NANOSECONDS_PER_SECOND)
#define GOOD_TIME   (10 * NANOSECONDS_PER_SECOND) /* for an mcnet that did not break down at once */
#define LINK_PAUSE  MILLISECONDS(200)
#define FIRST_PAUSE MILLISECONDS(5) /* doubled with each try */
#define TRIES_MOST  11              /* ten seconds */

static const char *group_of(const struct wire *w)
{
	return w->networks->network.groups[w->number].name;
}

/* ---- the stream of the guest's device ----------------------------------------------------------------- */

static bool is_broken(int stream)
{
	struct pollfd p = {.fd = stream};

	return poll(&p, 1, 0) != 0;
}

/* QEMU lets few wait at its socket: none may be left of one that was there before. */
int wire_prepare(struct wire *w, struct error *err)
{
	int directory = w->networks->supervisor->directory.fd, r;
	char name[16];

	if (w->stream >= 0)
		close(TAKE_FD(w->stream));
	if (w->listener >= 0)
		close(TAKE_FD(w->listener));
	snprintf(name, sizeof name, "net%u", w->number);
	r = unix_socket_listen(directory, name, &w->listener, err);
	w->networks->nics[w->number].listener = w->listener;
	return r == 0 ? unix_socket_connect_any(directory, name, &w->stream, err) : r;
}

static int connect_stream(struct wire *w, struct error *err)
{
	char name[16];

	if (w->stream >= 0 && !is_broken(w->stream))
		return 0;
	if (w->stream >= 0)
		close(TAKE_FD(w->stream));
	snprintf(name, sizeof name, "net%u", w->number);
	return unix_socket_connect_any(w->networks->supervisor->directory.fd, name, &w->stream, err);
}

/* ---- what mcnet is told ------------------------------------------------------------------------------- */

void wire_watch(struct wire *w)
{
	struct epoll_event e = {
		.events = EPOLLIN | (peer_has_output(&w->peer) ? EPOLLOUT : 0u), .data.ptr = w};

	if (w->peer.fd >= 0)
		epoll_ctl(w->networks->epoll, EPOLL_CTL_MOD, w->peer.fd, &e);
}

static struct due *expect(struct wire *w, uint16_t type, struct wish *wish)
{
	struct due *d = calloc(1, sizeof *d);

	if (!d)
		return NULL;
	*d = (struct due){.next = w->due, .stream = w->next_stream++, .type = type, .wish = wish};
	w->due = d;
	return d;
}

/* What cannot be sent is lost with the connection, whose end answers it. */
void wire_ask(struct wire *w, uint16_t type, const struct buffer *payload, struct wish *wish)
{
	struct due *d = expect(w, type, wish);

	if (d && wish)
		wish->waiting++;
	if (d && !(payload && payload->failed))
		peer_send(&w->peer, d->stream, type, 0, payload ? payload->data : NULL,
			payload ? payload->size : 0);
	wire_watch(w);
}

int wire_attach(struct wire *w, struct error *err)
{
	const struct networks *n = w->networks;
	const struct network *net = &n->network;
	const struct network_group *g = &net->groups[w->number];
	bool again = net->published_count > 0, ports = w->number == 0 && !w->without_ports;
	char *others[NET_OTHERS_MAX + 1] = {NULL};
	const struct net_attach m = {.sandbox = (char *)n->supervisor->directory.id,
		.name = n->supervisor->record.name,
		.aliases = net->aliases,
		.group = g->name,
		.others = others,
		.subnet = address_ipv4(&g->subnet.address),
		.subnet_bits = (uint8_t)(g->subnet.bits - 96),
		.address = g->address,
		.main = w->number == 0,
		.policy = {(uint8_t)net->reach, net->rules},
		.bandwidth = net->bandwidth,
		.ports = again ? net->published : net->ports,
		.port_count = !ports  ? 0
			      : again ? net->published_count
				      : net->port_count};
	_cleanup_buffer_ struct buffer payload = {0};

	for (size_t i = 0, k = 0; i < net->group_count && k < NET_OTHERS_MAX; i++)
		if (i != w->number)
			others[k++] = net->groups[i].name;
	net_attach_encode(&m, &payload);
	if (payload.failed)
		return error_no_memory(err, "attach to the network");
	w->state = WIRE_ATTACHING;
	wire_ask(w, NET_ATTACH, &payload, NULL);
	return 0;
}

/* A device that does not take it now is tried again; where its VM has just ended, somebody else notices. */
int wire_link(struct wire *w, struct error *err)
{
	struct due *d;
	int r = connect_stream(w, err);

	if (r < 0) {
		log_debug("link the network of group %s: %s", group_of(w), err->text);
		w->again = clock_monotonic() + LINK_PAUSE;
		return 0;
	}
	d = expect(w, NET_LINK, NULL);
	r = d ? net_send_link(&w->peer, d->stream, w->stream, err) : error_no_memory(err, "link the network");
	if (r == 0 && vm_nics_reconnect(w->networks->supervisor->engine))
		close(TAKE_FD(w->stream));
	return r;
}

/* A device that could not take another stream keeps its own; nothing passes under reach none. */
void wire_unlink(struct wire *w)
{
	if (w->state == WIRE_ON && vm_nics_reconnect(w->networks->supervisor->engine))
		wire_ask(w, NET_UNLINK, NULL, NULL);
}

/* ---- what mcnet answers ------------------------------------------------------------------------------- */

/* The ports as they are published, in the order in which they were asked for. */
static int take_published(struct wire *w, const struct frame *f, struct error *err)
{
	struct network *net = &w->networks->network;
	struct port *list = NULL;
	size_t count = 0;
	int r = net_ports_decode(cursor_of(f->payload, f->size), &list, &count, err);

	if (r < 0)
		return r;
	if (w->number || w->without_ports) {
		free(list);
		return 0;
	}
	free(net->published);
	net->published = list;
	net->published_count = count;
	return 0;
}

static int attached(struct wire *w, const struct frame *f, struct error *err)
{
	int r = f->type == MESSAGE_ERROR ? message_error_read(cursor_of(f->payload, f->size), err)
					 : take_published(w, f, err);

	if (r < 0)
		return r;
	w->state = WIRE_ON;
	w->since = clock_monotonic();
	return 0;
}

/* A port of the host's may have been taken by another meanwhile: the rest of the network is worth more. */
static int attached_again(struct wire *w, const struct frame *f, struct error *err)
{
	struct networks *n = w->networks;
	int r = attached(w, f, err);

	if (r < 0 && w->number == 0 && n->network.published_count && !w->without_ports) {
		supervisor_note(n->supervisor, "its ports are not published any more: %s", err->text);
		w->without_ports = true;
		n->network.published_count = 0;
		return wire_attach(w, err);
	}
	if (r == 0 && n->network.reach != REACH_NONE)
		r = wire_link(w, err);
	if (r == 0)
		supervisor_note(n->supervisor, "the network of group %s is up again", group_of(w));
	return r;
}

/* QEMU has let go of the stream, or has ended; then so does the supervisor, before it is linked again. */
static void unlinked(struct wire *w, const struct frame *f)
{
	struct supervisor *s = w->networks->supervisor;

	if (s->phase != PHASE_RUNNING || w->networks->network.reach == REACH_NONE)
		return;
	log_debug("the network of group %s is unlinked: %.*s", group_of(w), (int)f->size,
		(const char *)f->payload);
	if (vm_nics_reconnect(s->engine))
		w->again = clock_monotonic() + LINK_PAUSE;
}

static int take_frame(struct wire *w, const struct frame *f, struct error *err)
{
	struct due **at = &w->due, *d;
	int r = 0;

	if (f->type == NET_UNLINKED) {
		unlinked(w, f);
		return 0;
	}
	while (*at && (*at)->stream != f->stream)
		at = &(*at)->next;
	d = *at;
	if (!d)
		return f->type == MESSAGE_ERROR ? message_error_read(cursor_of(f->payload, f->size), err)
						: error_set(err, ERROR_INVALID, "an answer to no question");
	*at = d->next;
	if (d->wish)
		wish_answered(w->networks, d->wish, f, NULL);
	else if (d->type == NET_ATTACH)
		r = attached_again(w, f, err);
	else if (f->type == MESSAGE_ERROR)
		r = message_error_read(cursor_of(f->payload, f->size), err);
	free(d);
	return r;
}

int wire_attached(struct wire *w, struct error *err)
{
	struct frame f;
	int r = w->state == WIRE_ON ? 0 : peer_wait(&w->peer, &f, clock_monotonic() + ATTACH_TIME, err);

	if (r < 0)
		return error_prefix(err, "the network of group %s", group_of(w));
	if (w->state == WIRE_ON)
		return 0;
	free(TAKE_PTR(w->due));
	return attached(w, &f, err);
}

/* ---- one connection after the other ------------------------------------------------------------------- */

void wire_connected(struct wire *w, int connection)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = w};

	w->without_ports = false;
	w->peer = (struct peer){.fd = connection, .out = {.limit = QUEUE_MAX}};
	epoll_ctl(w->networks->epoll, EPOLL_CTL_ADD, connection, &e);
}

static void give_up_due(struct wire *w, const struct error *why)
{
	while (w->due) {
		struct due *d = w->due;

		w->due = d->next;
		if (d->wish)
			wish_answered(w->networks, d->wish, NULL, why);
		free(d);
	}
}

void wire_lost(struct wire *w, const struct error *why)
{
	struct networks *n = w->networks;
	uint64_t now = clock_monotonic();

	if (w->state == WIRE_ON && now - w->since > GOOD_TIME)
		w->tries = 0;
	if (w->tries == 0)
		supervisor_note(
			n->supervisor, "the network of group %s broke down: %s", group_of(w), why->text);
	else
		log_debug("the network of group %s broke down again: %s", group_of(w), why->text);
	peer_close(&w->peer);
	w->peer = (struct peer)PEER_NONE;
	w->state = WIRE_WAITING;
	give_up_due(w, why);
	w->again = n->dialer_lost ? UINT64_MAX : now + (w->tries ? FIRST_PAUSE << w->tries : 0);
	if (w->tries < TRIES_MOST)
		w->tries++;
}

void wire_ready(struct wire *w, uint32_t events)
{
	struct error err;
	struct frame f;
	int r = events & EPOLLOUT ? peer_flush(&w->peer, &err) : 0;

	if (w->peer.fd < 0)
		return;
	if (r == 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		r = peer_receive(&w->peer, &err);
	while (r >= 0 && (r = peer_next(&w->peer, &f, &err)) > 0)
		r = take_frame(w, &f, &err);
	if (r < 0)
		wire_lost(w, &err);
	else
		wire_watch(w);
}

void wire_due_now(struct wire *w, uint64_t now)
{
	struct error err;

	if (w->again > now)
		return;
	w->again = UINT64_MAX;
	if (w->state == WIRE_ON && w->networks->network.reach != REACH_NONE && wire_link(w, &err) < 0)
		wire_lost(w, &err);
	if (w->state != WIRE_WAITING || w->again != UINT64_MAX)
		return;
	w->state = WIRE_DIALING;
	if (dialer_ask(&w->networks->dialer, w->number, &err) < 0) {
		w->networks->dialer_lost = true;
		w->state = WIRE_WAITING;
	}
}

void wire_free(struct wire *w)
{
	while (w->due) {
		struct due *d = w->due;

		w->due = d->next;
		free(d);
	}
	peer_close(&w->peer);
	if (w->stream >= 0)
		close(w->stream);
	if (w->listener >= 0)
		close(w->listener);
}
