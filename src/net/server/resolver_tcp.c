/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS by TCP for guests (RFC 7766): messages behind their length, many on one connection, answered as answers
 * come. A connection is closed that sends what no query is, does not read, or says nothing for a while.
 */
#include <stdlib.h>
#include <string.h>

#include "base/big_endian.h"
#include "net/server/resolver_parts.h"

enum {
	QUERY_MOST = 1024,         /* bytes: a question with EDNS is shorter by far */
	IDLE_MILLISECONDS = 10000, /* RFC 7766 §6.2.3 */
	UNREAD_MOST = 256 * 1024,  /* bytes that wait for a client to read them */
	BACKLOG = 8
};

struct dns_listener {
	uv_pipe_t pipe;
	struct resolver *r;
	struct dns_asker *asker; /* NULL: closing */
	unsigned open;           /* handles that are not closed yet */
	uv_pipe_t refused;       /* a connection for which there is no memory */
	bool refusing, owed;     /* it is closing; another one waits */
};

struct dns_client {
	struct dns_client *next;
	uv_pipe_t pipe;
	uv_timer_t idle;
	struct resolver *r;
	struct dns_asker *asker; /* NULL: closing */
	unsigned open;           /* handles that are not closed yet */
	int waiting;             /* questions under way */
	bool ended;              /* sends no more */
	uint8_t in[2 + QUERY_MOST];
	size_t have;
};

struct sending {
	uv_write_t write;
	struct dns_client *client;
	uint8_t bytes[];
};

/* ---- the end of a connection ------------------------------------------------------------------------- */

static void on_client_closed(uv_handle_t *handle)
{
	struct dns_client *c = handle->data;
	struct resolver *r = c->r;

	if (--c->open == 0)
		free(c);
	resolver_handle_closed(r);
}

static void close_client(struct dns_client *c)
{
	struct dns_asker *asker = c->asker;
	struct dns_client **at;

	if (!asker)
		return;
	for (at = &asker->clients; *at != c; at = &(*at)->next)
		;
	*at = c->next;
	c->asker = NULL;
	resolver_drop_waiters(c->r, asker, c);
	uv_close((uv_handle_t *)&c->idle, on_client_closed);
	uv_close((uv_handle_t *)&c->pipe, on_client_closed);
}

/* It sends no more, and all that it asked for is answered and read. */
static void close_if_done(struct dns_client *c)
{
	if (c->asker && c->ended && !c->waiting &&
		uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) == 0)
		close_client(c);
}

static void on_idle(uv_timer_t *timer)
{
	struct dns_client *c = timer->data;

	if (c->waiting)
		uv_timer_start(timer, on_idle, IDLE_MILLISECONDS, 0);
	else
		close_client(c);
}

/* ---- answers ----------------------------------------------------------------------------------------- */

void dns_client_waits(struct dns_client *c, int change)
{
	c->waiting += change;
	close_if_done(c);
}

static void on_sent(uv_write_t *write, int status)
{
	struct sending *s = write->data;
	struct dns_client *c = s->client;

	free(s);
	if (status < 0)
		close_client(c);
	else
		close_if_done(c);
}

void dns_client_send(struct dns_client *c, const uint8_t *message, size_t n)
{
	struct sending *s;
	uv_buf_t buf;

	if (!c->asker)
		return;
	s = malloc(sizeof *s + 2 + n);
	if (!s || uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) > UNREAD_MOST) {
		free(s);
		close_client(c);
		return;
	}
	s->write.data = s;
	s->client = c;
	be16_put(s->bytes, (uint16_t)n);
	memcpy(s->bytes + 2, message, n);
	buf = uv_buf_init((char *)s->bytes, (unsigned)(2 + n));
	if (uv_write(&s->write, (uv_stream_t *)&c->pipe, &buf, 1, on_sent) < 0) {
		free(s);
		close_client(c);
	}
}

/* ---- questions --------------------------------------------------------------------------------------- */

static void alloc_in(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct dns_client *c = handle->data;

	(void)suggested;
	*buf = uv_buf_init((char *)c->in + c->have, (unsigned)(sizeof c->in - c->have));
}

/* Takes the first whole message off what has come. An answer at once may close the connection. */
static bool take_query(struct dns_client *c)
{
	struct requester to = {.asker = c->asker, .client = c};
	uint8_t message[QUERY_MOST];
	size_t n;

	if (c->have < 2)
		return false;
	n = be16_get(c->in);
	if (n == 0 || n > QUERY_MOST) {
		close_client(c);
		return false;
	}
	if (c->have < 2 + n)
		return false;
	memcpy(message, c->in + 2, n);
	c->have -= 2 + n;
	memmove(c->in, c->in + 2 + n, c->have);
	uv_timer_start(&c->idle, on_idle, IDLE_MILLISECONDS, 0);
	resolver_handle(c->r, &to, message, n);
	return c->asker != NULL;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct dns_client *c = stream->data;

	(void)buf;
	if (!c->asker || n == 0)
		return;
	if (n == UV_EOF) {
		c->ended = true;
		close_if_done(c);
	} else if (n < 0) {
		close_client(c);
	} else {
		c->have += (size_t)n;
		while (take_query(c))
			;
	}
}

/* One more connection must have its place: that which is idle for the longest time has to go. */
static bool make_place(struct dns_asker *asker)
{
	struct dns_client *oldest = NULL;
	unsigned count = 0;

	for (struct dns_client *c = asker->clients; c; c = c->next, count++)
		if (!c->waiting)
			oldest = c; /* the list begins with the latest */
	if (count < RESOLVER_CLIENTS_MOST)
		return true;
	if (!oldest)
		return false;
	close_client(oldest);
	return true;
}

static struct dns_client *make_client(struct dns_listener *l)
{
	struct dns_client *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	uv_pipe_init(l->r->loop, &c->pipe, 0); /* neither fails */
	uv_timer_init(l->r->loop, &c->idle);
	resolver_handle_opened(l->r);
	resolver_handle_opened(l->r);
	c->pipe.data = c;
	c->idle.data = c;
	c->open = 2;
	c->r = l->r;
	c->asker = l->asker;
	c->next = l->asker->clients;
	l->asker->clients = c;
	return c;
}

static void take_connection(struct dns_listener *l);

static void on_listener_closed(uv_handle_t *handle)
{
	struct dns_listener *l = handle->data;
	struct resolver *r = l->r;
	bool owed = l->owed && l->asker;

	if (handle == (uv_handle_t *)&l->refused)
		l->refusing = l->owed = false;
	if (--l->open == 0)
		free(l);
	else if (owed)
		take_connection(l);
	resolver_handle_closed(r);
}

/* Takes the connection and closes it: until it is taken, libuv listens no more. */
static void refuse(struct dns_listener *l)
{
	if (l->refusing) {
		l->owed = true;
		return;
	}
	uv_pipe_init(l->r->loop, &l->refused, 0);
	resolver_handle_opened(l->r);
	l->open++;
	l->refused.data = l;
	l->refusing = true;
	uv_accept((uv_stream_t *)&l->pipe, (uv_stream_t *)&l->refused);
	uv_close((uv_handle_t *)&l->refused, on_listener_closed);
}

static void take_connection(struct dns_listener *l)
{
	struct dns_client *c = make_place(l->asker) ? make_client(l) : NULL;

	if (!c)
		refuse(l);
	else if (uv_accept((uv_stream_t *)&l->pipe, (uv_stream_t *)&c->pipe) < 0 ||
		 uv_read_start((uv_stream_t *)&c->pipe, alloc_in, on_read) < 0)
		close_client(c);
	else
		uv_timer_start(&c->idle, on_idle, IDLE_MILLISECONDS, 0);
}

static void on_connection(uv_stream_t *server, int status)
{
	struct dns_listener *l = server->data;

	if (status == 0 && l->asker)
		take_connection(l);
}

/* ---- listeners ----------------------------------------------------------------------------------------- */

void dns_listener_close(struct dns_asker *asker)
{
	while (asker->clients)
		close_client(asker->clients);
	if (!asker->listener)
		return;
	asker->listener->asker = NULL;
	uv_close((uv_handle_t *)&asker->listener->pipe, on_listener_closed);
	asker->listener = NULL;
}

int dns_listener_open(struct resolver *r, struct dns_asker *asker, int fd, struct error *err)
{
	_cleanup_fd_ int owned = fd;
	struct dns_listener *l;
	int result;

	if (asker->listener)
		return error_set(err, ERROR_EXISTS, "DNS is served by TCP already");
	l = calloc(1, sizeof *l);
	if (!l || uv_pipe_init(r->loop, &l->pipe, 0) < 0) {
		free(l);
		return error_no_memory(err, "listen for DNS");
	}
	resolver_handle_opened(r);
	l->r = r;
	l->asker = asker;
	l->open = 1;
	l->pipe.data = l;
	asker->listener = l;
	result = uv_pipe_open(&l->pipe, owned);
	if (result == 0) {
		(void)TAKE_FD(owned);
		result = uv_listen((uv_stream_t *)&l->pipe, BACKLOG, on_connection);
	}
	if (result < 0) {
		dns_listener_close(asker);
		return error_set(err, ERROR_SYSTEM, "listen for DNS by TCP: %s", uv_strerror(result));
	}
	return 0;
}
