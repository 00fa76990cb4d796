/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/supervisor/network.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "net/ipam.h"
#include "sandbox/programs.h"
#include "sandbox/supervisor/supervisor.h"

#define EVENTS 16

#define DIAL_TIME (20 * NANOSECONDS_PER_SECOND) /* net_connect() has a limit of its own */

static int watch_dialer(struct networks *n, struct error *err)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};

	return epoll_ctl(n->epoll, EPOLL_CTL_ADD, n->dialer.fd, &e) < 0
		       ? error_errno(err, errno, "watch the networks")
		       : 0;
}

static int start_dialer(struct networks *n, struct error *err)
{
	_cleanup_text_list_ char **groups = NULL;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < n->network.group_count; i++)
		r = text_list_add(&groups, n->network.groups[i].name, err);
	if (r == 0)
		r = dialer_start(&n->dialer, &n->place, groups, err);
	return r < 0 ? r : watch_dialer(n, err);
}

/* All connections are asked for at once, and waited for when they are needed. */
static int dial_all(struct networks *n, struct error *err)
{
	int r = start_dialer(n, err);

	for (uint32_t i = 0; r == 0 && i < n->network.group_count; i++) {
		ipam_mac(n->network.groups[i].address, n->nics[i].mac);
		n->wires[i].state = WIRE_DIALING;
		r = dialer_ask(&n->dialer, i, err);
	}
	return r;
}

static int attach_now(struct networks *n, struct wire *w, struct error *err)
{
	uint64_t deadline = clock_monotonic() + DIAL_TIME;
	uint32_t number;
	int connection, r = 0;

	while (r >= 0 && w->state == WIRE_DIALING) {
		struct pollfd p = {.fd = n->dialer.fd, .events = POLLIN};

		if (poll(&p, 1, clock_poll_timeout(deadline)) == 0)
			return error_set(err, ERROR_TIMEOUT, "connect to the network: no answer in time");
		r = dialer_answer(&n->dialer, &number, &connection, err);
		if (r > 0 && connection < 0)
			return -(int)err->code;
		if (r > 0) {
			wire_connected(&n->wires[number], connection);
			r = wire_attach(&n->wires[number], err);
		}
	}
	return r < 0 ? r : wire_attached(w, err);
}

static int open_all(struct networks *n, struct error *err)
{
	int r;

	n->program = program_path("mcnet", err);
	if (!n->program)
		return -ERROR_NOT_FOUND;
	n->place = (struct net_place){.home = n->supervisor->home.fd, .program = n->program};
	n->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (n->epoll < 0)
		return error_errno(err, errno, "watch the networks");
	r = dial_all(n, err);
	if (r < 0 || !n->network.port_count)
		return r;
	r = attach_now(n, &n->wires[0], err);
	if (r == 0)
		networks_keep(n);
	return r;
}

int networks_open(struct supervisor *s, struct networks **out, struct error *err)
{
	struct networks *n = calloc(1, sizeof *n);
	int r = n ? network_read(s->directory.fd, &n->network, err)
		  : error_no_memory(err, "start the sandbox's networks");

	if (r < 0) {
		free(n);
		return r == -ERROR_NOT_FOUND ? 0 : r; /* made before there were networks */
	}
	n->network.published_count = 0;
	n->supervisor = s;
	n->dialer = DIALER_NONE;
	n->epoll = -1;
	for (uint32_t i = 0; i < NETWORK_GROUPS_MAX; i++)
		n->wires[i] = (struct wire){.networks = n,
			.number = i,
			.peer = {.fd = -1},
			.listener = -1,
			.stream = -1,
			.next_stream = 1,
			.again = UINT64_MAX};
	r = open_all(n, err);
	if (r < 0)
		networks_close(n);
	else
		*out = n;
	return r;
}

void networks_close(struct networks *n)
{
	if (!n)
		return;
	for (uint32_t i = 0; i < NETWORK_GROUPS_MAX; i++)
		wire_free(&n->wires[i]);
	while (n->wishes) {
		struct wish *w = n->wishes;

		n->wishes = w->next;
		free(w->ports);
		free(w);
	}
	dialer_end(&n->dialer);
	if (n->epoll >= 0)
		close(n->epoll);
	network_free(&n->network);
	free(n->program);
	free(n);
}

void networks_keep(struct networks *n)
{
	struct supervisor *s = n->supervisor;
	struct error err;

	if (network_write(s->directory.fd, &n->network, !s->discard, &err) < 0)
		supervisor_note(s, "%s", err.text);
}

const struct vm_nic *networks_nics(const struct networks *n, size_t *count)
{
	*count = n ? n->network.group_count : 1;
	return n ? n->nics : NULL;
}

int networks_prepare(struct networks *n, struct error *err)
{
	int r = 0;

	for (uint32_t i = 0; n && r == 0 && i < n->network.group_count; i++)
		r = wire_prepare(&n->wires[i], err);
	return r;
}

/* A machine that is started once more finds it attached. */
int networks_link(struct networks *n, struct error *err)
{
	int r = 0;

	for (uint32_t i = 0; n && r == 0 && i < n->network.group_count; i++) {
		struct wire *w = &n->wires[i];

		if (w->state != WIRE_ON)
			r = attach_now(n, w, err);
		if (r == 0 && n->network.reach != REACH_NONE && wire_link(w, err) < 0)
			wire_lost(w, err); /* it died since: the loop connects to the next one */
	}
	return r;
}

/* ---- what the guest is told --------------------------------------------------------------------------- */

uint32_t networks_describe(const struct networks *n, struct message_network list[NETWORKS_MAX])
{
	uint32_t count = n ? n->network.group_count : 0;

	_Static_assert(NETWORK_GROUPS_MAX <= NETWORKS_MAX, "the guest has as many");
	for (uint32_t i = 0; i < count; i++) {
		const struct network_group *g = &n->network.groups[i];

		list[i] = (struct message_network){.address = g->address,
			.bits = (uint8_t)(g->subnet.bits - 96),
			.gateway = i == 0 ? ipam_gateway(&g->subnet) : 0,
			.mtu = MESSAGE_NETWORK_MTU,
			.up = n->network.reach != REACH_NONE};
		ipam_mac(g->address, list[i].mac);
	}
	return count;
}

char *networks_hosts(const struct networks *n, const char *hostname, struct error *err)
{
	const char *own = "127.0.1.1";
	char address[ADDRESS_TEXT_MAX];

	if (n && n->network.reach != REACH_NONE)
		own = address_format_ipv4(n->network.groups[0].address, address);
	return text_format(err, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n%s\t%s\n",
		own, hostname);
}

/* A group's resolver answers for its names, refuses those of the sandbox's other groups, so that the next one
 * is asked, and asks the world for the rest. Nobody looks for members of a group of one. */
char *networks_resolv_conf(const struct networks *n, struct error *err)
{
	_cleanup_buffer_ struct buffer out = {0};
	char gateway[ADDRESS_TEXT_MAX];

	if (!n)
		return text_copy("# this sandbox has no name server\n", err);
	for (size_t i = 0; i < n->network.group_count; i++) {
		address_format_ipv4(ipam_gateway(&n->network.groups[i].subnet), gateway);
		buffer_format(&out, "nameserver %s\n", gateway);
	}
	if (!network_is_own(&n->network, n->supervisor->directory.id)) {
		buffer_format(&out, "search");
		for (size_t i = 0; i < n->network.group_count; i++)
			buffer_format(&out, " %s.internal", n->network.groups[i].name);
		buffer_u8(&out, '\n');
	}
	if (out.failed) {
		error_no_memory(err, "say who answers for names");
		return NULL;
	}
	return text_copy_bytes(out.data, out.size, err);
}

/* ---- the loop ----------------------------------------------------------------------------------------- */

int networks_fd(const struct networks *n)
{
	return n->epoll;
}

static void hear_dialer(struct networks *n)
{
	struct error err;
	uint32_t number;
	int connection, r;

	while ((r = dialer_answer(&n->dialer, &number, &connection, &err)) > 0) {
		struct wire *w = number < n->network.group_count ? &n->wires[number] : NULL;

		if (!w || w->state != WIRE_DIALING) {
			if (connection >= 0)
				close(connection);
			continue;
		}
		if (connection >= 0)
			wire_connected(w, connection);
		if (connection < 0 || wire_attach(w, &err) < 0)
			wire_lost(w, &err);
	}
	if (r < 0) {
		supervisor_note(n->supervisor, "%s: a network that breaks down is not made again", err.text);
		n->dialer_lost = true;
	}
}

void networks_ready(struct networks *n)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(n->epoll, events, EVENTS, 0);
	uint64_t now = clock_monotonic();

	for (int i = 0; i < count; i++)
		if (events[i].data.ptr)
			wire_ready(events[i].data.ptr, events[i].events);
		else
			hear_dialer(n);
	for (uint32_t i = 0; i < n->network.group_count; i++)
		wire_due_now(&n->wires[i], now);
}

uint64_t networks_next(const struct networks *n)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < n->network.group_count; i++)
		if (n->wires[i].again < next)
			next = n->wires[i].again;
	return next;
}
