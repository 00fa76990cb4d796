/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table says what each message needs (the connection alone, a stream, a stream to open) and who handles
 * it. A payload that its decoder refuses is an ERROR on its stream, and the connection goes on; a type that
 * the host does not send is one, too.
 */
#include "guest/dispatch.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/message.h"
#include "guest/clock.h"
#include "guest/process.h"
#include "guest/quiet.h"
#include "guest/setup.h"
#include "guest/shutdown.h"
#include "guest/stream.h"
#include "guest/transfer.h"
#include "guest/usage.h"

enum need {
	NEED_NOTHING, /* a message of the connection */
	NEED_STREAM,  /* dropped where the stream is not there: it may just have ended */
	NEED_NEW      /* opens its stream: the id is fresh, and SETUP is done */
};

struct handler {
	enum need need;
	/* For NEED_STREAM s is the stream, otherwise NULL. Negative: an ERROR on the stream (which ends it).
	 */
	int (*handle)(struct agent *a, struct stream *s, const struct frame *f, struct error *err);
};

static struct cursor payload_of(const struct frame *f)
{
	return cursor_of(f->payload, f->size);
}

static int handle_setup(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	struct message_setup m;
	int r;

	(void)s;
	if (a->is_set_up)
		return error_set(err, ERROR_BUSY, "set-up: it is done already");
	r = message_setup_decode(payload_of(f), &m, err);
	if (r < 0)
		return r;
	r = setup(&a->boot, &m, err);
	a->upper_only = m.upper_only;
	message_setup_free(&m);
	if (r == 0) {
		_cleanup_buffer_ struct buffer payload = {0};

		a->is_set_up = true;
		message_u64_encode(clock_monotonic(), &payload);
		port_send_buffer(&a->port, 0, MESSAGE_READY, &payload);
	}
	return r;
}

static int handle_quiet(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	(void)s;
	if (f->size)
		return error_set(err, ERROR_INVALID, "QUIET message: it has a payload");
	return quiet_begin(a, f->stream, err);
}

static int handle_go_on(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	(void)s;
	if (f->size)
		return error_set(err, ERROR_INVALID, "GO_ON message: it has a payload");
	quiet_end(a);
	return 0;
}

/* One that could not get what is its own stays still. */
static int handle_wake(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	_cleanup_buffer_ struct buffer payload = {0};
	struct message_setup m;
	int r;

	(void)s;
	if (!a->quiet.reached)
		return error_set(err, ERROR_BUSY, "WAKE: the machine is no copy");
	r = message_setup_decode(payload_of(f), &m, err);
	if (r < 0)
		return r;
	r = setup_wake(&a->boot, &m, err);
	message_setup_free(&m);
	if (r < 0) {
		port_release(&a->port);
		return r;
	}
	message_u64_encode(clock_monotonic(), &payload);
	port_send_first(&a->port, 0, MESSAGE_READY, &payload);
	port_release(&a->port);
	port_flush(&a->port); /* the host need not wait for the processes to move */
	quiet_end(a);
	return 0;
}

static int handle_exec(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	struct message_exec m;
	int r = message_exec_decode(payload_of(f), &m, err);

	(void)s;
	if (r < 0)
		return r;
	r = process_start(a, f->stream, &m, err);
	message_exec_free(&m);
	return r;
}

static int handle_transfer(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	struct message_request m;
	int r = message_request_decode(f->type, payload_of(f), &m, err);

	(void)s;
	if (r < 0)
		return r;
	r = transfer_start(a, f->stream, f->type, &m, err);
	message_request_free(&m);
	return r;
}

/* Answered at once, so that its stream needs no state. */
static int handle_metrics(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	_cleanup_buffer_ struct buffer payload = {0};
	struct message_usage m;

	(void)s;
	if (f->size)
		return error_set(err, ERROR_INVALID, "METRICS message: it has a payload");
	usage_read(&a->usage, boot_storage(&a->boot), a->scratch, AGENT_SCRATCH_SIZE, &m);
	message_usage_encode(&m, &payload);
	port_send_buffer(&a->port, f->stream, MESSAGE_USAGE, &payload);
	return 0;
}

static int handle_data(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	(void)a;
	if (f->channel != CHANNEL_IN || s->in_ended || !s->type->data)
		return error_set(err, ERROR_INVALID, "DATA where none is taken");
	if (f->size > s->window)
		return error_set(
			err, ERROR_INVALID, "DATA of %zu bytes where the window has %u", f->size, s->window);
	s->window -= (uint32_t)f->size;
	s->type->data(s, f->payload, f->size);
	return 0;
}

static int handle_credit(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	uint32_t more;
	int r = message_u32_decode(payload_of(f), &more, err);

	(void)a;
	if (r < 0)
		return r;
	if (f->channel >= CHANNEL_COUNT || more > STREAM_WINDOW - s->credit[f->channel])
		return error_set(err, ERROR_INVALID, "CREDIT of %u bytes: more than was sent", more);
	s->credit[f->channel] += more;
	if (s->type->credit && s->credit[f->channel])
		s->type->credit(s, f->channel);
	return 0;
}

static int handle_end(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	(void)a;
	if (f->channel != CHANNEL_IN)
		return error_set(err, ERROR_INVALID, "END of channel %u, which is the agent's", f->channel);
	if (s->in_ended)
		return 0;
	s->in_ended = true;
	if (s->type->end)
		s->type->end(s);
	return 0;
}

static int handle_close(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	(void)a;
	if (f->channel != CHANNEL_OUT && f->channel != CHANNEL_ERR)
		return error_set(err, ERROR_INVALID, "CLOSE of channel %u, which is the host's", f->channel);
	if (s->type->close)
		s->type->close(s, f->channel);
	return 0;
}

static int handle_signal(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	uint32_t number;
	int r = message_u32_decode(payload_of(f), &number, err);

	(void)a;
	if (r == 0 && number >= 1 && number <= 64 && s->type->signal)
		s->type->signal(s, (int)number);
	return r;
}

static int handle_resize(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	struct message_resize m;
	int r = message_resize_decode(payload_of(f), &m, err);

	(void)a;
	if (r == 0 && s->type->resize)
		s->type->resize(s, m.rows, m.columns);
	return r;
}

static int handle_abort(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	(void)a;
	(void)f;
	(void)err;
	stream_abort(s);
	return 0;
}

static int handle_shutdown(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	struct message_shutdown m;
	int r = message_shutdown_decode(payload_of(f), &m, err);

	(void)s;
	if (r == 0)
		shutdown_begin(a, &m);
	return r;
}

static int handle_ping(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	uint64_t cookie;
	int r = message_u64_decode(payload_of(f), &cookie, err);

	(void)s;
	if (r == 0)
		port_send(&a->port, f->stream, MESSAGE_PONG, 0, f->payload, f->size);
	return r;
}

static int handle_clock(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	uint64_t realtime;
	int r = message_u64_decode(payload_of(f), &realtime, err);

	(void)a;
	(void)s;
	return r == 0 ? clock_correct(realtime, err) : r;
}

static int handle_network(struct agent *a, struct stream *s, const struct frame *f, struct error *err)
{
	struct message_network_switch m;
	int r = message_network_switch_decode(payload_of(f), &m, err);

	(void)s;
	return r == 0 ? network_switch(&a->boot.networks, &m, err) : r;
}

static const struct handler handlers[] = {
	[MESSAGE_SETUP] = {NEED_NOTHING, handle_setup},
	[MESSAGE_ERROR] = {NEED_STREAM, handle_abort},
	[MESSAGE_EXEC] = {NEED_NEW, handle_exec},
	[MESSAGE_DATA] = {NEED_STREAM, handle_data},
	[MESSAGE_CREDIT] = {NEED_STREAM, handle_credit},
	[MESSAGE_END] = {NEED_STREAM, handle_end},
	[MESSAGE_CLOSE] = {NEED_STREAM, handle_close},
	[MESSAGE_SIGNAL] = {NEED_STREAM, handle_signal},
	[MESSAGE_RESIZE] = {NEED_STREAM, handle_resize},
	[MESSAGE_GET] = {NEED_NEW, handle_transfer},
	[MESSAGE_PUT] = {NEED_NEW, handle_transfer},
	[MESSAGE_READ] = {NEED_NEW, handle_transfer},
	[MESSAGE_WRITE] = {NEED_NEW, handle_transfer},
	[MESSAGE_STAT] = {NEED_NEW, handle_transfer},
	[MESSAGE_LIST] = {NEED_NEW, handle_transfer},
	[MESSAGE_UPPER] = {NEED_NEW, handle_transfer},
	[MESSAGE_REMOVE] = {NEED_NEW, handle_transfer},
	[MESSAGE_METRICS] = {NEED_NEW, handle_metrics},
	[MESSAGE_SHUTDOWN] = {NEED_NOTHING, handle_shutdown},
	[MESSAGE_PING] = {NEED_NOTHING, handle_ping},
	[MESSAGE_CLOCK] = {NEED_NOTHING, handle_clock},
	[MESSAGE_NETWORK] = {NEED_NOTHING, handle_network},
	[MESSAGE_QUIET] = {NEED_NEW, handle_quiet},
	[MESSAGE_GO_ON] = {NEED_NOTHING, handle_go_on},
	[MESSAGE_WAKE] = {NEED_NOTHING, handle_wake},
};

static int check_new(struct agent *a, const struct frame *f, struct error *err)
{
	if (!f->stream)
		return error_set(err, ERROR_INVALID, "%s on stream 0", message_name(f->type));
	if (!a->is_set_up)
		return error_set(err, ERROR_BUSY, "%s before the set-up", message_name(f->type));
	if (a->upper_only && f->type != MESSAGE_UPPER && f->type != MESSAGE_REMOVE)
		return error_set(err, ERROR_UNAVAILABLE,
			"%s: this machine knows nothing but the changes on a disk", message_name(f->type));
	if (a->shutting_down)
		return error_set(err, ERROR_BUSY, "the sandbox is stopping");
	if (a->stream_count >= STREAMS_MAX)
		return error_set(err, ERROR_LIMIT, "%d streams are open already", STREAMS_MAX);
	return 0;
}

void dispatch(struct agent *a, const struct frame *f)
{
	const struct handler *h = f->type < sizeof handlers / sizeof *handlers ? &handlers[f->type] : NULL;
	struct stream *s = stream_find(a, f->stream);
	struct error err = {0};
	int r;

	if (!h || !h->handle)
		r = error_set(
			&err, ERROR_UNAVAILABLE, "message type %u: this agent does not take it", f->type);
	else if (h->need == NEED_STREAM && !s)
		return;
	else if (h->need == NEED_NEW && s)
		r = error_set(&err, ERROR_EXISTS, "stream %u is open already", f->stream);
	else
		r = h->need == NEED_NEW ? check_new(a, f, &err) : 0;
	if (r == 0)
		r = h->handle(a, h->need == NEED_STREAM ? s : NULL, f, &err);
	if (r == 0)
		return;
	log_error("%s", err.text);
	if (s)
		stream_fail(s, &err);
	else
		port_send_error(&a->port, f->stream, &err);
}
