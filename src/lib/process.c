/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/process.h"

#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "codec/message.h"
#include "lib/handle.h"

#define CREDIT_STEP    (STREAM_WINDOW / 4)
#define WRITE_MAX      32768
#define CLEAN_UP_LIMIT (10 * NANOSECONDS_PER_SECOND)

struct monocore_process *process_new(struct peer *peer, uint32_t stream, bool owner, struct error *err)
{
	struct monocore_process *p = calloc(1, sizeof *p);

	if (!p) {
		error_no_memory(err, "attach to a process");
		return NULL;
	}
	*p = (struct monocore_process){
		.peer = *peer, .stream = stream, .owner = owner, .input_window = STREAM_WINDOW};
	*peer = (struct peer)PEER_NONE;
	return p;
}

static int gone(struct error *err)
{
	return error_set(err, ERROR_CLOSED, "the sandbox's supervisor is gone");
}

static int send_frame(struct monocore_process *p, uint16_t type, uint16_t channel, const void *data, size_t n,
	struct error *err)
{
	if (p->exited)
		return 0;
	return peer_send(&p->peer, p->stream, type, channel, data, n) ? 0 : gone(err);
}

void process_credit(struct monocore_process *p, enum monocore_channel channel, size_t n)
{
	p->taken[channel] += n;
	if (p->taken[channel] < CREDIT_STEP || p->exited)
		return;
	peer_send_u32(&p->peer, p->stream, MESSAGE_CREDIT, (uint16_t)channel, (uint32_t)p->taken[channel]);
	p->taken[channel] = 0;
}

static int exited_event(
	struct monocore_process *p, const struct frame *f, struct monocore_event *e, struct error *err)
{
	struct message_exited m;
	int r = message_exited_decode(cursor_of(f->payload, f->size), &m, err);

	if (r < 0)
		return r;
	p->exited = true;
	p->exit_status = m.signal ? 128 + (int)(m.signal & 127) : (int)(m.code & 255);
	e->type = MONOCORE_EVENT_EXITED;
	e->exit_status = p->exit_status;
	return 0;
}

/* What one frame means to the reader of events; most mean nothing. */
static int take_frame(
	struct monocore_process *p, const struct frame *f, struct monocore_event *e, struct error *err)
{
	struct cursor in = cursor_of(f->payload, f->size);

	if (f->type == MESSAGE_ERROR)
		return message_error_read(cursor_of(f->payload, f->size), err);
	if (f->stream != p->stream || f->channel >= CHANNEL_COUNT)
		return 0;
	switch (f->type) {
	case MESSAGE_DATA:
		*e = (struct monocore_event){.type = MONOCORE_EVENT_DATA,
			.channel = (enum monocore_channel)f->channel,
			.data = f->payload,
			.size = f->size};
		return 0;
	case MESSAGE_END:
		*e = (struct monocore_event){
			.type = MONOCORE_EVENT_END, .channel = (enum monocore_channel)f->channel};
		return 0;
	case MESSAGE_CREDIT:
		p->input_window += cursor_u32(&in);
		return 0;
	case MESSAGE_CLOSE:
		p->input_closed = true;
		return 0;
	case MESSAGE_EXITED:
		return exited_event(p, f, e, err);
	default:
		return 0;
	}
}

int process_event(struct monocore_process *p, struct monocore_event *e, struct error *err)
{
	bool received = false;
	struct frame f;

	*e = (struct monocore_event){.type = MONOCORE_EVENT_NONE};
	if (p->exited) {
		e->type = MONOCORE_EVENT_EXITED;
		e->exit_status = p->exit_status;
		return 0;
	}
	while (e->type == MONOCORE_EVENT_NONE) {
		int r = peer_next(&p->peer, &f, err);

		if (r > 0)
			r = take_frame(p, &f, e, err);
		else if (r == 0 && !received) {
			received = true;
			r = peer_receive(&p->peer, err);
			if (r == -ERROR_CLOSED)
				return gone(err);
			if (r == 0)
				return peer_flush(&p->peer, err);
		} else if (r == 0)
			return 0;
		if (r < 0)
			return r;
	}
	return 0;
}

int process_write(struct monocore_process *p, const void *data, size_t n, size_t *taken, struct error *err)
{
	*taken = 0;
	if (p->input_closed || p->exited)
		return error_set(err, ERROR_CLOSED, "the process has closed its standard input");
	while (*taken < n && p->input_window) {
		size_t part = n - *taken < WRITE_MAX ? n - *taken : WRITE_MAX;
		int r;

		if (part > p->input_window)
			part = p->input_window;
		r = send_frame(p, MESSAGE_DATA, CHANNEL_IN, (const char *)data + *taken, part, err);
		if (r < 0)
			return r;
		p->input_window -= part;
		*taken += part;
	}
	return 0;
}

int process_close(struct monocore_process *p, enum monocore_channel channel, struct error *err)
{
	if (channel == MONOCORE_IN) {
		if (p->input_closed)
			return 0;
		p->input_closed = true;
		return send_frame(p, MESSAGE_END, CHANNEL_IN, NULL, 0, err);
	}
	p->closed[channel] = true;
	return send_frame(p, MESSAGE_CLOSE, (uint16_t)channel, NULL, 0, err);
}

int process_signal(struct monocore_process *p, int signal, struct error *err)
{
	uint8_t bytes[4] = {(uint8_t)signal, (uint8_t)(signal >> 8)};

	return send_frame(p, MESSAGE_SIGNAL, 0, bytes, sizeof bytes, err);
}

int process_resize(struct monocore_process *p, uint16_t rows, uint16_t columns, struct error *err)
{
	uint8_t bytes[4] = {(uint8_t)rows, (uint8_t)(rows >> 8), (uint8_t)columns, (uint8_t)(columns >> 8)};

	return send_frame(p, MESSAGE_RESIZE, 0, bytes, sizeof bytes, err);
}

int monocore_process_fd(const struct monocore_process *p)
{
	return p->peer.fd;
}

int monocore_process_next(
	struct monocore_process *p, struct monocore_event *event, struct monocore_error *error)
{
	struct error err;

	if (p->given_size)
		process_credit(p, p->given, p->given_size);
	p->given_size = 0;
	if (process_event(p, event, &err) < 0)
		return give_error(error, &err);
	if (event->type == MONOCORE_EVENT_DATA) {
		p->given = event->channel;
		p->given_size = event->size;
	}
	return 0;
}

int monocore_process_write(
	struct monocore_process *p, const void *data, size_t n, size_t *taken, struct monocore_error *error)
{
	struct error err;

	return process_write(p, data, n, taken, &err) < 0 ? give_error(error, &err) : 0;
}

int monocore_process_close(
	struct monocore_process *p, enum monocore_channel channel, struct monocore_error *error)
{
	struct error err;

	return process_close(p, channel, &err) < 0 ? give_error(error, &err) : 0;
}

int monocore_process_signal(struct monocore_process *p, int signal, struct monocore_error *error)
{
	struct error err;

	return process_signal(p, signal, &err) < 0 ? give_error(error, &err) : 0;
}

int monocore_process_resize(
	struct monocore_process *p, uint16_t rows, uint16_t columns, struct monocore_error *error)
{
	struct error err;

	return process_resize(p, rows, columns, &err) < 0 ? give_error(error, &err) : 0;
}

void monocore_process_free(struct monocore_process *p)
{
	uint64_t deadline = clock_monotonic() + CLEAN_UP_LIMIT;
	struct frame f;

	if (!p)
		return;
	/* The connection closes when the supervisor has removed the sandbox. */
	while (p->owner && p->exited && peer_wait(&p->peer, &f, deadline, NULL) > 0)
		continue;
	peer_close(&p->peer);
	free(p);
}
