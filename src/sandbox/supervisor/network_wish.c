/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a running sandbox's networks. Policy and bandwidth are written down first and said to every
 * mcnet then: one that is just being replaced is told them when it is attached to. Ports are written down
 * when the first group's mcnet has said that they are published.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "net/control.h"
#include "sandbox/control.h"
#include "sandbox/supervisor/network.h"
#include "sandbox/supervisor/supervisor.h"

#define WISHES_MOST 64

/* ---- the end of a wish -------------------------------------------------------------------------------- */

static void tell_ports(struct wish *w)
{
	_cleanup_buffer_ struct buffer payload = {0};

	net_ports_encode(w->ports, w->port_count, &payload);
	if (w->client && !payload.failed)
		client_send(w->client, w->stream, CONTROL_PORTS, 0, payload.data, payload.size);
}

static void finish(struct networks *n, struct wish *w)
{
	struct wish **link = &n->wishes;

	while (*link != w)
		link = &(*link)->next;
	*link = w->next;
	n->wish_count--;
	if (w->type == CONTROL_PORT_REMOVE && !w->failure.code) {
		network_remove_ports(&n->network, w->ports, w->port_count);
		networks_keep(n);
	}
	if (w->failure.code && w->client)
		peer_send_error(&w->client->peer, w->stream, &w->failure);
	else if (w->type == CONTROL_PORT_ADD && !w->failure.code)
		tell_ports(w);
	else if (w->client)
		client_send(w->client, w->stream, MESSAGE_DONE, 0, NULL, 0);
	free(w->ports);
	free(w);
}

static int ports_are_added(struct networks *n, struct wish *w, const struct frame *f, struct error *err)
{
	struct network *net = &n->network;
	int r;

	free(TAKE_PTR(w->ports));
	r = net_ports_decode(cursor_of(f->payload, f->size), &w->ports, &w->port_count, err);
	if (r == 0)
		r = network_append_ports(net, w->ports, w->ports, w->port_count, err);
	if (r == 0)
		networks_keep(n);
	return r;
}

/* A wire broke down before it answered: policy and bandwidth come with its next ATTACH, and removed ports do
 * not; what was to be published is not. */
static void wire_broke(struct wish *w, const struct error *why)
{
	if (w->type == CONTROL_PORT_ADD)
		error_set(&w->failure, ERROR_CLOSED, "publish a port: the network broke down: %s: try again",
			why->text);
}

void wish_answered(struct networks *n, struct wish *w, const struct frame *f, const struct error *failure)
{
	struct error err;

	w->waiting--;
	if (failure)
		wire_broke(w, failure);
	else if (f->type == MESSAGE_ERROR && !w->failure.code)
		message_error_read(cursor_of(f->payload, f->size), &w->failure);
	else if (w->type == CONTROL_PORT_ADD && f->type == NET_PORTS && ports_are_added(n, w, f, &err) < 0)
		w->failure = err;
	if (!w->waiting)
		finish(n, w);
}

/* ---- its beginning ------------------------------------------------------------------------------------ */

static struct wish *begin(struct networks *n, struct client *c, const struct frame *f, struct error *err)
{
	struct wish *w = n->wish_count < WISHES_MOST ? calloc(1, sizeof *w) : NULL;

	if (!w) {
		error_set(err, ERROR_BUSY, "too much is being changed at once in this sandbox's networks");
		return NULL;
	}
	*w = (struct wish){.next = n->wishes, .client = c, .stream = f->stream, .type = f->type};
	n->wishes = w;
	n->wish_count++;
	return w;
}

/* Wires that are not attached get it with their ATTACH. */
static void ask_all(struct networks *n, uint16_t type, const struct buffer *payload, struct wish *w)
{
	w->waiting++; /* until all are asked */
	for (uint32_t i = 0; i < n->network.group_count; i++)
		if (n->wires[i].state >= WIRE_ATTACHING)
			wire_ask(&n->wires[i], type, payload, w);
	if (--w->waiting == 0)
		finish(n, w);
}

/* The link of each group goes up or down, and the guest's interface with it. */
static void switch_links(struct networks *n, bool up)
{
	struct supervisor *s = n->supervisor;
	struct error err;

	for (uint32_t i = 0; i < n->network.group_count; i++) {
		const struct message_network_switch m = {(uint8_t)i, up};
		_cleanup_buffer_ struct buffer payload = {0};
		struct wire *w = &n->wires[i];

		message_network_switch_encode(&m, &payload);
		if (!payload.failed)
			peer_send(&s->agent, 0, MESSAGE_NETWORK, 0, payload.data, payload.size);
		if (!up)
			wire_unlink(w);
		else if (w->state == WIRE_ON && wire_link(w, &err) < 0)
			wire_lost(w, &err);
	}
}

static int take_policy(struct networks *n, struct client *c, const struct frame *f, struct error *err)
{
	_cleanup_(net_policy_free) struct net_policy m = {0};
	_cleanup_buffer_ struct buffer payload = {0};
	bool was_up = n->network.reach != REACH_NONE, up;
	struct wish *w;
	int r = net_policy_decode(cursor_of(f->payload, f->size), &m, err);

	if (r == 0)
		r = network_check_rules(m.rules, err);
	if (r < 0)
		return r;
	w = begin(n, c, f, err);
	if (!w)
		return -ERROR_BUSY;
	net_policy_encode(&m, &payload);
	up = m.reach != REACH_NONE;
	n->network.reach = (enum reach)m.reach;
	text_list_free(n->network.rules);
	n->network.rules = TAKE_PTR(m.rules);
	networks_keep(n);
	ask_all(n, NET_POLICY, &payload, w);
	if (up != was_up)
		switch_links(n, up);
	return 0;
}

static int take_bandwidth(struct networks *n, struct client *c, const struct frame *f, struct error *err)
{
	_cleanup_buffer_ struct buffer payload = {0};
	struct cursor in = cursor_of(f->payload, f->size);
	uint64_t bandwidth = cursor_u64(&in);
	struct wish *w;

	if (!cursor_done(&in))
		return error_set(err, ERROR_INVALID, "a malformed request for a bandwidth");
	w = begin(n, c, f, err);
	if (!w)
		return -ERROR_BUSY;
	n->network.bandwidth = bandwidth;
	networks_keep(n);
	buffer_u64(&payload, bandwidth);
	ask_all(n, NET_BANDWIDTH, &payload, w);
	return 0;
}

static int check_room(const struct network *net, const struct wish *w, struct error *err)
{
	return w->port_count > PORTS_MAX - net->port_count
		       ? error_set(err, ERROR_LIMIT, "a sandbox has %d ports at most", PORTS_MAX)
		       : 0;
}

/* Ports are the first group's. Those that could not be published again are removed here alone. */
static int take_ports(struct networks *n, struct client *c, const struct frame *f, struct error *err)
{
	bool add = f->type == CONTROL_PORT_ADD;
	struct wire *first = &n->wires[0];
	_cleanup_buffer_ struct buffer payload = {0};
	struct wish *w = begin(n, c, f, err);
	int r;

	if (!w)
		return -ERROR_BUSY;
	w->waiting = 1;
	r = net_ports_decode(cursor_of(f->payload, f->size), &w->ports, &w->port_count, err);
	if (r == 0 && add)
		r = check_room(&n->network, w, err);
	if (r == 0 && add && first->state != WIRE_ON)
		r = error_set(err, ERROR_BUSY, "the network is just being started again: try again");
	if (r == 0 && add && first->without_ports)
		r = error_set(err, ERROR_BUSY,
			"the sandbox's ports could not be published again when its network broke down: "
			"restart "
			"it");
	if (r < 0)
		w->failure = *err;
	else if (first->state == WIRE_ON && (add || n->network.published_count)) {
		net_ports_encode(w->ports, w->port_count, &payload);
		wire_ask(first, add ? NET_PORT_ADD : NET_PORT_REMOVE, &payload, w);
	}
	if (--w->waiting == 0)
		finish(n, w);
	return 0;
}

int networks_request(struct networks *n, struct client *c, const struct frame *f, struct error *err)
{
	if (!n)
		return error_set(err, ERROR_UNAVAILABLE, "this sandbox has no network");
	if (f->type == CONTROL_POLICY)
		return take_policy(n, c, f, err);
	if (f->type == CONTROL_BANDWIDTH)
		return take_bandwidth(n, c, f, err);
	return take_ports(n, c, f, err);
}

void networks_forget(struct networks *n, const struct client *c)
{
	for (struct wish *w = n ? n->wishes : NULL; w; w = w->next)
		if (w->client == c)
			w->client = NULL;
}
