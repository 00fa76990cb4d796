/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/supervisor/metrics.h"
#include "sandbox/supervisor/supervisor.h"

/* A credit is sent on once it is worth a frame. */
#define CREDIT_STEP (STREAM_WINDOW / 4)
#define ENTRIES_MAX 100000 /* of a directory: docs/formats/agent.md */

struct stream *stream_open(
	struct supervisor *s, struct client *c, uint32_t client_stream, uint16_t opener, struct error *err)
{
	struct stream *t = calloc(1, sizeof *t);
	uint32_t id = ++s->next_stream;

	if (!t || map_set(&s->streams, &id, sizeof id, t, NULL, err) < 0) {
		free(t);
		error_no_memory(err, "open a stream");
		return NULL;
	}
	*t = (struct stream){.id = id, .opener = opener, .client = c, .client_stream = client_stream};
	if (c)
		c->streams++;
	return t;
}

struct stream *stream_find(const struct supervisor *s, uint32_t id)
{
	return map_get(&s->streams, &id, sizeof id);
}

struct stream *stream_of_client(const struct supervisor *s, const struct client *c, uint32_t client_stream)
{
	struct map_slot *slot;
	size_t at = 0;

	if (c->attached && c->main_stream == client_stream)
		return s->main;
	while ((slot = map_next(&s->streams, &at))) {
		struct stream *t = slot->value;

		if (t->client == c && t->client_stream == client_stream)
			return t;
	}
	return NULL;
}

void stream_close(struct supervisor *s, struct stream *t)
{
	if (t->client)
		t->client->streams--;
	if (t == s->main)
		s->main = NULL;
	map_remove(&s->streams, &t->id, sizeof t->id);
	free(t);
}

static void agent_send(struct supervisor *s, const struct stream *t, uint16_t type, uint16_t channel,
	const void *payload, size_t n)
{
	peer_send(&s->agent, t->id, type, channel, payload, n);
}

static void credit_agent(struct supervisor *s, struct stream *t, uint16_t channel, uint64_t n)
{
	t->unacked[channel] -= n;
	peer_send_u32(&s->agent, t->id, MESSAGE_CREDIT, channel, (uint32_t)n);
}

struct stream *stream_first_of(const struct supervisor *s, const struct client *c)
{
	struct map_slot *slot;
	size_t at = 0;

	while ((slot = map_next(&s->streams, &at)))
		if (((struct stream *)slot->value)->client == c)
			return slot->value;
	return NULL;
}

/* An exec's process learns by SIGHUP and EPIPE that nobody listens; a transfer is called off, so that half a
 * file never counts as a whole one, and is over with that. */
void stream_abandon(struct supervisor *s, struct stream *t)
{
	static const struct error gone = {.code = ERROR_CLOSED, .text = "the client is gone"};

	if (t->detached)
		return;
	if (t->opener != MESSAGE_EXEC) {
		peer_send_error(&s->agent, t->id, &gone);
		stream_close(s, t);
		return;
	}
	agent_send(s, t, MESSAGE_END, CHANNEL_IN, NULL, 0);
	peer_send_u32(&s->agent, t->id, MESSAGE_SIGNAL, 0, SIGHUP);
	for (uint16_t channel = CHANNEL_OUT; channel <= CHANNEL_ERR; channel++)
		agent_send(s, t, MESSAGE_CLOSE, channel, NULL, 0);
}

void stream_orphan(struct supervisor *s, struct stream *t)
{
	t->client->streams--;
	t->client = NULL;
	stream_abandon(s, t);
}

void main_credit(struct supervisor *s, uint16_t channel)
{
	uint64_t pending = 0;

	if (!s->main)
		return;
	for (struct client *c = s->clients; c; c = c->next)
		if (c->attached && !c->closed[channel] && c->outstanding[channel] > pending)
			pending = c->outstanding[channel];
	if (s->main->unacked[channel] >= pending + CREDIT_STEP)
		credit_agent(s, s->main, channel, s->main->unacked[channel] - pending);
}

static void main_output(struct supervisor *s, const struct frame *f)
{
	if (output_append(s->output, f->channel == CHANNEL_ERR ? OUTPUT_ERR : OUTPUT_OUT, f->payload, f->size,
		    NULL) < 0)
		s->lost_output += f->size;
	for (struct client *c = s->clients; c; c = c->next)
		if (c->attached && !c->dropped && !c->closed[f->channel]) {
			c->outstanding[f->channel] += f->size;
			client_send(c, c->main_stream, MESSAGE_DATA, f->channel, f->payload, f->size);
		}
	main_credit(s, f->channel);
}

static int output_from_agent(struct supervisor *s, struct stream *t, const struct frame *f, struct error *err)
{
	t->unacked[f->channel] += f->size;
	if (t->unacked[f->channel] > STREAM_WINDOW)
		return error_set(err, ERROR_INVALID, "more output than its window holds");
	if (t->main)
		main_output(s, f);
	else if (t->client)
		client_send(t->client, t->client_stream, MESSAGE_DATA, f->channel, f->payload, f->size);
	else if (t->own)
		t->own(s, t, f);
	if (!t->main && !t->client && t->unacked[f->channel] >= CREDIT_STEP)
		credit_agent(s, t, f->channel, t->unacked[f->channel]);
	return 0;
}

/* What the agent says about the main process goes to everybody who is attached. */
static void main_tell(struct supervisor *s, const struct frame *f)
{
	for (struct client *c = s->clients; c; c = c->next)
		if (c->attached)
			client_send(c, c->main_stream, f->type, f->channel, f->payload, f->size);
}

static int credit_from_agent(struct supervisor *s, struct stream *t, const struct frame *f, struct error *err)
{
	struct cursor in = cursor_of(f->payload, f->size);
	uint32_t n = cursor_u32(&in);

	if (!cursor_done(&in) || !n || n > t->unacked[CHANNEL_IN])
		return error_set(err, ERROR_INVALID, "credit for input that was not sent");
	t->unacked[CHANNEL_IN] -= n;
	if (!t->main) {
		if (t->client)
			client_send(t->client, t->client_stream, f->type, f->channel, f->payload, f->size);
		return 0;
	}
	for (struct client *c = s->clients; c; c = c->next)
		if (c->input)
			client_send(c, c->main_stream, f->type, f->channel, f->payload, f->size);
	return 0;
}

static void tell_client(struct supervisor *s, struct stream *t, const struct frame *f)
{
	if (t->client)
		client_send(t->client, t->client_stream, f->type, f->channel, f->payload, f->size);
	else if (t->own)
		t->own(s, t, f);
}

static int main_exited(struct supervisor *s, struct stream *t, const struct frame *f, struct error *err)
{
	struct message_exited m;
	int r = message_exited_decode(cursor_of(f->payload, f->size), &m, err);

	if (r < 0)
		return r;
	main_tell(s, f);
	supervisor_main_exited(s, &m);
	stream_close(s, t);
	return 0;
}

/* A client that has asked the agent itself gets its words. */
static int usage_from_agent(struct supervisor *s, struct stream *t, const struct frame *f, struct error *err)
{
	int r = 0;

	if (t->client && t->opener == MESSAGE_METRICS)
		tell_client(s, t, f);
	else
		r = metrics_keeper_take(s, t, f, err);
	stream_close(s, t);
	return r;
}

static bool sends_bytes(uint16_t opener)
{
	return opener == MESSAGE_GET || opener == MESSAGE_READ || opener == MESSAGE_UPPER;
}

/* Whether the agent may say this now, on this stream: most of it would be passed on, and has no window that
 * bounds how often it comes. */
static bool has_place(const struct stream *t, const struct frame *f)
{
	uint16_t opener = t->opener;
	bool process = opener == MESSAGE_EXEC,
	     output = f->channel == CHANNEL_OUT || f->channel == CHANNEL_ERR;

	switch (f->type) {
	case MESSAGE_STARTED:
		return process && !t->started;
	case MESSAGE_DATA:
		return (process ? t->started : sends_bytes(opener)) && output && f->size &&
		       !t->ended[f->channel];
	case MESSAGE_END:
		return process && t->started && output && !t->ended[f->channel];
	case MESSAGE_CLOSE:
		return process && f->channel == CHANNEL_IN && !t->ended[CHANNEL_IN];
	case MESSAGE_CREDIT:
		return (process || opener == MESSAGE_PUT || opener == MESSAGE_WRITE) &&
		       f->channel == CHANNEL_IN;
	case MESSAGE_ENTRY:
		return t->entries < (opener == MESSAGE_LIST ? ENTRIES_MAX : opener == MESSAGE_STAT ? 1 : 0);
	case MESSAGE_EXITED:
		return process && t->started;
	case MESSAGE_DONE:
		return !process && opener != MESSAGE_METRICS && opener != CONTROL_STATS;
	case MESSAGE_USAGE:
		return opener == MESSAGE_METRICS || opener == CONTROL_STATS;
	case MESSAGE_ERROR:
		return !t->main;
	default:
		return false;
	}
}

static void note_place(struct stream *t, const struct frame *f)
{
	switch (f->type) {
	case MESSAGE_STARTED:
		t->started = true;
		break;
	case MESSAGE_END:
	case MESSAGE_CLOSE:
		t->ended[f->channel] = true;
		break;
	case MESSAGE_ENTRY:
		t->entries++;
		break;
	}
}

int stream_from_agent(struct supervisor *s, struct stream *t, const struct frame *f, struct error *err)
{
	if (!has_place(t, f))
		return error_set(err, ERROR_INVALID, "%s (type %u) out of its place on a stream of %s",
			message_name(f->type), f->type, message_name(t->opener));
	note_place(t, f);
	switch (f->type) {
	case MESSAGE_DATA:
		return output_from_agent(s, t, f, err);
	case MESSAGE_CREDIT:
		return credit_from_agent(s, t, f, err);
	case MESSAGE_EXITED:
		if (t->main)
			return main_exited(s, t, f, err);
		/* fall through */
	case MESSAGE_ERROR:
	case MESSAGE_DONE:
		tell_client(s, t, f);
		stream_close(s, t);
		return 0;
	case MESSAGE_USAGE:
		return usage_from_agent(s, t, f, err);
	default: /* STARTED, END, CLOSE, ENTRY */
		if (t->main)
			main_tell(s, f);
		else
			tell_client(s, t, f);
		return 0;
	}
}

static int input_from_client(
	struct supervisor *s, struct client *c, struct stream *t, const struct frame *f, struct error *err)
{
	if (t->main && !c->input)
		return error_set(
			err, ERROR_DENIED, "the sandbox's standard input belongs to another connection");
	if (f->channel != CHANNEL_IN)
		return error_set(err, ERROR_INVALID, "input on channel %u", f->channel);
	t->unacked[CHANNEL_IN] += f->size;
	if (t->unacked[CHANNEL_IN] > STREAM_WINDOW)
		return error_set(err, ERROR_INVALID, "more input than its window holds");
	agent_send(s, t, f->type, f->channel, f->payload, f->size);
	return 0;
}

static int credit_from_client(
	struct supervisor *s, struct client *c, struct stream *t, const struct frame *f, struct error *err)
{
	struct cursor in = cursor_of(f->payload, f->size);
	uint32_t n = cursor_u32(&in);
	uint64_t *owed;

	if (!cursor_done(&in) || f->channel == CHANNEL_IN || f->channel >= CHANNEL_COUNT)
		return error_set(err, ERROR_INVALID, "a malformed credit");
	owed = t->main ? &c->outstanding[f->channel] : &t->unacked[f->channel];
	if (n > *owed)
		return error_set(err, ERROR_INVALID, "credit for output that was not sent");
	if (t->main) {
		*owed -= n;
		main_credit(s, f->channel);
	} else
		credit_agent(s, t, f->channel, n);
	return 0;
}

/* Only the owner's broken pipe is the process's: others just look on. */
static void close_from_client(struct supervisor *s, struct client *c, struct stream *t, const struct frame *f)
{
	if (f->channel >= CHANNEL_COUNT)
		return;
	if (!t->main || c->owner)
		agent_send(s, t, f->type, f->channel, NULL, 0);
	if (t->main) {
		c->closed[f->channel] = true;
		main_credit(s, f->channel);
	}
}

int stream_from_client(
	struct supervisor *s, struct client *c, struct stream *t, const struct frame *f, struct error *err)
{
	switch (f->type) {
	case MESSAGE_DATA:
		return input_from_client(s, c, t, f, err);
	case MESSAGE_END:
		if (!t->main || c->input)
			agent_send(s, t, f->type, CHANNEL_IN, NULL, 0);
		return 0;
	case MESSAGE_CREDIT:
		return credit_from_client(s, c, t, f, err);
	case MESSAGE_CLOSE:
		close_from_client(s, c, t, f);
		return 0;
	case MESSAGE_SIGNAL:
	case MESSAGE_RESIZE:
		agent_send(s, t, f->type, 0, f->payload, f->size);
		return 0;
	default:
		return error_set(err, ERROR_INVALID, "message %u on a stream", f->type);
	}
}

void main_attach(
	struct supervisor *s, struct client *c, uint32_t client_stream, const struct control_attach *how)
{
	bool taken = false;

	c->owner = how->flags & CONTROL_ATTACH_OWNER;
	if (!(how->flags & CONTROL_ATTACH_STREAMS))
		return;
	for (struct client *other = s->clients; other; other = other->next)
		taken |= other->input;
	c->attached = true;
	c->main_stream = client_stream;
	c->input = s->record.stdin_open && !taken;
}
