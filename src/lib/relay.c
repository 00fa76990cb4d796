/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors on this side, a process on the other. Output waits in a buffer per channel, and is credited
 * only when it is written: a reader that stops stops its process, while signals and the other channel go on.
 * What the process had written before the connection broke is written, too, before that is an error.
 * Nothing here blocks and no descriptor is made non-blocking (they may be shared): a descriptor that poll(2)
 * calls writable takes PIPE_BUF bytes.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "lib/handle.h"
#include "lib/process.h"

#define INPUT_SIZE  32768
#define HANGUP_TIME (5 * NANOSECONDS_PER_SECOND) /* for a process whose terminal is gone to end by itself */

struct output {
	int fd;
	bool regular;
	struct buffer waiting;
	size_t written; /* bytes at the front of `waiting` that are written already */
};

struct relay {
	struct monocore_process *process;
	int in, signals, terminal;
	bool tty;                 /* `terminal` is, or was, one */
	struct output outputs[3]; /* by channel; IN is not used */
	uint64_t hangup;          /* clock_monotonic() at which nobody is waited for any more, or 0 */
	bool broken;              /* the connection, because of `failure` */
	struct error failure;
};

enum { WATCH_PROCESS, WATCH_IN, WATCH_SIGNALS, WATCH_OUT, WATCH_ERR, WATCH_COUNT };

static size_t output_left(const struct output *o)
{
	return o->waiting.size - o->written;
}

/* Moves what waits to the front only once that is the smaller half: a few bytes at a time stay cheap. */
static void output_took(struct output *o, size_t n)
{
	o->written += n;
	if (o->written < output_left(o))
		return;
	buffer_consume(&o->waiting, o->written);
	o->written = 0;
}

static int take_events(struct relay *r, struct error *err)
{
	for (;;) {
		struct monocore_event e;
		struct output *o;
		int result = process_event(r->process, &e, err);

		if (result < 0 || e.type == MONOCORE_EVENT_NONE || e.type == MONOCORE_EVENT_EXITED)
			return result;
		if (e.type != MONOCORE_EVENT_DATA || e.channel == MONOCORE_IN)
			continue;
		o = &r->outputs[e.channel];
		if (o->fd < 0)
			process_credit(r->process, e.channel, e.size);
		else if (!buffer_append(&o->waiting, e.data, e.size))
			return error_no_memory(err, "relay output");
	}
}

/* The reader of an output is gone (or its disk is full): so is the process's. */
static int give_up_output(struct relay *r, enum monocore_channel channel, int errnum, struct error *err)
{
	struct output *o = &r->outputs[channel];

	buffer_clear(&o->waiting);
	o->written = 0;
	o->fd = -1;
	if (errnum != EPIPE)
		return error_errno(err, errnum, "write %s",
			channel == MONOCORE_OUT ? "standard output" : "standard error");
	return process_close(r->process, channel, err);
}

static int write_output(struct relay *r, enum monocore_channel channel, struct error *err)
{
	struct output *o = &r->outputs[channel];
	size_t left = output_left(o), most = o->regular || left < PIPE_BUF ? left : PIPE_BUF;
	ssize_t n = write(o->fd, o->waiting.data + o->written, most);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : give_up_output(r, channel, errno, err);
	output_took(o, (size_t)n);
	process_credit(r->process, channel, (size_t)n);
	return 0;
}

static int read_input(struct relay *r, struct error *err)
{
	char bytes[INPUT_SIZE];
	size_t most = r->process->input_window < sizeof bytes ? r->process->input_window : sizeof bytes,
	       taken;
	ssize_t n = read(r->in, bytes, most);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) { /* a terminal that is gone reads as an error: the end of input all the same */
		r->in = -1;
		return process_close(r->process, MONOCORE_IN, err);
	}
	return process_write(r->process, bytes, (size_t)n, &taken, err);
}

/* The terminal is gone: its session is told, gets no more input, and some time. */
static int hang_up(struct relay *r, struct error *err)
{
	int result = process_signal(r->process, SIGHUP, err);

	if (r->hangup || !r->tty)
		return result;
	r->hangup = clock_monotonic() + HANGUP_TIME;
	r->in = -1;
	return result == 0 ? process_close(r->process, MONOCORE_IN, err) : result;
}

static int forward_signal(struct relay *r, struct error *err)
{
	struct signalfd_siginfo info;
	struct winsize size;

	if (read(r->signals, &info, sizeof info) != sizeof info || r->broken)
		return 0;
	if (info.ssi_signo == SIGHUP)
		return hang_up(r, err);
	if (info.ssi_signo != SIGWINCH)
		return process_signal(r->process, (int)info.ssi_signo, err);
	if (ioctl(r->terminal, TIOCGWINSZ, &size) < 0)
		return 0;
	return process_resize(r->process, size.ws_row, size.ws_col, err);
}

static void fill_polls(struct relay *r, struct pollfd polls[WATCH_COUNT])
{
	const struct monocore_process *p = r->process;
	bool over = p->exited || r->broken;
	bool input = r->in >= 0 && !p->input_closed && p->input_window && !over;

	polls[WATCH_PROCESS] = (struct pollfd){.fd = over ? -1 : p->peer.fd,
		.events = (short)(POLLIN | (peer_has_output(&p->peer) ? POLLOUT : 0))};
	polls[WATCH_IN] = (struct pollfd){.fd = input ? r->in : -1, .events = POLLIN};
	polls[WATCH_SIGNALS] = (struct pollfd){.fd = r->signals, .events = POLLIN};
	for (int i = 0; i < 2; i++) {
		struct output *o = &r->outputs[MONOCORE_OUT + i];

		polls[WATCH_OUT + i] = (struct pollfd){.fd = output_left(o) ? o->fd : -1, .events = POLLOUT};
	}
}

static int relay_once(struct relay *r, struct error *err)
{
	struct pollfd polls[WATCH_COUNT];
	int result = 0;

	fill_polls(r, polls);
	if (poll(polls, WATCH_COUNT, r->hangup ? clock_poll_timeout(r->hangup) : -1) < 0)
		return errno == EINTR ? 0 : error_errno(err, errno, "wait for input");
	if (polls[WATCH_SIGNALS].revents)
		result = forward_signal(r, err);
	for (int i = 0; result == 0 && i < 2; i++)
		if (polls[WATCH_OUT + i].revents)
			result = write_output(r, (enum monocore_channel)(MONOCORE_OUT + i), err);
	if (result == 0 && polls[WATCH_IN].revents)
		result = read_input(r, err);
	if (result == 0 && polls[WATCH_PROCESS].revents) {
		peer_flush(&r->process->peer, NULL); /* a peer that is gone may have left its last words */
		r->broken = take_events(r, &r->failure) < 0;
	}
	return result;
}

/* A connection that takes nothing more may still hold the status, or the reason. */
static int take_last_words(struct relay *r, const struct error *err)
{
	if (r->broken)
		return 0;
	r->failure = *err;
	take_events(r, &r->failure);
	r->broken = !r->process->exited;
	return 0;
}

static bool relay_given_up(const struct relay *r)
{
	return r->hangup && clock_monotonic() >= r->hangup;
}

static bool relay_done(const struct relay *r)
{
	return relay_given_up(r) ||
	       ((r->process->exited || r->broken) && !output_left(&r->outputs[MONOCORE_OUT]) &&
		       !output_left(&r->outputs[MONOCORE_ERR]));
}

static struct output output_of(int fd)
{
	struct stat s;

	return (struct output){.fd = fd, .regular = fd >= 0 && fstat(fd, &s) == 0 && S_ISREG(s.st_mode)};
}

int monocore_process_relay(struct monocore_process *p, const struct monocore_relay *relay, int *exit_status,
	struct monocore_error *error)
{
	struct relay r = {.process = p, .in = relay->in, .signals = relay->signals, .terminal = relay->out};
	struct error err;
	int result = 0;

	r.tty = relay->out >= 0 && isatty(relay->out);
	r.outputs[MONOCORE_OUT] = output_of(relay->out);
	r.outputs[MONOCORE_ERR] = output_of(relay->err);
	if (relay->in < 0)
		result = process_close(p, MONOCORE_IN, &err);
	if (result == 0)
		r.broken = take_events(&r, &r.failure) < 0;
	else if (result == -ERROR_CLOSED)
		result = take_last_words(&r, &err);
	while (result == 0 && !relay_done(&r))
		if ((result = relay_once(&r, &err)) == -ERROR_CLOSED)
			result = take_last_words(&r, &err);
	buffer_free(&r.outputs[MONOCORE_OUT].waiting);
	buffer_free(&r.outputs[MONOCORE_ERR].waiting);
	if (result == 0 && r.broken) {
		result = -(int)r.failure.code;
		err = r.failure;
	}
	if (result < 0)
		return give_error(error, &err);
	*exit_status = p->exited ? p->exit_status : 128 + SIGHUP;
	return 0;
}
