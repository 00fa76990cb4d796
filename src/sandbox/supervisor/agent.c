/* SPDX-License-Identifier: Apache-2.0 */
/* Every byte from the agent is the guest's: a frame that breaks the protocol ends the VM. */
#include "base/clock.h"
#include "sandbox/supervisor/supervisor.h"

int agent_frame(struct supervisor *s, const struct frame *f, struct error *err)
{
	struct stream *t;

	if (f->stream == 0) {
		struct message_error m = {0};

		if (f->type == MESSAGE_PONG)
			return 0;
		if (f->type != MESSAGE_ERROR)
			return error_set(err, ERROR_INVALID, "%s out of turn", message_name(f->type));
		if (message_error_decode(cursor_of(f->payload, f->size), &m, err) < 0)
			return -ERROR_INVALID;
		supervisor_note(s, "agent: %s", m.text);
		message_error_free(&m);
		return 0;
	}
	t = stream_find(s, f->stream);
	/* A stream that was closed from here may still have had frames under way. */
	if (!t)
		return f->stream <= s->next_stream
			       ? 0
			       : error_set(err, ERROR_INVALID, "%s on a stream that was never opened",
					 message_name(f->type));
	return stream_from_agent(s, t, f, err);
}

void agent_send_clock(struct supervisor *s)
{
	_cleanup_buffer_ struct buffer payload = {0};

	if (s->paused)
		return;
	message_u64_encode(clock_realtime(), &payload);
	if (!payload.failed)
		peer_send(&s->agent, 0, MESSAGE_CLOCK, 0, payload.data, payload.size);
}

void agent_readable(struct supervisor *s)
{
	struct error err;
	struct frame f;
	int r = peer_receive(&s->agent, &err);

	if (r < 0) {
		/* The VM is on its way out; its process's end tells how. */
		uv_poll_stop(&s->agent_poll);
		return;
	}
	while (s->phase != PHASE_ENDED && (r = peer_next(&s->agent, &f, &err)) > 0)
		if ((r = agent_frame(s, &f, &err)) < 0)
			break;
	if (r < 0 && s->phase != PHASE_ENDED) {
		error_prefix(&err, "the guest broke the agent's protocol");
		supervisor_fail(s, &err);
	}
}
