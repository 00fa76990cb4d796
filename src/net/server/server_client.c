/* SPDX-License-Identifier: Apache-2.0 */
/* Control connections: requests are read, done at once, and answered on their stream. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "codec/message.h"
#include "net/server/neighbours.h"
#include "os/descriptors.h"
#include "os/unix_socket.h"

static void on_client(uv_poll_t *handle, int status, int events);

static void watch(struct client *c)
{
	if (!c->dropped)
		uv_poll_start(
			&c->poll, UV_READABLE | (peer_has_output(&c->peer) ? UV_WRITABLE : 0), on_client);
}

bool client_send(struct client *c, uint32_t stream, uint16_t type, const void *payload, size_t n)
{
	bool sent = !c->dropped && peer_send(&c->peer, stream, type, 0, payload, n);

	watch(c);
	return sent;
}

static void answer_error(struct client *c, uint32_t stream, const struct error *why)
{
	if (!c->dropped)
		peer_send_error(&c->peer, stream, why);
	watch(c);
}

/* ---- requests of a sandbox's supervisor -------------------------------------------------------------- */

static int answer_done(struct client *c, uint32_t stream)
{
	client_send(c, stream, MESSAGE_DONE, NULL, 0);
	return 0;
}

static int answer_ports(
	struct client *c, uint32_t stream, const struct port *list, size_t count, struct error *err)
{
	_cleanup_buffer_ struct buffer payload = {0};

	net_ports_encode(list, count, &payload);
	if (payload.failed)
		return error_no_memory(err, "answer");
	client_send(c, stream, NET_PORTS, payload.data, payload.size);
	return 0;
}

static int on_attach(struct client *c, const struct frame *f, struct error *err)
{
	struct net_attach about;
	int r;

	if (c->member)
		return error_set(err, ERROR_BUSY, "this connection has a sandbox already");
	r = net_attach_decode(cursor_of(f->payload, f->size), &about, err);
	if (r < 0)
		return r;
	r = member_attach(c, &about, err);
	net_attach_free(&about);
	return r < 0 ? r
		     : answer_ports(c, f->stream, c->member->about.ports, c->member->about.port_count, err);
}

static int on_link(struct client *c, const struct frame *f, struct error *err)
{
	int r;

	if (c->descriptor < 0 || f->size)
		return error_set(err, ERROR_INVALID, "a malformed message LINK");
	r = member_link(c->member, TAKE_FD(c->descriptor), err);
	return r < 0 ? r : answer_done(c, f->stream);
}

static int on_policy(struct client *c, const struct frame *f, struct error *err)
{
	struct net_policy policy;
	int r = net_policy_decode(cursor_of(f->payload, f->size), &policy, err);

	if (r < 0)
		return r;
	r = member_set_policy(c->member, &policy, err);
	net_policy_free(&policy);
	return r < 0 ? r : answer_done(c, f->stream);
}

static int on_ports(struct client *c, const struct frame *f, struct error *err)
{
	_cleanup_free_ struct port *list = NULL;
	size_t count;
	int r = net_ports_decode(cursor_of(f->payload, f->size), &list, &count, err);

	if (r < 0)
		return r;
	if (f->type == NET_PORT_ADD) {
		r = member_add_ports(c->member, list, count, err);
		return r < 0 ? r : answer_ports(c, f->stream, list, count, err);
	}
	r = member_remove_ports(c->member, list, count, err);
	return r < 0 ? r : answer_done(c, f->stream);
}

static int on_bandwidth(struct client *c, const struct frame *f, struct error *err)
{
	uint64_t bandwidth;
	int r = message_u64_decode(cursor_of(f->payload, f->size), &bandwidth, err);

	if (r < 0)
		return r;
	c->member->about.bandwidth = bandwidth;
	switch_set_bandwidth(c->server->sw, c->member->port, bandwidth);
	return answer_done(c, f->stream);
}

static int on_member_request(struct client *c, const struct frame *f, struct error *err)
{
	if (!c->member)
		return error_set(err, ERROR_BUSY, "this connection has no sandbox yet");
	switch (f->type) {
	case NET_LINK:
		return on_link(c, f, err);
	case NET_UNLINK:
		member_unlink(c->member);
		return answer_done(c, f->stream);
	case NET_POLICY:
		return on_policy(c, f, err);
	case NET_BANDWIDTH:
		return on_bandwidth(c, f, err);
	default:
		return on_ports(c, f, err);
	}
}

/* ---- requests of who looks --------------------------------------------------------------------------- */

static int answer_text(struct client *c, uint32_t stream, int r, const struct buffer *text)
{
	if (r == 0)
		client_send(c, stream, NET_TEXT, text->data, text->size);
	return r;
}

static int on_status(struct client *c, const struct frame *f, struct error *err)
{
	_cleanup_buffer_ struct buffer text = {0};

	return answer_text(c, f->stream, server_status(c->server, &text, err), &text);
}

static int on_why(struct client *c, const struct frame *f, struct error *err)
{
	_cleanup_buffer_ struct buffer text = {0};
	_cleanup_free_ char *sandbox = NULL;
	int r = net_name_decode(cursor_of(f->payload, f->size), &sandbox, err);

	return r < 0 ? r : answer_text(c, f->stream, server_why(c->server, sandbox, &text, err), &text);
}

static int on_trace(struct client *c, const struct frame *f, struct error *err)
{
	_cleanup_free_ char *sandbox = NULL;
	struct member *m = NULL;
	int r = net_name_decode(cursor_of(f->payload, f->size), &sandbox, err);

	if (r < 0)
		return r;
	if (!f->stream)
		return error_set(err, ERROR_INVALID, "a trace needs a stream of its own");
	if (*sandbox && !(m = member_of_sandbox(c->server, sandbox)))
		return error_set(err, ERROR_NOT_FOUND, "no sandbox %s is in this network", sandbox);
	for (size_t i = 0; i < TRACES_MOST; i++) {
		if (c->traces[i].stream)
			continue;
		c->traces[i].stream = f->stream;
		c->traces[i].port = m ? m->port : 0;
		c->server->tracing++;
		return answer_done(c, f->stream);
	}
	return error_set(err, ERROR_LIMIT, "more than %d traces on one connection", TRACES_MOST);
}

static void end_traces(struct client *c, uint32_t stream)
{
	for (size_t i = 0; i < TRACES_MOST; i++)
		if (c->traces[i].stream && (!stream || c->traces[i].stream == stream)) {
			c->traces[i].stream = 0;
			c->server->tracing--;
		}
}

/* Who does not read loses lines, not the connection. */
void clients_trace(struct server *s, uint32_t port, const char *line)
{
	for (struct client *c = s->clients; c; c = c->next)
		for (size_t i = 0; i < TRACES_MOST; i++)
			if (c->traces[i].stream && (!c->traces[i].port || c->traces[i].port == port) &&
				c->peer.out.size < OUTPUT_MOST / 2)
				client_send(c, c->traces[i].stream, NET_LINE, line, strlen(line));
}

/* ---- connections ------------------------------------------------------------------------------------- */

static int on_neighbour(struct client *c, const struct frame *f, struct error *err)
{
	struct net_neighbour who;
	int r = net_neighbour_decode(cursor_of(f->payload, f->size), &who, err);

	if (r < 0)
		return r;
	r = neighbours_accept(c, f->stream, &who, err);
	net_neighbour_free(&who);
	return r;
}

static int on_request(struct client *c, const struct frame *f, struct error *err)
{
	c->looks = !c->member && (f->type == NET_STATUS || f->type == NET_WHY || f->type == NET_TRACE ||
					 f->type == NET_CLOSE);
	switch (f->type) {
	case NET_ATTACH:
		return on_attach(c, f, err);
	case NET_LINK:
	case NET_UNLINK:
	case NET_POLICY:
	case NET_PORT_ADD:
	case NET_PORT_REMOVE:
	case NET_BANDWIDTH:
		return on_member_request(c, f, err);
	case NET_STATUS:
		return on_status(c, f, err);
	case NET_WHY:
		return on_why(c, f, err);
	case NET_TRACE:
		return on_trace(c, f, err);
	case NET_CLOSE:
		end_traces(c, f->stream);
		return 0;
	case NET_NEIGHBOUR:
		return on_neighbour(c, f, err);
	default:
		return error_set(err, ERROR_INVALID, "an unknown request, %u", f->type);
	}
}

/* -1: the connection is over. */
static int receive(struct client *c)
{
	size_t room;
	uint8_t *space = frame_reader_space(&c->peer.in, &room);
	int fd = -1, count = 1;
	ssize_t n;

	if (!space)
		return -1;
	n = descriptors_receive(c->peer.fd, space, room, &fd, &count);
	frame_reader_filled(&c->peer.in, n > 0 ? (size_t)n : 0);
	if (n > 0 && count == 1) {
		if (c->descriptor >= 0) { /* two, and no LINK between them */
			close(fd);
			return -1;
		}
		c->descriptor = fd;
	}
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)) ? 0 : -1;
}

static void take_requests(struct client *c)
{
	struct error err;
	struct frame f;
	int r = 0;

	while (!c->dropped && (r = peer_next(&c->peer, &f, &err)) > 0)
		if (on_request(c, &f, &err) < 0)
			answer_error(c, f.stream, &err);
	if (r < 0 && !c->dropped) {
		answer_error(c, 0, &err);
		client_drop(c);
	}
}

static void on_client(uv_poll_t *handle, int status, int events)
{
	struct client *c = handle->data;
	struct server *s = c->server;

	if (status < 0 || ((events & UV_WRITABLE) && peer_flush(&c->peer, NULL) < 0)) {
		client_drop(c);
		return;
	}
	if (events & UV_READABLE) {
		bool over = receive(c) < 0;

		take_requests(c);
		if (over && !c->dropped)
			client_drop(c);
	}
	watch(c);
	server_linger(s);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void client_drop(struct client *c)
{
	struct server *s = c->server;
	struct client **at = &s->clients;

	if (c->dropped)
		return;
	c->dropped = true;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	s->client_count--;
	end_traces(c, 0);
	if (c->member)
		member_detach(c->member);
	if (c->descriptor >= 0)
		close(c->descriptor);
	uv_poll_stop(&c->poll);
	peer_close(&c->peer);
	uv_close((uv_handle_t *)&c->poll, on_closed);
	server_linger(s);
}

static void add(struct server *s, int fd)
{
	struct client *c = s->client_count < CLIENTS_MOST ? calloc(1, sizeof *c) : NULL;
	const uint8_t version[2] = {NET_PROTOCOL_VERSION & 0xff, NET_PROTOCOL_VERSION >> 8};

	if (!c || uv_poll_init(&s->loop, &c->poll, fd) < 0) {
		free(c);
		close(fd);
		return;
	}
	c->server = s;
	c->peer = (struct peer){.fd = fd, .out = {.limit = OUTPUT_MOST}};
	c->descriptor = -1;
	c->poll.data = c;
	c->next = s->clients;
	s->clients = c;
	s->client_count++;
	client_send(c, 0, NET_HELLO, version, sizeof version);
	server_linger(s);
}

bool client_accept(struct server *s)
{
	int fd = accept4(s->config.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return errno != EMFILE && errno != ENFILE;
	if (unix_socket_check_peer(fd, NULL) < 0)
		close(fd);
	else
		add(s, fd);
	return true;
}
