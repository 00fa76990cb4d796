/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vfs/nfs3/tcp_parts.h"

struct nfs3_connection *nfs3_connection_new(int fd, uint64_t peer)
{
	struct nfs3_connection *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->fd = fd;
	c->peer = peer;
	c->in.most = NFS3_CALL_MAX;
	c->last = &c->first;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

static void drop_first(struct nfs3_connection *c)
{
	struct nfs3_unsent *u = c->first;

	c->first = u->next;
	if (!c->first)
		c->last = &c->first;
	buffer_free(&u->bytes);
	free(u);
}

void nfs3_connection_free(struct nfs3_connection *c)
{
	while (c->first)
		drop_first(c);
	rpc_reader_free(&c->in);
	pthread_mutex_destroy(&c->lock);
	close(c->fd);
	free(c);
}

/* Bytes that went; an error is the connection's end. */
static size_t send_some(struct nfs3_connection *c, const uint8_t *bytes, size_t size, int flags)
{
	size_t sent = 0;

	while (sent < size && !c->dead) {
		ssize_t n = send(c->fd, bytes + sent, size - sent, MSG_NOSIGNAL | flags);

		if (n >= 0)
			sent += (size_t)n;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			break;
		else if (errno != EINTR)
			c->dead = true;
	}
	return sent;
}

/* What is left of the tail is copied, since the file may be closed, and another one be mapped. */
static bool add_tail(struct buffer *bytes, struct nfs3_tail *tail)
{
	size_t size = tail->size;

	if (!size)
		return true;
	if (!buffer_reserve(bytes, size) || !nfs3_tail_take(tail, bytes->data + bytes->size))
		return false;
	bytes->size += size;
	return true;
}

static void keep(
	struct nfs3_connection *c, struct buffer *bytes, struct nfs3_tail *tail, size_t sent, unsigned calls)
{
	struct nfs3_unsent *u = calloc(1, sizeof *u);

	if (!u || !add_tail(bytes, tail)) {
		free(u);
		c->dead = true;
		return;
	}
	u->bytes = *bytes;
	u->sent = sent;
	u->calls = calls;
	*bytes = (struct buffer){0};
	*c->last = u;
	c->last = &u->next;
}

void nfs3_connection_send_waiting(struct nfs3_connection *c)
{
	while (c->first && !c->dead) {
		struct nfs3_unsent *u = c->first;

		u->sent += send_some(c, u->bytes.data + u->sent, u->bytes.size - u->sent, 0);
		if (u->sent < u->bytes.size)
			break;
		c->calls -= u->calls;
		drop_first(c);
	}
}

void nfs3_connection_send(
	struct nfs3_connection *c, struct buffer *bytes, struct nfs3_tail *tail, unsigned calls)
{
	size_t sent = 0;

	nfs3_connection_send_waiting(c);
	if (c->dead)
		return;
	if (!c->first)
		sent = send_some(c, bytes->data, bytes->size, tail->size ? MSG_MORE : 0);
	if (sent == bytes->size) {
		int r = nfs3_tail_send(tail, c->fd);

		c->dead |= r < 0 && r != -EFAULT;
	}
	if (sent == bytes->size && !tail->size)
		c->calls -= calls;
	else if (!c->dead)
		keep(c, bytes, tail, sent, calls);
}
