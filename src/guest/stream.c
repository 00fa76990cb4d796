/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/stream.h"

#include "codec/message.h"
#include "guest/agent.h"

#define CREDIT_STEP (STREAM_WINDOW / 4) /* bytes taken before a CREDIT is worth its frame */

void stream_open(struct agent *a, struct stream *s, const struct stream_type *type, uint32_t id)
{
	s->type = type;
	s->agent = a;
	s->id = id;
	for (unsigned i = 0; i < CHANNEL_COUNT; i++)
		s->credit[i] = STREAM_WINDOW;
	s->window = STREAM_WINDOW;
	s->next = a->streams;
	a->streams = s;
	a->stream_count++;
}

struct stream *stream_find(struct agent *a, uint32_t id)
{
	for (struct stream *s = a->streams; s; s = s->next)
		if (s->id == id && !s->over)
			return s;
	return NULL;
}

void stream_send(struct stream *s, uint16_t type, const struct buffer *payload)
{
	static const struct buffer empty;

	port_send_buffer(&s->agent->port, s->id, type, payload ? payload : &empty);
}

void stream_end(struct stream *s, uint16_t type, const struct buffer *payload)
{
	if (s->over)
		return;
	stream_send(s, type, payload);
	s->over = true;
}

void stream_fail(struct stream *s, const struct error *err)
{
	if (s->over)
		return;
	port_send_error(&s->agent->port, s->id, err);
	s->over = true;
}

void stream_abort(struct stream *s)
{
	s->over = true;
}

void stream_output(struct stream *s, unsigned channel, const void *bytes, size_t n)
{
	s->credit[channel] -= (uint32_t)n;
	port_send(&s->agent->port, s->id, MESSAGE_DATA, (uint16_t)channel, bytes, n);
}

size_t stream_room(const struct stream *s, unsigned channel)
{
	size_t n = s->credit[channel];

	if (port_full(&s->agent->port))
		return 0;
	return n < AGENT_SCRATCH_SIZE ? n : AGENT_SCRATCH_SIZE;
}

void stream_channel_message(struct stream *s, uint16_t type, unsigned channel)
{
	port_send(&s->agent->port, s->id, type, (uint16_t)channel, NULL, 0);
}

void stream_took(struct stream *s, size_t n)
{
	_cleanup_buffer_ struct buffer payload = {0};

	s->untold += (uint32_t)n;
	if (s->untold < CREDIT_STEP || s->in_ended)
		return;
	message_u32_encode(s->untold, &payload);
	s->window += s->untold;
	s->untold = 0;
	port_send(&s->agent->port, s->id, MESSAGE_CREDIT, CHANNEL_IN, payload.data, payload.size);
}

bool streams_step(struct agent *a)
{
	bool more = false;

	for (struct stream *s = a->streams; s; s = s->next) {
		if (!s->runnable || s->over)
			continue;
		if (port_full(&a->port))
			return false; /* the port will say when it has room */
		s->type->step(s);
		more |= s->runnable && !s->over;
	}
	return more && !port_full(&a->port);
}

void streams_collect(struct agent *a)
{
	for (struct stream **at = &a->streams; *at;) {
		struct stream *s = *at;

		if (!s->over) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		a->stream_count--;
		s->type->release(s);
	}
}

void streams_abort_all(struct agent *a)
{
	for (struct stream *s = a->streams; s; s = s->next)
		stream_abort(s);
}
