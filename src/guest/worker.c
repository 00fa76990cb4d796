/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "codec/frame.h"

enum { WORKER_IN = 3, WORKER_OUT, WORKER_REPORT, WORKER_UPPER, WORKER_CGROUP, WORKER_FREE };
#define FAR_AWAY 64 /* a descriptor number that is none of these */

struct pipes {
	int in[2], out[2], report[2];
};
#define PIPES_NONE ((struct pipes){{-1, -1}, {-1, -1}, {-1, -1}})

static void pipes_close(struct pipes *p)
{
	int *const all[] = {p->in, p->out, p->report};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (size_t end = 0; end < 2; end++)
			if (all[i][end] >= 0)
				close(TAKE_FD(all[i][end]));
}

void worker_ends_close(struct worker_ends *ends)
{
	int *const all[] = {&ends->report, &ends->out, &ends->in};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (*all[i] >= 0)
			close(TAKE_FD(*all[i]));
}

static int write_all(int fd, const uint8_t *bytes, size_t n, struct error *err)
{
	while (n) {
		ssize_t done = write(fd, bytes, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && errno == EPIPE)
			return error_set(err, ERROR_CLOSED, "nobody takes what was asked for");
		if (done < 0)
			return error_errno(err, errno, "send to the agent");
		bytes += done;
		n -= (size_t)done;
	}
	return 0;
}

int worker_send(struct worker *w, const void *bytes, size_t n, struct error *err)
{
	return write_all(w->out, bytes, n, err);
}

/* The agent closes its end of the reports before that of the input. */
static bool is_called_off(const struct worker *w)
{
	struct pollfd p = {.fd = w->report};

	return poll(&p, 1, 0) > 0 && p.revents & (POLLERR | POLLNVAL);
}

int worker_receive(struct worker *w, void *bytes, size_t room, size_t *n, struct error *err)
{
	ssize_t got;

	do
		got = read(w->in, bytes, room);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return error_errno(err, errno, "receive from the agent");
	if (got == 0 && is_called_off(w))
		return error_set(err, ERROR_CLOSED, "called off");
	*n = (size_t)got;
	return 0;
}

int worker_tell(struct worker *w, uint16_t type, const struct buffer *payload, struct error *err)
{
	_cleanup_buffer_ struct buffer frame = {0};

	if (payload->failed || !frame_write(&frame, 0, type, 0, payload->data, payload->size))
		return error_no_memory(err, "answer");
	return write_all(w->report, frame.data, frame.size, err);
}

/* Descriptors first: until they are closed, processes do not see that the agent has closed its ends. */
static bool take_descriptors(const struct pipes *p, const struct worker_given *given)
{
	const int ends[] = {p->in[0], p->out[1], p->report[1], given->upper, given->cgroup};
	int far[ARRAY_SIZE(ends)];

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		far[i] = ends[i] < 0 ? -1 : fcntl(ends[i], F_DUPFD_CLOEXEC, FAR_AWAY);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (ends[i] < 0)
			close(WORKER_IN + (int)i);
		else if (far[i] < 0 || dup2(far[i], WORKER_IN + (int)i) < 0)
			return false;
	return syscall(SYS_close_range, WORKER_FREE, ~0U, 0) == 0;
}

/* When memory is out everywhere, this process is the first to go. */
static void offer_to_die(void)
{
	_cleanup_fd_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && write(fd, "1000", 4) != 4)
		return;
}

/* TERM is for the sandbox's processes: the agent ends its own by their pipes, so that they can clean up. */
static _Noreturn void run_child(const struct pipes *p, const struct worker_given *given, worker_task *task,
	uint16_t type, const struct message_request *m)
{
	struct worker w = {WORKER_IN, WORKER_OUT, WORKER_REPORT,
		{given->upper < 0 ? -1 : WORKER_UPPER, given->cgroup < 0 ? -1 : WORKER_CGROUP}};
	_cleanup_buffer_ struct buffer payload = {0};
	struct error err = {0};
	int r;

	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "mcagent-files");
	if (!take_descriptors(p, given))
		_exit(1);
	offer_to_die();
	r = task(&w, type, m, &err);
	if (r < 0) {
		const struct message_error failure = {.code = err.code, .text = err.text};

		message_error_encode(&failure, &payload);
	}
	_exit(worker_tell(&w, r < 0 ? MESSAGE_ERROR : MESSAGE_DONE, &payload, &err) < 0);
}

static int open_pipe(int *ends, int *ours, struct error *err)
{
	if (pipe2(ends, O_CLOEXEC) < 0 || fcntl(*ours, F_SETFL, O_NONBLOCK) < 0)
		return error_errno(err, errno, "make a pipe");
	return 0;
}

int worker_start(worker_task *task, uint16_t type, const struct message_request *m,
	const struct worker_given *given, struct worker_ends *ends, pid_t *pid, struct error *err)
{
	_cleanup_(pipes_close) struct pipes p = PIPES_NONE;
	int r = open_pipe(p.in, &p.in[1], err);

	if (r == 0)
		r = open_pipe(p.out, &p.out[0], err);
	if (r == 0)
		r = open_pipe(p.report, &p.report[0], err);
	if (r < 0)
		return r;
	*pid = fork();
	if (*pid < 0)
		return error_errno(err, errno, "start a process for the transfer");
	if (*pid == 0)
		run_child(&p, given, task, type, m);
	*ends = (struct worker_ends){TAKE_FD(p.in[1]), TAKE_FD(p.out[0]), TAKE_FD(p.report[0])};
	return 0;
}
