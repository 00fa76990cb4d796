/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "guest/freeze.h"
#include "guest/staged.h"
#include "guest/stream.h"
#include "guest/task.h"

#define CLEAN_UP_TIME MILLISECONDS(5000) /* for a process to remove what is half written */

struct transfer {
	struct stream stream;
	struct worker_ends ends;
	struct watch input, output, report;
	bool input_armed, output_armed;
	struct buffer pending; /* bytes for the process */
	size_t pending_at;
	struct frame_reader answers;
	uint16_t last; /* DONE or ERROR, kept until all output is out; 0: not said yet */
	struct buffer last_payload;
	pid_t pid; /* 0: it has ended */
	bool only_reads;
	bool freezes; /* processes stand still meanwhile */
};

static struct transfer *transfer_of(struct stream *s)
{
	return WATCH_OWNER(s, struct transfer, stream);
}

static void input_arm(struct transfer *t, bool on)
{
	if (on == t->input_armed || t->ends.in < 0)
		return;
	if (on)
		on = watch_add(t->stream.agent->epoll, &t->input, EPOLLOUT);
	else
		watch_remove(t->stream.agent->epoll, &t->input);
	t->input_armed = on;
}

static void input_close(struct transfer *t)
{
	input_arm(t, false);
	if (t->ends.in >= 0)
		close(TAKE_FD(t->ends.in));
	buffer_free(&t->pending);
	t->pending_at = 0;
}

static void output_arm(struct transfer *t, bool on)
{
	if (on == t->output_armed || t->ends.out < 0)
		return;
	if (on)
		on = watch_add(t->stream.agent->outputs, &t->output, EPOLLIN);
	else
		watch_remove(t->stream.agent->outputs, &t->output);
	t->output_armed = on;
}

static void output_close(struct transfer *t)
{
	output_arm(t, false);
	if (t->ends.out >= 0)
		close(TAKE_FD(t->ends.out));
}

static void report_close(struct transfer *t)
{
	if (t->ends.report < 0)
		return;
	watch_remove(t->stream.agent->outputs, &t->report);
	close(TAKE_FD(t->ends.report));
}

/* Says how it ended, once there is nothing more to come before that. */
static void settle(struct transfer *t)
{
	struct error err;

	if (t->stream.over || t->ends.out >= 0 || t->ends.report >= 0)
		return;
	if (t->last) {
		stream_end(&t->stream, t->last, &t->last_payload);
		return;
	}
	error_set(&err, ERROR_SYSTEM,
		"the process of the transfer was killed, from within the sandbox or for lack of memory");
	stream_fail(&t->stream, &err);
}

/* A process that takes no more has something to report; what is still sent to it is dropped. */
static void input_write(struct transfer *t)
{
	while (t->ends.in >= 0 && t->pending_at < t->pending.size) {
		ssize_t n =
			write(t->ends.in, t->pending.data + t->pending_at, t->pending.size - t->pending_at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			input_close(t);
			return;
		}
		t->pending_at += (size_t)n;
		stream_took(&t->stream, (size_t)n);
	}
	if (t->ends.in < 0)
		return;
	input_arm(t, t->pending_at < t->pending.size);
	if (t->pending_at < t->pending.size)
		return;
	buffer_clear(&t->pending);
	t->pending_at = 0;
	if (t->stream.in_ended)
		input_close(t);
}

static void input_ready(struct agent *a, struct watch *w, uint32_t events)
{
	struct transfer *t = WATCH_OWNER(w, struct transfer, input);

	(void)a;
	(void)events;
	if (!t->stream.over)
		input_write(t);
}

static void output_ready(struct agent *a, struct watch *w, uint32_t events)
{
	struct transfer *t = WATCH_OWNER(w, struct transfer, output);
	size_t room = stream_room(&t->stream, CHANNEL_OUT);
	ssize_t n;

	(void)events;
	if (t->stream.over || t->ends.out < 0)
		return;
	if (room) {
		n = read(t->ends.out, a->scratch, room);
		if (n > 0)
			stream_output(&t->stream, CHANNEL_OUT, a->scratch, (size_t)n);
		else if (n == 0 || (errno != EINTR && errno != EAGAIN))
			output_close(t);
	}
	output_arm(t, t->stream.credit[CHANNEL_OUT] > 0);
	settle(t);
}

/* Takes the whole messages that the process has sent. False: these are none. */
static bool take_answers(struct transfer *t)
{
	struct frame f;
	int r;

	while ((r = frame_reader_next(&t->answers, &f, NULL)) > 0) {
		struct buffer *out = &t->last_payload;

		buffer_clear(out);
		if (!buffer_append(out, f.payload, f.size))
			return false;
		if (f.type == MESSAGE_ENTRY)
			stream_send(&t->stream, f.type, out);
		else
			t->last = f.type;
	}
	return r == 0;
}

static void report_ready(struct agent *a, struct watch *w, uint32_t events)
{
	struct transfer *t = WATCH_OWNER(w, struct transfer, report);
	uint8_t *space;
	size_t room;
	ssize_t n = 0;

	(void)a;
	(void)events;
	if (t->stream.over || t->ends.report < 0)
		return;
	space = frame_reader_space(&t->answers, &room);
	if (space)
		n = read(t->ends.report, space, room < AGENT_SCRATCH_SIZE ? room : AGENT_SCRATCH_SIZE);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0)
		frame_reader_filled(&t->answers, (size_t)n);
	if (n <= 0 || !take_answers(t))
		report_close(t);
	settle(t);
}

static void transfer_data(struct stream *s, const uint8_t *bytes, size_t n)
{
	struct transfer *t = transfer_of(s);
	struct error err;

	if (t->only_reads) {
		error_set(&err, ERROR_INVALID, "DATA where none is taken");
		stream_fail(s, &err);
		return;
	}
	if (t->ends.in < 0) {
		stream_took(s, n);
		return;
	}
	if (t->pending_at) {
		buffer_consume(&t->pending, t->pending_at);
		t->pending_at = 0;
	}
	if (!buffer_append(&t->pending, bytes, n)) {
		error_no_memory(&err, "keep what was sent");
		stream_fail(s, &err);
		return;
	}
	input_write(t);
}

static void transfer_input_ended(struct stream *s)
{
	input_write(transfer_of(s));
}

static void transfer_close(struct stream *s, unsigned channel)
{
	struct transfer *t = transfer_of(s);

	if (channel == CHANNEL_OUT)
		output_close(t);
	settle(t);
}

static void transfer_credit(struct stream *s, unsigned channel)
{
	if (channel == CHANNEL_OUT)
		output_arm(transfer_of(s), true);
}

static void transfer_release(struct stream *s)
{
	struct transfer *t = transfer_of(s);

	for (size_t i = 0; i < TRANSFERS_MAX; i++)
		if (t->pid && s->agent->workers[i].pid == t->pid)
			s->agent->workers[i].kill_at =
				clock_monotonic() + (t->only_reads ? 0 : CLEAN_UP_TIME);
	if (t->freezes)
		freeze_end(s->agent);
	report_close(t);
	output_close(t);
	input_close(t);
	frame_reader_free(&t->answers);
	buffer_free(&t->last_payload);
	free(t);
}

static const struct stream_type transfer_type = {
	.data = transfer_data,
	.end = transfer_input_ended,
	.close = transfer_close,
	.credit = transfer_credit,
	.release = transfer_release,
};

void transfer_reaped(struct agent *a, pid_t pid)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++)
		if (a->workers[i].pid == pid)
			a->workers[i] = (struct agent_worker){0};
	for (struct stream *s = a->streams; s; s = s->next)
		if (s->type == &transfer_type && transfer_of(s)->pid == pid)
			transfer_of(s)->pid = 0;
}

bool transfers_step(struct agent *a)
{
	bool waiting = false;

	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		struct agent_worker *w = &a->workers[i];

		if (w->kill_at && w->kill_at <= clock_monotonic()) {
			kill(w->pid, SIGKILL);
			w->kill_at = 0;
		}
		waiting |= w->kill_at != 0;
	}
	return waiting;
}

void transfers_stop(struct agent *a)
{
	struct error err;

	error_set(&err, ERROR_BUSY, "the sandbox is stopping");
	for (struct stream *s = a->streams; s; s = s->next)
		if (s->type == &transfer_type)
			stream_fail(s, &err);
}

/* Of what there is nothing yet, there is none. */
static int open_given(const struct agent *a, uint16_t type, const struct message_request *m)
{
	int at = m->upper == UPPER_ROOT ? a->boot.upper : boot_storage(&a->boot);

	if (type == MESSAGE_UPPER && m->upper != UPPER_ROOT)
		return staged_open(at, m->upper);
	if (type == MESSAGE_UPPER || (type == MESSAGE_REMOVE && m->upper != UPPER_ROOT))
		return fcntl(at, F_DUPFD_CLOEXEC, 0);
	return -1;
}

static int check_remove(
	const struct agent *a, uint16_t type, const struct message_request *m, struct error *err)
{
	if (type != MESSAGE_REMOVE || (m->upper == UPPER_ROOT) != a->upper_only)
		return 0;
	return error_set(err, ERROR_UNAVAILABLE, "REMOVE: what is staged is removed only where nothing runs");
}

static int start_worker(struct agent *a, struct transfer *t, uint16_t type, const struct message_request *m,
	struct error *err)
{
	_cleanup_fd_ int upper = open_given(a, type, m);
	const struct worker_given given = {upper, t->freezes ? a->boot.cgroup : -1};
	struct agent_worker *slot = NULL;
	int r;

	for (size_t i = 0; i < TRANSFERS_MAX && !slot; i++)
		if (!a->workers[i].pid)
			slot = &a->workers[i];
	if (!slot)
		return error_set(err, ERROR_LIMIT, "%d transfers are at work already", TRANSFERS_MAX);
	r = worker_start(task_run, type, m, &given, &t->ends, &t->pid, err);
	if (r == 0)
		slot->pid = t->pid;
	return r;
}

int transfer_start(
	struct agent *a, uint32_t id, uint16_t type, const struct message_request *m, struct error *err)
{
	struct transfer *t = calloc(1, sizeof *t);
	int r;

	if (!t)
		return error_no_memory(err, "start a transfer");
	t->freezes = type == MESSAGE_UPPER && m->option && !a->upper_only;
	r = check_remove(a, type, m, err);
	if (r == 0 && t->freezes)
		r = freeze_begin(a, err);
	if (r == 0 && (r = start_worker(a, t, type, m, err)) < 0 && t->freezes)
		freeze_end(a);
	if (r < 0) {
		free(t);
		return r;
	}
	t->only_reads = task_only_reads(type);
	t->input = (struct watch){t->ends.in, input_ready};
	t->output = (struct watch){t->ends.out, output_ready};
	t->report = (struct watch){t->ends.report, report_ready};
	stream_open(a, &t->stream, &transfer_type, id);
	if (t->only_reads)
		input_close(t);
	output_arm(t, true);
	if (!t->output_armed || !watch_add(a->outputs, &t->report, EPOLLIN)) {
		error_no_memory(err, "watch a transfer");
		stream_fail(&t->stream, err);
	}
	return 0;
}
