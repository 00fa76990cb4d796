/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers wait for kicks together. One that is woken takes requests until there are none, and wakes another
 * where more than one waits: a slow request holds up nobody, and a lone one changes no thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "vfs/fuse/message.h"
#include "vfs/virtiofs/server.h"

/* A request that is answered into the guest's memory. */
struct guest_call {
	struct fuse_call call;
	const struct chain *chain;
	size_t written;
};

struct worker {
	struct virtiofs_server *server;
	struct job job;
	uint8_t *message; /* FUSE_MESSAGE_MAX */
};

/* ---- the guest's bytes ------------------------------------------------------------------------------ */

/* Copies the request out of the guest's memory. */
static size_t gather(const struct chain *c, uint8_t *bytes, size_t room)
{
	size_t size = 0;

	for (unsigned i = 0; i < c->readable; i++) {
		size_t n = c->vectors[i].iov_len < room - size ? c->vectors[i].iov_len : room - size;

		memcpy(bytes + size, c->vectors[i].iov_base, n);
		size += n;
	}
	return size;
}

/* The place in the answer's vectors where the next byte goes. */
struct place {
	const struct iovec *vector;
	size_t used; /* bytes of it */
};

static void put(struct place *p, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		size_t room = p->vector->iov_len - p->used, n = size < room ? size : room;

		if (room == 0) {
			*p = (struct place){.vector = p->vector + 1};
			continue;
		}
		if ((uint8_t *)p->vector->iov_base + p->used != bytes) /* find_room() */
			memcpy((uint8_t *)p->vector->iov_base + p->used, bytes, n);
		p->used += n;
		bytes += n;
		size -= n;
	}
}

/* Where that many bytes of an answer's body lie side by side; they are put there before the header is. */
static void *find_room(struct fuse_call *call, size_t size)
{
	const struct chain *c = ((struct guest_call *)call)->chain;
	size_t skip = sizeof(struct fuse_out_header);

	for (unsigned i = c->readable; i < c->readable + c->writable; i++) {
		const struct iovec *v = &c->vectors[i];

		if (skip < v->iov_len)
			return size <= v->iov_len - skip ? (uint8_t *)v->iov_base + skip : NULL;
		skip -= v->iov_len;
	}
	return NULL;
}

static ssize_t put_answer(struct fuse_call *call, struct iovec *vectors, int count)
{
	struct guest_call *g = (struct guest_call *)call;
	struct place at = {.vector = g->chain->vectors + g->chain->readable};
	size_t size = 0;

	for (int i = 0; i < count; i++)
		size += vectors[i].iov_len;
	if (size > g->chain->writable_bytes) {
		errno = ENOENT; /* libfuse complains of all others on standard error */
		return -1;
	}
	for (int i = 0; i < count; i++)
		put(&at, vectors[i].iov_base, vectors[i].iov_len);
	g->written = size;
	return (ssize_t)size;
}

/* ---- requests --------------------------------------------------------------------------------------- */

/* A guest that has booted again, or mounts again, begins anew. */
static void begin_session(struct virtiofs_server *s)
{
	struct fuse_session *session;
	int fd;

	if (!s->greeted) {
		s->greeted = true;
		return;
	}
	fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0 || fuse_session_make(&s->data, &s->options, fd, &session, NULL) < 0) {
		if (fd >= 0)
			close(fd);
		return; /* FUSE_INIT is refused by the old one */
	}
	fuse_session_destroy(s->session);
	s->session = session;
	s->data.privileges = false;
}

static void serve_message(
	struct virtiofs_server *s, struct guest_call *g, const uint8_t *message, size_t size)
{
	const struct fuse_in_header *h = (const void *)message;
	bool init = size >= sizeof *h && h->opcode == FUSE_INIT;

	if (init)
		pthread_rwlock_wrlock(&s->lock);
	else
		pthread_rwlock_rdlock(&s->lock);
	if (init)
		begin_session(s);
	fuse_session_serve(s->session, &g->call, message, size);
	pthread_rwlock_unlock(&s->lock);
}

/* What had no room in the answer, or was not served at all, must not look like one that went well. */
static void answer_the_rest(struct guest_call *g, const uint8_t *message, size_t size)
{
	const struct fuse_in_header *h = (const void *)message;
	struct fuse_out_header out = {.len = sizeof out, .error = -EIO};
	struct iovec vector = {.iov_base = &out, .iov_len = sizeof out};

	if (g->written || size < sizeof *h || !fuse_message_is_answered(h->opcode))
		return;
	out.unique = h->unique;
	put_answer(&g->call, &vector, 1);
}

static uint32_t serve_job(struct worker *w)
{
	const struct chain *c = &w->job.chain;
	struct guest_call g = {.call = {.send = put_answer, .room = find_room}, .chain = c};
	/* Longer ones are no message, and nor is what is left when they are cut. */
	size_t size = gather(c, w->message, FUSE_MESSAGE_MAX);

	serve_message(w->server, &g, w->message, size);
	answer_the_rest(&g, w->message, size);
	return (uint32_t)g.written;
}

static void serve_queue(struct worker *w, struct queue *q)
{
	bool more;

	while (queue_take(q, &w->job, &more)) {
		if (more)
			virtiofs_wake(w->server);
		queue_give(q, &w->job, serve_job(w));
	}
}

void worker_look(struct worker *w)
{
	for (unsigned i = 0; i < VIRTIOFS_QUEUES_MAX; i++)
		serve_queue(w, &w->server->queues[i]);
}

void *worker_run(void *context)
{
	struct worker *w = context;
	struct epoll_event e;

	for (;;) {
		int n = epoll_wait(w->server->events, &e, 1, -1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || e.data.u32 == EVENT_END)
			return NULL;
		if (e.data.u32 == EVENT_WAKE)
			worker_look(w);
		else
			serve_queue(w, &w->server->queues[e.data.u32]);
	}
}

struct worker *worker_new(struct virtiofs_server *s)
{
	struct worker *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->server = s;
	w->message = malloc(FUSE_MESSAGE_MAX);
	if (w->message)
		return w;
	free(w);
	return NULL;
}

void worker_free(struct worker *w)
{
	free(w->message);
	free(w);
}
