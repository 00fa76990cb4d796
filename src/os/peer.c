/* SPDX-License-Identifier: Apache-2.0 */
#include "os/peer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/message.h"

void peer_close(struct peer *p)
{
	if (p->fd >= 0)
		close(TAKE_FD(p->fd));
	frame_reader_free(&p->in);
	buffer_free(&p->out);
}

void peer_hold(struct peer *p)
{
	p->held = true;
	p->held_left = p->out.size;
}

void peer_release(struct peer *p)
{
	p->held = false;
}

static size_t may_write(const struct peer *p)
{
	return p->held ? p->held_left : p->out.size;
}

int peer_flush(struct peer *p, struct error *err)
{
	size_t done = 0, most = may_write(p);
	int r = 0;

	while (r == 0 && done < most) {
		ssize_t n = send(p->fd, p->out.data + done, most - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		else if (n < 0 && errno != EINTR)
			r = error_errno(err, errno, "write to the connection");
	}
	buffer_consume(&p->out, done);
	p->held_left -= p->held ? done : 0;
	return r;
}

bool peer_has_output(const struct peer *p)
{
	return p->fd >= 0 && may_write(p) > 0;
}

bool peer_send(
	struct peer *p, uint32_t stream, uint16_t type, uint16_t channel, const void *payload, size_t n)
{
	bool idle = may_write(p) == 0;

	if (p->fd < 0 || !frame_write(&p->out, stream, type, channel, payload, n))
		return false;
	return !idle || peer_flush(p, NULL) == 0;
}

bool peer_send_u32(struct peer *p, uint32_t stream, uint16_t type, uint16_t channel, uint32_t value)
{
	uint8_t bytes[4] = {
		(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};

	return peer_send(p, stream, type, channel, bytes, sizeof bytes);
}

bool peer_send_error(struct peer *p, uint32_t stream, const struct error *why)
{
	struct message_error m = {.code = why->code, .text = (char *)why->text};
	_cleanup_buffer_ struct buffer payload = {0};

	message_error_encode(&m, &payload);
	return !payload.failed && peer_send(p, stream, MESSAGE_ERROR, 0, payload.data, payload.size);
}

int peer_receive(struct peer *p, struct error *err)
{
	size_t room;
	uint8_t *space = frame_reader_space(&p->in, &room);
	ssize_t n;

	if (!space)
		return error_no_memory(err, "read from the connection");
	do
		n = recv(p->fd, space, room, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		frame_reader_filled(&p->in, (size_t)n);
		return 1;
	}
	frame_reader_filled(&p->in, 0);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n == 0 || errno == ECONNRESET) /* it had not read all that was sent */
		return error_set(err, ERROR_CLOSED, "the connection was closed");
	return error_errno(err, errno, "read from the connection");
}

bool peer_is_gone(const struct peer *p)
{
	uint8_t byte;

	return recv(p->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

int peer_next(struct peer *p, struct frame *frame, struct error *err)
{
	return frame_reader_next(&p->in, frame, err);
}

int peer_wait(struct peer *p, struct frame *frame, uint64_t deadline, struct error *err)
{
	for (;;) {
		int r = peer_next(p, frame, err);
		struct pollfd poller = {.fd = p->fd, .events = POLLIN};

		if (r != 0)
			return r;
		if ((r = peer_flush(p, err)) < 0)
			return r;
		if (peer_has_output(p))
			poller.events |= POLLOUT;
		r = poll(&poller, 1, deadline == UINT64_MAX ? -1 : clock_poll_timeout(deadline));
		if (r == 0)
			return error_set(err, ERROR_TIMEOUT, "no answer in time");
		if (r < 0 && errno != EINTR)
			return error_errno(err, errno, "wait for an answer");
		if (r > 0 && (poller.revents & (POLLIN | POLLHUP | POLLERR)) &&
			(r = peer_receive(p, err)) < 0)
			return r;
	}
}
