/* SPDX-License-Identifier: Apache-2.0 */
#include "net/server/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/big_endian.h"
#include "base/cleanup.h"

#define HEADER      4
#define FLUSH_EARLY (256 * 1024) /* bytes that are written at once rather than at the end of the turn */
#define QUEUE_LEAST (64 * 1024)
#define QUEUE_KEPT  (512 * 1024) /* memory of a queue that is worth keeping for the next */
#define SPARE       8
#define SPACE       (HEADER + LINK_FRAME_MAX + LINK_READ)

struct queue {
	uint8_t *data;
	size_t at, end, capacity; /* bytes from at to end wait */
};

struct link_hub {
	uv_loop_t *loop;
	uv_prepare_t before_wait;
	struct link *unwritten; /* that have something to write since the loop last waited */
	uint8_t *space;         /* SPACE bytes */
	/* Memory of queues that are empty, for those that are not: a queue lasts for a turn of the loop,
	 * mostly. */
	struct queue spare[SPARE];
	size_t spare_count;
};

struct link {
	struct link_hub *hub;
	struct link_calls calls;
	void *context;
	uv_poll_t poll;
	int fd;
	uint8_t *rest; /* of a frame that has not come as a whole, with its length */
	size_t rest_size;
	struct queue out;
	struct link *next; /* in hub->unwritten */
	bool listed, blocked, busy, closed;
};

static void flush(struct link *l);

/* ---- the hub ----------------------------------------------------------------------------------------- */

static void flush_all(uv_prepare_t *handle)
{
	struct link_hub *hub = handle->data;
	struct link *l;

	while ((l = hub->unwritten)) {
		hub->unwritten = l->next;
		l->listed = false;
		flush(l);
	}
}

int link_hub_new(uv_loop_t *loop, struct link_hub **hub, struct error *err)
{
	struct link_hub *h = calloc(1, sizeof *h);

	if (!h || !(h->space = malloc(SPACE))) {
		free(h);
		return error_no_memory(err, "serve links");
	}
	h->loop = loop;
	uv_prepare_init(loop, &h->before_wait);
	h->before_wait.data = h;
	uv_prepare_start(&h->before_wait, flush_all);
	*hub = h;
	return 0;
}

static void on_hub_closed(uv_handle_t *handle)
{
	struct link_hub *hub = handle->data;

	while (hub->spare_count)
		free(hub->spare[--hub->spare_count].data);
	free(hub->space);
	free(hub);
}

void link_hub_close(struct link_hub *hub)
{
	uv_close((uv_handle_t *)&hub->before_wait, on_hub_closed);
}

static void unlist(struct link *l)
{
	struct link **at = &l->hub->unwritten;

	if (!l->listed)
		return;
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	l->listed = false;
}

/* ---- what goes --------------------------------------------------------------------------------------- */

static bool make_room(struct link *l, size_t more)
{
	struct link_hub *hub = l->hub;
	struct queue *q = &l->out;
	size_t capacity;
	uint8_t *data;

	if (!q->data && hub->spare_count)
		*q = hub->spare[--hub->spare_count];
	if (q->end + more > q->capacity && q->at) {
		memmove(q->data, q->data + q->at, q->end - q->at);
		q->end -= q->at;
		q->at = 0;
	}
	if (q->end + more <= q->capacity)
		return true;
	capacity = q->capacity ? q->capacity : QUEUE_LEAST;
	while (capacity < q->end + more)
		capacity *= 2;
	data = realloc(q->data, capacity);
	if (!data)
		return false;
	q->data = data;
	q->capacity = capacity;
	return true;
}

static void give_back_memory(struct link *l)
{
	struct link_hub *hub = l->hub;
	struct queue *q = &l->out;

	q->at = q->end = 0;
	if (q->data && q->capacity <= QUEUE_KEPT && hub->spare_count < SPARE)
		hub->spare[hub->spare_count++] = *q;
	else
		free(q->data);
	*q = (struct queue){0};
}

static void tell_busy(struct link *l)
{
	size_t waits = l->out.end - l->out.at;
	bool busy = l->busy ? waits > LINK_BUSY / 4 : waits > LINK_BUSY;

	if (busy == l->busy)
		return;
	l->busy = busy;
	l->calls.busy(l->context, busy);
}

bool link_send(struct link *l, const uint8_t *frame, size_t n)
{
	struct queue *q = &l->out;

	if (l->closed || q->end - q->at + HEADER + n > LINK_QUEUE || !make_room(l, HEADER + n))
		return false;
	be32_put(q->data + q->end, (uint32_t)n);
	memcpy(q->data + q->end + HEADER, frame, n);
	q->end += HEADER + n;
	if (!l->listed && !l->blocked) {
		l->next = l->hub->unwritten;
		l->hub->unwritten = l;
		l->listed = true;
	}
	if (!l->blocked && q->end - q->at > FLUSH_EARLY)
		flush(l);
	tell_busy(l);
	return true;
}

/* ---- what comes -------------------------------------------------------------------------------------- */

static void end(struct link *l, const char *why)
{
	uv_poll_stop(&l->poll);
	l->closed = true;
	l->calls.ended(l->context, why);
}

/* The beginning of a frame waits for its end, or the length is looked at again. */
static bool keep_rest(struct link *l, const uint8_t *at, size_t n)
{
	uint8_t *rest = NULL;

	if (n && !(rest = malloc(n)))
		return false;
	if (n)
		memcpy(rest, at, n);
	free(l->rest);
	l->rest = rest;
	l->rest_size = n;
	return true;
}

static void take_frames(struct link *l, uint8_t *at, size_t left)
{
	while (left >= HEADER && !l->closed) {
		uint32_t n = be32_get(at);

		if (n > LINK_FRAME_MAX) {
			end(l, "the guest's stream is no sequence of frames");
			return;
		}
		if (left - HEADER < n)
			break;
		l->calls.frame(l->context, at + HEADER, n);
		at += HEADER + n;
		left -= HEADER + n;
	}
	if (!l->closed && !keep_rest(l, at, left))
		end(l, "out of memory");
}

static void receive(struct link *l)
{
	uint8_t *space = l->hub->space;
	ssize_t n;

	if (l->rest_size)
		memcpy(space, l->rest, l->rest_size);
	do
		n = recv(l->fd, space + l->rest_size, LINK_READ, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		take_frames(l, space, l->rest_size + (size_t)n);
	else if (n == 0)
		end(l, "the guest's stream was closed");
	else if (errno != EAGAIN && errno != EWOULDBLOCK)
		end(l, "the guest's stream is broken");
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct link *l = handle->data;

	/* The frames of a turn are seen through to their end: a link that is closed in there is freed later.
	 */
	if (status == 0 && (events & UV_WRITABLE)) {
		l->blocked = false;
		flush(l);
		if (!l->closed && !l->blocked)
			uv_poll_start(&l->poll, UV_READABLE, on_poll);
	}
	if (!l->closed && (status < 0 || (events & UV_READABLE)))
		receive(l);
	/* An error is read like an end; where it is not, it would be reported again and again. */
	if (!l->closed && status < 0)
		end(l, "the guest's stream is broken");
}

static void flush(struct link *l)
{
	struct queue *q = &l->out;

	while (q->at < q->end && !l->closed) {
		ssize_t n = send(l->fd, q->data + q->at, q->end - q->at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			l->blocked = true;
			uv_poll_start(&l->poll, UV_READABLE | UV_WRITABLE, on_poll);
			return;
		}
		if (n < 0) { /* its end is read after what it still sent */
			q->at = q->end;
			break;
		}
		q->at += (size_t)n;
		tell_busy(l);
	}
	if (!l->closed) {
		give_back_memory(l);
		tell_busy(l);
	}
}

/* ---- its life ---------------------------------------------------------------------------------------- */

int link_new(struct link_hub *hub, int fd, const struct link_calls *calls, void *context, struct link **link,
	struct error *err)
{
	_cleanup_fd_ int owned = fd;
	int type = 0, large = LINK_BUSY;
	socklen_t size = sizeof type;
	struct link *l;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM)
		return error_set(err, ERROR_INVALID, "the stream of a guest is no stream socket");
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return error_errno(err, errno, "serve a guest's stream");
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
	l = calloc(1, sizeof *l);
	if (!l)
		return error_no_memory(err, "serve a guest's stream");
	*l = (struct link){.hub = hub, .calls = *calls, .context = context, .fd = fd};
	if (uv_poll_init(hub->loop, &l->poll, fd) < 0) {
		free(l);
		return error_set(err, ERROR_SYSTEM, "serve a guest's stream");
	}
	l->poll.data = l;
	uv_poll_start(&l->poll, UV_READABLE, on_poll);
	TAKE_FD(owned);
	*link = l;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct link *l = handle->data;

	free(l->rest);
	free(l->out.data);
	free(l);
}

void link_close(struct link *l)
{
	l->closed = true;
	unlist(l);
	uv_poll_stop(&l->poll);
	close(TAKE_FD(l->fd));
	uv_close((uv_handle_t *)&l->poll, on_closed);
}
