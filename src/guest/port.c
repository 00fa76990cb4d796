/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/port.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/message.h"
#include "guest/agent.h"

/* The driver copies each write into one buffer and takes 32 KiB at most. */
#define WRITE_MOST 32768

void port_send(
	struct port *p, uint32_t stream, uint16_t type, uint16_t channel, const void *payload, size_t size)
{
	if (p->gone)
		return;
	if (!frame_write(&p->out, stream, type, channel, payload, size)) {
		log_error("no memory for a message to the host");
		agent_reset();
	}
}

void port_send_buffer(struct port *p, uint32_t stream, uint16_t type, const struct buffer *payload)
{
	if (payload->failed) {
		log_error("no memory for a message to the host");
		agent_reset();
	}
	port_send(p, stream, type, 0, payload->data, payload->size);
}

void port_send_first(struct port *p, uint32_t stream, uint16_t type, const struct buffer *payload)
{
	struct buffer before = p->out;
	size_t at = p->out_at;

	p->out = (struct buffer){0};
	p->out_at = 0;
	port_send_buffer(p, stream, type, payload);
	if (!buffer_append(&p->out, before.data + at, before.size - at)) {
		log_error("no memory for a message to the host");
		agent_reset();
	}
	buffer_free(&before);
}

void port_send_error(struct port *p, uint32_t stream, const struct error *err)
{
	const struct message_error m = {.code = err->code, .text = (char *)err->text};
	_cleanup_buffer_ struct buffer payload = {0};

	message_error_encode(&m, &payload);
	port_send_buffer(p, stream, MESSAGE_ERROR, &payload);
}

bool port_full(const struct port *p)
{
	return p->out.size - p->out_at >= PORT_FULL;
}

bool port_empty(const struct port *p)
{
	return p->out.size == p->out_at;
}

void port_hold(struct port *p)
{
	p->held = true;
	p->held_left = p->out.size - p->out_at;
}

void port_release(struct port *p)
{
	p->held = false;
}

static size_t may_write(const struct port *p)
{
	size_t left = p->held ? p->held_left : p->out.size - p->out_at;

	return left < WRITE_MOST ? left : WRITE_MOST;
}

void port_flush(struct port *p)
{
	size_t most;

	while (p->writable && (most = may_write(p))) {
		ssize_t n = write(p->fd, p->out.data + p->out_at, most);

		if (n > 0) {
			p->out_at += (size_t)n;
			p->held_left -= p->held ? (size_t)n : 0;
		} else if (n == 0 || errno != EINTR) {
			p->writable = false;
		}
	}
	if (p->out_at == p->out.size) {
		buffer_clear(&p->out);
		p->out_at = 0;
	} else if (p->out_at >= PORT_FULL) {
		buffer_consume(&p->out, p->out_at);
		p->out_at = 0;
	}
}

int port_fill(struct port *p)
{
	uint8_t ignored[4096], *space = ignored;
	size_t room = sizeof ignored;
	ssize_t n;

	if (!p->broken && !(space = frame_reader_space(&p->reader, &room))) {
		log_error("no memory for a message of the host");
		agent_reset();
	}
	n = read(p->fd, space, room);
	if (n > 0) {
		p->gone = false;
		p->talked = true;
		if (!p->broken)
			frame_reader_filled(&p->reader, (size_t)n);
		return 1;
	}
	if (n < 0 && errno == EINTR)
		return 0;
	p->readable = false;
	return n < 0 && errno == EAGAIN ? 0 : -1;
}

void port_forget(struct port *p)
{
	frame_reader_free(&p->reader);
	buffer_clear(&p->out);
	p->out_at = 0;
	p->broken = p->talked = p->held = false;
}
