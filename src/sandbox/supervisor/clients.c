/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "os/unix_socket.h"
#include "sandbox/supervisor/metrics.h"
#include "sandbox/supervisor/supervisor.h"

static void on_client(uv_poll_t *handle, int status, int events)
{
	struct client *c = handle->data;
	struct supervisor *s = c->supervisor;

	if (status < 0 || ((events & UV_WRITABLE) && peer_flush(&c->peer, NULL) < 0))
		client_drop(c);
	if (!c->dropped && (events & UV_READABLE))
		client_readable(c);
	supervisor_watch(s);
}

void client_watch(struct client *c)
{
	uv_poll_start(&c->poll, UV_READABLE | (peer_has_output(&c->peer) ? UV_WRITABLE : 0), on_client);
}

struct client *client_add(struct supervisor *s, int fd, struct error *err)
{
	struct client *c;

	if (s->client_count >= CLIENTS_MAX || !(c = calloc(1, sizeof *c))) {
		close(fd);
		error_set(err, ERROR_LIMIT, "more than %d connections to one sandbox", CLIENTS_MAX);
		return NULL;
	}
	*c = (struct client){
		.supervisor = s, .peer = {.fd = fd, .out = {.limit = QUEUE_MAX}}, .next = s->clients};
	uv_poll_init(&s->loop, &c->poll, fd);
	c->poll.data = c;
	s->clients = c;
	s->client_count++;
	client_watch(c);
	return c;
}

void clients_accept(struct supervisor *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct error err;

	if (fd < 0)
		return;
	if (unix_socket_check_peer(fd, &err) < 0) {
		supervisor_note(s, "a connection was refused: %s", err.text);
		close(fd);
		return;
	}
	client_add(s, fd, NULL);
}

static void on_closed(uv_handle_t *handle)
{
	struct client *c = handle->data;

	peer_close(&c->peer);
	free(c);
}

void client_drop(struct client *c)
{
	struct supervisor *s = c->supervisor;
	struct client **link = &s->clients;
	struct stream *t;

	if (c->dropped)
		return;
	c->dropped = true;
	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
	s->client_count--;
	while ((t = stream_first_of(s, c)))
		stream_orphan(s, t);
	networks_forget(s->networks, c);
	snapshot_abandon(s, c);
	for (uint16_t channel = CHANNEL_OUT; channel <= CHANNEL_ERR; channel++)
		main_credit(s, channel);
	uv_close((uv_handle_t *)&c->poll, on_closed);
	if (c->owner && s->phase <= PHASE_RUNNING)
		supervisor_stop(s, 0);
}

bool client_send(
	struct client *c, uint32_t stream, uint16_t type, uint16_t channel, const void *payload, size_t n)
{
	/* A peer that fails is dropped when its descriptor says so: never under the feet of a loop over
	 * clients. */
	return !c->dropped && peer_send(&c->peer, stream, type, channel, payload, n);
}

static void answer_error(struct client *c, uint32_t stream, const struct error *why)
{
	if (!c->dropped)
		peer_send_error(&c->peer, stream, why);
}

static void answer(struct client *c, uint32_t stream, int result, const struct error *why)
{
	if (result < 0)
		answer_error(c, stream, why);
	else
		client_send(c, stream, MESSAGE_DONE, 0, NULL, 0);
}

int exec_complete(const struct record *record, struct message_exec *m, struct error *err)
{
	_cleanup_text_list_ char **own = m->env;

	m->env = text_list_copy(record->env, err);
	for (size_t i = 0; m->env && own && own[i]; i++)
		if (text_list_add(&m->env, own[i], err) < 0)
			return -ERROR_NO_MEMORY;
	if (!m->env)
		return -ERROR_NO_MEMORY;
	if (!*m->workdir) {
		free(m->workdir);
		m->workdir = text_copy(record->workdir, err);
	}
	if (!*m->user) {
		free(m->user);
		m->user = text_copy(record->user, err);
	}
	m->flags = (m->flags & (EXEC_TTY | EXEC_STDIN)) | EXEC_DEFAULT_ENV;
	return m->workdir && m->user ? 0 : -ERROR_NO_MEMORY;
}

static int client_exec(struct client *c, const struct frame *f, struct error *err)
{
	struct supervisor *s = c->supervisor;
	_cleanup_buffer_ struct buffer payload = {0};
	struct message_exec m = {0};
	struct stream *t = NULL;
	int r = message_exec_decode(cursor_of(f->payload, f->size), &m, err);

	if (r == 0)
		r = exec_complete(&s->record, &m, err);
	if (r == 0) {
		message_exec_encode(&m, &payload);
		t = payload.failed ? NULL : stream_open(s, c, f->stream, MESSAGE_EXEC, err);
		r = t ? 0 : error_no_memory(err, "start a process");
	}
	if (r == 0) {
		t->detached = f->type == CONTROL_SPAWN;
		peer_send(&s->agent, t->id, MESSAGE_EXEC, 0, payload.data, payload.size);
		supervisor_event(s, "exec", NULL, NULL);
	}
	message_exec_free(&m);
	return r;
}

static int client_pass_on(struct client *c, const struct frame *f, struct error *err)
{
	struct supervisor *s = c->supervisor;
	struct stream *t = stream_open(s, c, f->stream, f->type, err);

	if (!t)
		return -ERROR_NO_MEMORY;
	peer_send(&s->agent, t->id, f->type, 0, f->payload, f->size);
	return 0;
}

static int client_attach(struct client *c, const struct frame *f, struct error *err)
{
	struct supervisor *s = c->supervisor;
	struct control_attach how;
	int r = control_attach_decode(cursor_of(f->payload, f->size), &how, err);

	if (r < 0)
		return r;
	if (how.flags & (CONTROL_ATTACH_UPPER | CONTROL_ATTACH_COMMAND))
		return error_set(err, ERROR_INVALID, "to attach is not to start");
	if (c->attached)
		return error_set(err, ERROR_BUSY, "this connection is attached already");
	main_attach(s, c, f->stream, &how);
	peer_send_u32(&c->peer, f->stream, MESSAGE_STARTED, 0, 0);
	return 0;
}

static int client_stop(struct client *c, const struct frame *f, struct error *err)
{
	struct cursor in = cursor_of(f->payload, f->size);
	uint64_t grace = cursor_u64(&in);

	if (!cursor_done(&in))
		return error_set(err, ERROR_INVALID, "a malformed request to stop");
	c->stop_stream = f->stream;
	supervisor_event(c->supervisor, "stop", NULL, NULL);
	supervisor_stop(c->supervisor, grace);
	return 0;
}

static int client_kill(struct client *c, const struct frame *f, struct error *err)
{
	struct cursor in = cursor_of(f->payload, f->size);
	struct supervisor *s = c->supervisor;
	uint32_t signal = cursor_u32(&in);
	char number[12];

	if (!cursor_done(&in))
		return error_set(err, ERROR_INVALID, "a malformed request to signal");
	if (!s->main)
		return error_set(err, ERROR_BUSY, "the main process has ended");
	s->asked_to_stop |= supervisor_signal_ends(s, signal);
	peer_send(&s->agent, s->main->id, MESSAGE_SIGNAL, 0, f->payload, f->size);
	snprintf(number, sizeof number, "%u", signal);
	supervisor_event(s, "kill", "signal", number);
	return 0;
}

static int client_pause(struct client *c, bool pause, struct error *err)
{
	struct supervisor *s = c->supervisor;
	int r;

	if (s->phase != PHASE_RUNNING)
		return error_set(err, ERROR_BUSY, "the sandbox is stopping");
	if (s->saving.client)
		return error_set(err, ERROR_BUSY, "a snapshot of the sandbox is being made");
	if (s->paused == pause)
		return error_set(err, ERROR_BUSY,
			pause ? "the sandbox is paused already" : "the sandbox is not paused");
	r = pause ? vm_pause(s->vm, err) : vm_resume(s->vm, err);
	if (r == 0) {
		s->paused = pause;
		if (!pause)
			agent_send_clock(s);
		r = supervisor_set_state(s, pause ? "paused" : "running", err);
		supervisor_event(s, pause ? "pause" : "resume", NULL, NULL);
	}
	return r;
}

static int client_open(struct client *c, const struct frame *f, struct error *err)
{
	struct supervisor *s = c->supervisor;

	if (c->streams >= CLIENT_STREAMS_MAX)
		return error_set(
			err, ERROR_LIMIT, "more than %d streams on one connection", CLIENT_STREAMS_MAX);
	if (s->phase != PHASE_RUNNING && f->type != CONTROL_STOP)
		return error_set(err, ERROR_BUSY, "the sandbox is stopping");
	if (s->upper_only && f->type != MESSAGE_UPPER && f->type != MESSAGE_REMOVE)
		return error_set(
			err, ERROR_UNAVAILABLE, "this machine knows nothing but the changes on a disk");
	if (s->paused && (f->type < CONTROL_START || f->type == CONTROL_SPAWN))
		return error_set(err, ERROR_BUSY, "the sandbox is paused: run 'monocore resume %s' first",
			s->record.name);
	switch (f->type) {
	case MESSAGE_EXEC:
	case CONTROL_SPAWN:
		return client_exec(c, f, err);
	case MESSAGE_GET:
	case MESSAGE_PUT:
	case MESSAGE_READ:
	case MESSAGE_WRITE:
	case MESSAGE_STAT:
	case MESSAGE_LIST:
	case MESSAGE_UPPER:
	case MESSAGE_REMOVE:
	case MESSAGE_METRICS:
		return client_pass_on(c, f, err);
	case CONTROL_ATTACH:
		return client_attach(c, f, err);
	case CONTROL_STOP:
		return client_stop(c, f, err);
	case CONTROL_STATS:
		return metrics_keeper_request(s, c, f, err);
	case CONTROL_SNAPSHOT:
		return snapshot_request(c, f, err);
	case CONTROL_POLICY:
	case CONTROL_PORT_ADD:
	case CONTROL_PORT_REMOVE:
	case CONTROL_BANDWIDTH:
		return networks_request(s->networks, c, f, err);
	default:
		return error_set(err, ERROR_INVALID, "an unknown request, %u", f->type);
	}
}

static void client_frame(struct client *c, const struct frame *f)
{
	struct supervisor *s = c->supervisor;
	struct stream *t = stream_of_client(s, c, f->stream);
	struct error err;

	if (t) {
		if (stream_from_client(s, c, t, f, &err) < 0) {
			answer_error(c, 0, &err);
			client_drop(c);
		}
		return;
	}
	if (snapshot_from_client(c, f))
		return;
	switch (f->type) {
	case MESSAGE_DATA: /* for a stream that has just ended */
	case MESSAGE_END:
	case MESSAGE_CREDIT:
	case MESSAGE_CLOSE:
	case MESSAGE_SIGNAL:
	case MESSAGE_RESIZE:
		return;
	case CONTROL_KILL:
		answer(c, f->stream, client_kill(c, f, &err), &err);
		return;
	case CONTROL_PAUSE:
	case CONTROL_RESUME:
		answer(c, f->stream, client_pause(c, f->type == CONTROL_PAUSE, &err), &err);
		return;
	default:
		if (client_open(c, f, &err) < 0)
			answer_error(c, f->stream, &err);
	}
}

void client_readable(struct client *c)
{
	struct error err;
	struct frame f;
	int r = peer_receive(&c->peer, &err);

	while (!c->dropped && r >= 0 && (r = peer_next(&c->peer, &f, &err)) > 0)
		client_frame(c, &f);
	if (r < 0)
		client_drop(c);
}
