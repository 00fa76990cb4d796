/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "guest/exec.h"
#include "guest/memory.h"
#include "guest/spawn.h"
#include "guest/staged.h"
#include "guest/stream.h"
#include "guest/volume_settle.h"

#define TTY_REST_MOST (1024 * 1024) /* bytes that are read of a terminal after its process has ended */

struct output {
	struct watch watch;
	struct process *process;
	unsigned channel;
	bool armed;
	size_t rest; /* after the process's end: bytes that were in it then and are not read yet */
};

struct process {
	struct stream stream;
	pid_t pid;
	bool tty, started, exited;
	char *command, *workdir; /* as they were asked for */
	struct watch status;     /* tells whether the command runs; -1 afterwards */
	struct watch input;      /* standard input, or the terminal; -1: none, or closed */
	bool input_armed;
	uint8_t input_last;    /* the last byte written to it */
	struct buffer pending; /* bytes for it */
	size_t pending_at;
	struct output outputs[2]; /* CHANNEL_OUT, CHANNEL_ERR */
	uint64_t oom_kills;       /* of the sandbox when the process began */
	struct message_exited result;
	bool main; /* of the sandbox */
};

static struct process *process_of(struct stream *s)
{
	return WATCH_OWNER(s, struct process, stream);
}

static void output_arm(struct output *o, bool on)
{
	struct agent *a = o->process->stream.agent;

	if (on == o->armed || o->watch.fd < 0)
		return;
	if (on)
		o->armed = watch_add(a->outputs, &o->watch, EPOLLIN);
	else
		watch_remove(a->outputs, &o->watch);
	o->armed = on;
}

static void output_close(struct output *o)
{
	output_arm(o, false);
	if (o->watch.fd >= 0)
		close(TAKE_FD(o->watch.fd));
}

static void output_finish(struct output *o)
{
	output_close(o);
	stream_channel_message(&o->process->stream, MESSAGE_END, o->channel);
}

/* Reads once. After the process's end an empty output is a finished one, whoever still holds it. */
static void output_read(struct output *o)
{
	struct stream *s = &o->process->stream;
	size_t room = stream_room(s, o->channel);
	bool last = o->process->exited;
	ssize_t n;

	if (last && room > o->rest)
		room = o->rest;
	if (last && !o->rest) {
		output_finish(o);
		return;
	}
	if (!room)
		return;
	n = read(o->watch.fd, s->agent->scratch, room);
	if (n > 0) {
		stream_output(s, o->channel, s->agent->scratch, (size_t)n);
		o->rest -= last ? (size_t)n : 0;
	} else if (n == 0 || (errno != EINTR && (errno != EAGAIN || last))) {
		output_finish(o); /* EIO: the terminal's other end is closed */
	}
}

static void output_ready(struct agent *a, struct watch *w, uint32_t events)
{
	struct output *o = WATCH_OWNER(w, struct output, watch);

	(void)a;
	(void)events;
	if (o->process->stream.over || o->watch.fd < 0)
		return;
	output_read(o);
	output_arm(o, o->process->stream.credit[o->channel] > 0);
}

static void input_arm(struct process *p, bool on)
{
	if (on == p->input_armed || p->input.fd < 0)
		return;
	if (on)
		on = watch_add(p->stream.agent->epoll, &p->input, EPOLLOUT);
	else
		watch_remove(p->stream.agent->epoll, &p->input);
	p->input_armed = on;
}

static void input_close(struct process *p)
{
	input_arm(p, false);
	if (p->input.fd >= 0)
		close(TAKE_FD(p->input.fd));
	buffer_free(&p->pending);
	p->pending_at = 0;
}

/* The process has closed its end: the host should stop, and what is under way is dropped. */
static void input_broken(struct process *p)
{
	input_close(p);
	if (!p->stream.in_ended && !p->exited)
		stream_channel_message(&p->stream, MESSAGE_CLOSE, CHANNEL_IN);
}

/* A terminal's end of input is a character of its own; behind half a line the first only ends that line. */
static void terminal_end(struct process *p)
{
	struct termios t;
	char ends[2];

	if (tcgetattr(p->input.fd, &t) < 0 || !(t.c_lflag & ICANON))
		return;
	memset(ends, t.c_cc[VEOF], sizeof ends);
	if (write(p->input.fd, ends, p->input_last == '\n' ? 1 : 2) < 0)
		return;
}

static void input_write(struct process *p)
{
	while (p->input.fd >= 0 && p->pending_at < p->pending.size) {
		ssize_t n =
			write(p->input.fd, p->pending.data + p->pending_at, p->pending.size - p->pending_at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			input_broken(p);
			return;
		}
		p->pending_at += (size_t)n;
		p->input_last = p->pending.data[p->pending_at - 1];
		stream_took(&p->stream, (size_t)n);
	}
	if (p->input.fd < 0)
		return;
	input_arm(p, p->pending_at < p->pending.size);
	if (p->pending_at < p->pending.size)
		return;
	buffer_clear(&p->pending);
	p->pending_at = 0;
	if (p->stream.in_ended && p->tty)
		terminal_end(p);
	else if (p->stream.in_ended)
		input_close(p);
}

static void input_ready(struct agent *a, struct watch *w, uint32_t events)
{
	struct process *p = WATCH_OWNER(w, struct process, input);

	(void)a;
	(void)events;
	if (!p->stream.over)
		input_write(p);
}

static void process_data(struct stream *s, const uint8_t *bytes, size_t n)
{
	struct process *p = process_of(s);
	struct error err;

	if (p->input.fd < 0) {
		stream_took(s, n);
		return;
	}
	if (p->pending_at) {
		buffer_consume(&p->pending, p->pending_at);
		p->pending_at = 0;
	}
	if (!buffer_append(&p->pending, bytes, n)) {
		error_no_memory(&err, "keep standard input");
		stream_fail(s, &err);
		return;
	}
	input_write(p);
}

static void process_input_ended(struct stream *s)
{
	input_write(process_of(s));
}

/* EPIPE for the process; a terminal that nobody looks at any more hangs up. */
static void process_close(struct stream *s, unsigned channel)
{
	struct process *p = process_of(s);

	if (channel < CHANNEL_OUT)
		return;
	if (p->tty && channel == CHANNEL_OUT)
		input_close(p);
	output_close(&p->outputs[channel - CHANNEL_OUT]);
	s->runnable = p->exited;
}

static void process_credit(struct stream *s, unsigned channel)
{
	struct process *p = process_of(s);

	if (p->exited)
		s->runnable = true;
	else if (p->started && channel >= CHANNEL_OUT)
		output_arm(&p->outputs[channel - CHANNEL_OUT], true);
}

static void process_signal(struct stream *s, int number)
{
	struct process *p = process_of(s);

	if (!p->exited)
		kill(p->pid, number);
}

static void process_resize(struct stream *s, uint16_t rows, uint16_t columns)
{
	struct process *p = process_of(s);
	const struct winsize size = {.ws_row = rows, .ws_col = columns};
	int fd = p->outputs[0].watch.fd;

	if (p->tty && fd >= 0)
		ioctl(fd, TIOCSWINSZ, &size);
}

/* After the end: drains the outputs as far as the host takes it, then says EXITED. */
static void process_drain(struct stream *s)
{
	struct process *p = process_of(s);
	_cleanup_buffer_ struct buffer payload = {0};
	bool open = false;

	for (size_t i = 0; i < ARRAY_SIZE(p->outputs); i++) {
		struct output *o = &p->outputs[i];

		while (o->watch.fd >= 0 && (!o->rest || stream_room(s, o->channel)))
			output_read(o);
		open |= o->watch.fd >= 0;
	}
	if (open) {
		s->runnable = port_full(&s->agent->port); /* otherwise credit is what lacks */
		return;
	}
	volumes_settle(&s->agent->boot.volumes);
	p->result.staged = p->main && staged_any(boot_storage(&s->agent->boot), s->agent->boot.staged);
	message_exited_encode(&p->result, &payload);
	stream_end(s, MESSAGE_EXITED, &payload);
}

static void process_free(struct process *p)
{
	if (!p)
		return;
	free(p->command);
	free(p->workdir);
	free(p);
}

/* Nobody listens any more, be it that the host has called the stream off: the process has no use then. */
static void process_release(struct stream *s)
{
	struct process *p = process_of(s);

	input_close(p);
	for (size_t i = 0; i < ARRAY_SIZE(p->outputs); i++)
		output_close(&p->outputs[i]);
	if (p->status.fd >= 0) {
		watch_remove(s->agent->epoll, &p->status);
		close(p->status.fd);
	}
	if (p->pid > 0 && !p->exited)
		kill(p->pid, SIGKILL);
	process_free(p);
}

static const struct stream_type process_type = {
	.data = process_data,
	.end = process_input_ended,
	.close = process_close,
	.credit = process_credit,
	.step = process_drain,
	.signal = process_signal,
	.resize = process_resize,
	.release = process_release,
};

/* Asks whether the command runs; when it does, the host hears so, and the outputs are read from now on. */
static void process_ask_status(struct process *p)
{
	_cleanup_buffer_ struct buffer payload = {0};
	struct error err;
	int r = spawn_result(p->status.fd, p->command, p->workdir, &err);

	if (r == 0)
		return;
	watch_remove(p->stream.agent->epoll, &p->status);
	close(TAKE_FD(p->status.fd));
	if (r < 0) {
		stream_fail(&p->stream, &err);
		return;
	}
	p->started = true;
	message_u32_encode((uint32_t)p->pid, &payload);
	stream_send(&p->stream, MESSAGE_STARTED, &payload);
	for (size_t i = 0; i < ARRAY_SIZE(p->outputs); i++)
		output_arm(&p->outputs[i], p->stream.credit[p->outputs[i].channel] > 0);
}

static void status_ready(struct agent *a, struct watch *w, uint32_t events)
{
	struct process *p = WATCH_OWNER(w, struct process, status);

	(void)a;
	(void)events;
	if (!p->stream.over && p->status.fd >= 0)
		process_ask_status(p);
}

static void process_ended(struct process *p, int status)
{
	if (p->status.fd >= 0)
		process_ask_status(p);
	p->exited = true;
	if (p->stream.over)
		return;
	if (WIFSIGNALED(status))
		p->result.signal = (uint32_t)WTERMSIG(status);
	else
		p->result.code = (uint32_t)WEXITSTATUS(status);
	if (p->result.signal == SIGKILL || p->result.code == 128 + SIGKILL) {
		p->result.out_of_memory = memory_oom_kills(&p->stream.agent->boot) > p->oom_kills;
	}
	input_close(p);
	for (size_t i = 0; i < ARRAY_SIZE(p->outputs); i++) {
		struct output *o = &p->outputs[i];
		int waiting = 0;

		output_arm(o, false);
		if (p->tty)
			o->rest = TTY_REST_MOST;
		else if (o->watch.fd >= 0 && ioctl(o->watch.fd, FIONREAD, &waiting) == 0 && waiting > 0)
			o->rest = (size_t)waiting;
	}
	p->stream.runnable = true;
}

void process_reaped(struct agent *a, pid_t pid, int status)
{
	for (struct stream *s = a->streams; s; s = s->next)
		if (s->type == &process_type && process_of(s)->pid == pid && !process_of(s)->exited) {
			process_ended(process_of(s), status);
			return;
		}
}

/* Takes the agent's ends of the descriptors that exec_open() has made. */
static void process_connect(struct process *p, struct exec_ends *ends)
{
	p->input = (struct watch){TAKE_FD(ends->ours[0]), input_ready};
	for (unsigned i = 0; i < ARRAY_SIZE(p->outputs); i++)
		p->outputs[i] = (struct output){.watch = {TAKE_FD(ends->ours[i + 1]), output_ready},
			.process = p,
			.channel = CHANNEL_OUT + i};
}

static struct process *process_new(struct agent *a, const struct message_exec *m, struct error *err)
{
	struct process *p = calloc(1, sizeof *p);

	if (!p) {
		error_no_memory(err, "start a process");
		return NULL;
	}
	p->command = text_copy(m->argv[0], err);
	p->workdir = text_copy(*m->workdir ? m->workdir : "/", err);
	p->tty = m->flags & EXEC_TTY;
	p->main = m->flags & EXEC_MAIN;
	p->oom_kills = memory_oom_kills(&a->boot);
	if (p->command && p->workdir)
		return p;
	process_free(p);
	return NULL;
}

int process_start(struct agent *a, uint32_t id, const struct message_exec *m, struct error *err)
{
	_cleanup_(exec_ends_close) struct exec_ends ends = EXEC_ENDS_NONE;
	struct process *p = process_new(a, m, err);
	int status, r = p ? exec_spawn(a, m, &ends, &p->pid, &status, err) : -ERROR_NO_MEMORY;

	if (r < 0) {
		process_free(p);
		return r;
	}
	p->status = (struct watch){status, status_ready};
	process_connect(p, &ends);
	stream_open(a, &p->stream, &process_type, id);
	if (!watch_add(a->epoll, &p->status, EPOLLIN)) {
		error_no_memory(err, "watch a process");
		stream_fail(&p->stream, err);
	}
	return 0;
}
