/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question to this host's resolvers: one server after the other (resolv.conf(5)), each time from a socket
 * of its own, whose port the kernel picks, and with an id of its own. The socket is connected, so that the
 * kernel drops what comes from elsewhere, and what is not the reply to this question is as if it had not
 * come: the wait goes on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/big_endian.h"
#include "base/clock.h"
#include "net/server/resolver_parts.h"

#define BAD_FOR (30 * NANOSECONDS_PER_SECOND)

/* A try: its socket, which outlives it until libuv has closed it. */
struct attempt {
	union {
		uv_handle_t any;
		uv_udp_t udp;
		uv_tcp_t tcp;
		uv_stream_t stream;
	} socket;
	struct resolver *r;
	struct exchange *x; /* NULL: given up */
	uint16_t id;
	uint8_t query[2 + DNS_QUERY_MOST]; /* its length, then itself */
	size_t query_size;
	uv_connect_t connect;
	uv_write_t write;
	uint8_t length[2]; /* of the reply by TCP */
	uint8_t *reply;
	size_t reply_size, have; /* have: with the length */
};

static void start_try(struct exchange *x, bool tcp);

/* ---- lifetime ---------------------------------------------------------------------------------------- */

static void on_attempt_closed(uv_handle_t *handle)
{
	struct attempt *a = handle->data;
	struct resolver *r = a->r;

	free(a->reply);
	free(a);
	resolver_handle_closed(r);
}

static void drop_attempt(struct exchange *x)
{
	struct attempt *a = x->attempt;

	if (!a)
		return;
	x->attempt = NULL;
	a->x = NULL;
	uv_close(&a->socket.any, on_attempt_closed);
}

static void on_exchange_closed(uv_handle_t *handle)
{
	struct exchange *x = handle->data;
	struct resolver *r = x->r;

	buffer_free(&x->failure);
	free(x);
	resolver_handle_closed(r);
}

/* Takes it from the list; it is freed when its timer has closed. */
static void detach(struct exchange *x)
{
	struct resolver *r = x->r;

	drop_attempt(x);
	*(x->before ? &x->before->after : &r->exchanges) = x->after;
	if (x->after)
		x->after->before = x->before;
	r->exchange_count--;
	uv_close((uv_handle_t *)&x->timer, on_exchange_closed);
}

void exchange_cancel(struct exchange *x)
{
	detach(x);
}

static void finish(struct exchange *x, const struct dns_reply *reply)
{
	detach(x);
	resolver_answered(x, reply);
}

/* All have been asked often enough: what one said who failed, or nothing. */
static void give_up(struct exchange *x)
{
	struct dns_reply failure;
	const uint8_t *message = x->failure.data;

	if (x->failure.size && dns_parse_reply(message, x->failure.size, &x->q, be16_get(message), &failure))
		finish(x, &failure);
	else
		finish(x, NULL);
}

/* ---- servers ----------------------------------------------------------------------------------------- */

static size_t server_of(const struct exchange *x)
{
	return x->order[x->tries % x->conf.count];
}

/* The servers in their order, those that did not answer lately behind the others. */
static void order_servers(struct exchange *x)
{
	struct resolver *r = x->r;
	unsigned first = x->conf.rotate ? r->rotation++ : 0;
	uint64_t now = clock_monotonic();
	size_t n = 0;

	for (unsigned bad = 0; bad < 2; bad++)
		for (size_t i = 0; i < x->conf.count; i++) {
			size_t server = (i + first) % x->conf.count;

			if ((now < r->bad_until[server]) == bad)
				x->order[n++] = (uint8_t)server;
		}
}

static void on_next(uv_timer_t *timer)
{
	struct exchange *x = timer->data;

	if (x->tries == x->conf.count * x->conf.attempts)
		give_up(x);
	else
		start_try(x, x->conf.tcp);
}

/* To the next server. From the loop, since it may fail at once, and so may the one behind it. */
static void try_next(struct exchange *x)
{
	drop_attempt(x);
	x->tries++;
	uv_timer_start(&x->timer, on_next, 0, 0);
}

static void server_is_bad(struct exchange *x)
{
	struct resolver *r = x->r;
	size_t server = server_of(x);

	/* resolv.conf may be another one by now. */
	if (memcmp(&r->conf.servers[server], &x->conf.servers[server], sizeof r->conf.servers[0]) == 0)
		r->bad_until[server] = clock_monotonic() + BAD_FOR;
	try_next(x);
}

static void on_timeout(uv_timer_t *timer)
{
	server_is_bad(timer->data);
}

/* ---- replies ----------------------------------------------------------------------------------------- */

static void take_reply(struct attempt *a, const uint8_t *message, size_t n, bool cut)
{
	struct exchange *x = a->x;
	struct dns_reply reply;
	bool tcp = a->socket.any.type == UV_TCP;

	if (cut || !dns_parse_reply(message, n, &x->q, a->id, &reply)) {
		if (tcp)
			try_next(x);
		return; /* by UDP, the right one may still come */
	}
	if (reply.truncated && !tcp) {
		drop_attempt(x);
		start_try(x, true);
	} else if (reply.rcode == DNS_FORMERR && x->edns) {
		x->edns = false; /* it knows none (RFC 6891 §6.2.2) */
		drop_attempt(x);
		start_try(x, tcp);
	} else if (reply.truncated || reply.rcode == DNS_FORMERR || reply.rcode == DNS_SERVFAIL ||
		   reply.rcode == DNS_NOTIMP || reply.rcode == DNS_REFUSED) {
		buffer_clear(&x->failure);
		buffer_append(&x->failure, message, reply.truncated ? 0 : n);
		if (x->tries + 1 < x->conf.count)
			try_next(x);
		else
			give_up(x);
	} else {
		finish(x, &reply);
	}
}

static void alloc_datagram(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct attempt *a = handle->data;

	(void)suggested;
	*buf = uv_buf_init((char *)a->r->datagram, sizeof a->r->datagram);
}

static void on_datagram(
	uv_udp_t *udp, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
	struct attempt *a = udp->data;

	if (!a->x || (n == 0 && !from))
		return;
	if (n < 0)
		server_is_bad(a->x); /* nobody listens there */
	else
		take_reply(a, (const uint8_t *)buf->base, (size_t)n, flags & UV_UDP_PARTIAL);
}

/* ---- TCP --------------------------------------------------------------------------------------------- */

static void alloc_stream(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct attempt *a = handle->data;

	(void)suggested;
	if (a->have < sizeof a->length)
		*buf = uv_buf_init((char *)a->length + a->have, (unsigned)(sizeof a->length - a->have));
	else
		*buf = uv_buf_init((char *)a->reply + (a->have - sizeof a->length),
			(unsigned)(sizeof a->length + a->reply_size - a->have));
}

static void on_stream(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct attempt *a = stream->data;

	(void)buf;
	if (!a->x || n == 0)
		return;
	if (n < 0) {
		try_next(a->x);
		return;
	}
	a->have += (size_t)n;
	if (a->have == sizeof a->length) {
		a->reply_size = be16_get(a->length);
		a->reply = malloc(a->reply_size);
		if (!a->reply || !a->reply_size)
			try_next(a->x);
	} else if (a->have == sizeof a->length + a->reply_size) {
		take_reply(a, a->reply, a->reply_size, false);
	}
}

static void on_written(uv_write_t *write, int status)
{
	struct attempt *a = write->data;

	if (status < 0 && a->x)
		try_next(a->x);
}

static void on_connected(uv_connect_t *connect, int status)
{
	struct attempt *a = connect->data;
	uv_buf_t buf = uv_buf_init((char *)a->query, (unsigned)a->query_size);

	if (!a->x)
		return;
	a->write.data = a;
	if (status < 0)
		server_is_bad(a->x);
	else if (uv_write(&a->write, &a->socket.stream, &buf, 1, on_written) < 0 ||
		 uv_read_start(&a->socket.stream, alloc_stream, on_stream) < 0)
		try_next(a->x);
}

/* ---- tries ------------------------------------------------------------------------------------------- */

static int send_udp(struct attempt *a, const struct sockaddr *server)
{
	uv_buf_t buf = uv_buf_init((char *)a->query + 2, (unsigned)a->query_size - 2);
	int r = uv_udp_connect(&a->socket.udp, server);

	if (r == 0)
		r = uv_udp_recv_start(&a->socket.udp, alloc_datagram, on_datagram);
	if (r == 0)
		r = uv_udp_try_send(&a->socket.udp, &buf, 1, NULL);
	return r < 0 ? r : 0;
}

static int send_tcp(struct attempt *a, const struct sockaddr *server)
{
	a->connect.data = a;
	return uv_tcp_connect(&a->connect, &a->socket.tcp, server, on_connected);
}

static struct attempt *make_attempt(struct exchange *x, bool tcp)
{
	struct attempt *a = calloc(1, sizeof *a);
	size_t n;

	if (!a)
		return NULL;
	if (getrandom(&a->id, sizeof a->id, 0) != sizeof a->id ||
		(tcp ? uv_tcp_init(x->r->loop, &a->socket.tcp) : uv_udp_init(x->r->loop, &a->socket.udp)) <
			0) {
		free(a);
		return NULL;
	}
	resolver_handle_opened(x->r);
	a->socket.any.data = a;
	a->r = x->r;
	a->x = x;
	n = dns_build_query(&x->q, a->id, x->edns, a->query + 2, DNS_QUERY_MOST);
	be16_put(a->query, (uint16_t)n);
	a->query_size = 2 + n;
	return a;
}

static void start_try(struct exchange *x, bool tcp)
{
	const struct sockaddr *server = &x->conf.servers[server_of(x)].any;

	x->attempt = make_attempt(x, tcp);
	if (!x->attempt) {
		try_next(x);
		return;
	}
	uv_timer_start(&x->timer, on_timeout, (uint64_t)x->conf.timeout * 1000, 0);
	if ((tcp ? send_tcp(x->attempt, server) : send_udp(x->attempt, server)) < 0)
		server_is_bad(x);
}

struct exchange *exchange_find(struct resolver *r, const struct dns_query *q)
{
	for (struct exchange *x = r->exchanges; x; x = x->after)
		if (x->q.type == q->type && x->q.class == q->class && x->q.dnssec == q->dnssec &&
			x->q.checking_off == q->checking_off && strcmp(x->q.name, q->name) == 0)
			return x;
	return NULL;
}

int exchange_start(
	struct resolver *r, const struct dns_query *q, struct exchange **exchange, struct error *err)
{
	struct exchange *x;

	if (r->exchange_count >= RESOLVER_EXCHANGES_MOST)
		return error_set(err, ERROR_LIMIT, "too many questions of all sandboxes at once");
	x = calloc(1, sizeof *x);
	if (!x || uv_timer_init(r->loop, &x->timer) < 0) {
		free(x);
		return error_no_memory(err, "a question");
	}
	resolver_handle_opened(r);
	x->timer.data = x;
	x->r = r;
	x->q = *q;
	x->q.message = NULL;
	x->conf = r->conf;
	x->edns = true;
	order_servers(x);
	x->after = r->exchanges;
	if (x->after)
		x->after->before = x;
	r->exchanges = x;
	r->exchange_count++;
	uv_timer_start(&x->timer, on_next, 0, 0);
	*exchange = x;
	return 0;
}
