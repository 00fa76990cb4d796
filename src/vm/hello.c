/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's first frame: it must be a HELLO of this protocol, in full. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/frame.h"
#include "codec/message.h"
#include "vm/engine.h"

static int judge_hello(const struct frame *frame, struct error *err)
{
	struct message_hello m;
	int r;

	if (frame->type != MESSAGE_HELLO || frame->stream != 0)
		return error_set(err, ERROR_INVALID, "the guest's first message is %s, not HELLO",
			message_name(frame->type));
	r = message_hello_decode(cursor_of(frame->payload, frame->size), &m, err);
	if (r == 0 && m.version != AGENT_PROTOCOL_VERSION)
		r = error_set(err, ERROR_INVALID,
			"the guest's agent speaks version %u of the protocol, not %d: is monocore installed "
			"as a whole?",
			m.version, AGENT_PROTOCOL_VERSION);
	message_hello_free(&m);
	return r;
}

static int take_hello(const struct frame *frame, uint8_t **payload, size_t *size, struct error *err)
{
	int r = judge_hello(frame, err);

	if (r < 0)
		return r;
	*payload = malloc(frame->size ? frame->size : 1);
	if (!*payload)
		return error_no_memory(err, "read the agent's HELLO");
	memcpy(*payload, frame->payload, frame->size);
	*size = frame->size;
	return 0;
}

static int wait_for_bytes(int fd, int pid_fd, uint64_t deadline, struct error *err)
{
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = pid_fd, .events = POLLIN}};

	for (;;) {
		int n = poll(p, 2, clock_poll_timeout(deadline));

		if (n < 0 && errno != EINTR)
			return error_errno(err, errno, "wait for the guest's agent");
		if (n == 0)
			return error_set(err, ERROR_TIMEOUT, "the guest's agent did not come up in time");
		if (n > 0 && p[0].revents)
			return 0;
		if (n > 0)
			return error_set(err, ERROR_CLOSED, "the VM ended before its agent came up");
	}
}

int agent_read_hello(
	int fd, int pid_fd, uint64_t deadline, uint8_t **payload, size_t *size, struct error *err)
{
	_cleanup_(frame_reader_free) struct frame_reader reader = {0};
	struct frame frame;
	int r;

	while ((r = frame_reader_next(&reader, &frame, err)) == 0) {
		size_t room;
		uint8_t *space = frame_reader_space(&reader, &room);
		ssize_t n;

		if (!space)
			return error_no_memory(err, "read the agent's HELLO");
		if ((r = wait_for_bytes(fd, pid_fd, deadline, err)) < 0)
			return r;
		n = read(fd, space, room);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return error_errno(err, errno, "read from the guest's agent");
		if (n == 0)
			return error_set(err, ERROR_CLOSED, "the VM ended before its agent came up");
		if (n > 0)
			frame_reader_filled(&reader, (size_t)n);
	}
	if (r > 0)
		r = take_hello(&frame, payload, size, err);
	return r == -ERROR_INVALID ? error_prefix(err, "the guest broke the agent's protocol") : r;
}
