/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop. A turn: wait; deal with what is ready; take what the host has sent, a bounded amount; let
 * transfers work, a slice each; write what is queued; free what is over.
 *
 * Outputs of processes are in an epoll of their own, which is watched only while the port has room: so a
 * process that floods is stopped by its full pipe, and control messages never wait behind it.
 *
 * The port is watched for edges, since the driver reports a hang-up for as long as the host's end is closed,
 * and a level would spin.
 */
#include "guest/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "guest/dispatch.h"
#include "guest/process.h"
#include "guest/quiet.h"
#include "guest/shutdown.h"
#include "guest/stream.h"
#include "guest/transfer.h"

#define EVENTS_A_TURN 64
#define READS_A_TURN  64  /* of the port: 4 KiB each, as the driver has it */
#define REAPS_A_TURN  256 /* a fork bomb leaves more zombies than may be reaped in one go */
#define GONE_POLL     250 /* milliseconds between looks whether the host is back */
#define HEAP_LEAST    16
#define HEAP_MOST     8192
#define STACK_USED    65536
#define ANSWERS_MOST  (4 * PORT_FULL) /* bytes queued from which on the host is not listened to */

static void port_ready(struct agent *a, struct watch *w, uint32_t events)
{
	(void)w;
	if (events & ~(uint32_t)EPOLLOUT)
		a->port.readable = true;
	if (events & ~(uint32_t)EPOLLIN)
		a->port.writable = true;
}

static void signal_ready(struct agent *a, struct watch *w, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	while (read(w->fd, &info, sizeof info) == sizeof info)
		;
	a->reap_again = true;
}

static void outputs_ready(struct agent *a, struct watch *w, uint32_t events)
{
	struct epoll_event ready[EVENTS_A_TURN];
	int n = epoll_wait(w->fd, ready, EVENTS_A_TURN, 0);

	(void)events;
	for (int i = 0; i < n; i++) {
		struct watch *output = ready[i].data.ptr;

		output->ready(a, output, ready[i].events);
	}
}

static void reap(struct agent *a)
{
	a->reap_again = false;
	for (int i = 0; i < REAPS_A_TURN; i++) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid <= 0)
			return;
		process_reaped(a, pid, status);
		transfer_reaped(a, pid);
		if (pid == a->boot.volumes.pid)
			a->boot.volumes.pid = 0;
	}
	a->reap_again = true;
}

static void host_gone(struct agent *a)
{
	if (!a->port.talked)
		return;
	streams_abort_all(a);
	quiet_end(a);
	port_forget(&a->port);
	a->port.gone = true;
}

static void take_messages(struct agent *a)
{
	struct error err;
	struct frame f;
	int r = 0;

	while (!a->port.broken && (r = frame_reader_next(&a->port.reader, &f, &err)) > 0)
		dispatch(a, &f);
	if (r < 0) {
		log_error("%s", err.text);
		port_send_error(&a->port, 0, &err);
		a->port.broken = true;
	}
}

static bool may_listen(const struct agent *a)
{
	return a->port.readable && a->port.out.size - a->port.out_at < ANSWERS_MOST;
}

static void listen_to_host(struct agent *a)
{
	for (int i = 0; i < READS_A_TURN && may_listen(a); i++) {
		int r = port_fill(&a->port);

		if (r < 0)
			host_gone(a);
		if (r <= 0)
			return;
		take_messages(a);
	}
}

static void watch_outputs(struct agent *a)
{
	bool wanted = !port_full(&a->port);

	if (wanted == a->outputs_watched)
		return;
	if (wanted)
		a->outputs_watched = watch_add(a->epoll, &a->outputs_watch, EPOLLIN);
	else
		watch_remove(a->epoll, &a->outputs_watch);
	a->outputs_watched = wanted;
}

static int wait_time(const struct agent *a, bool work_left)
{
	if (work_left || a->reap_again || may_listen(a))
		return 0;
	if (a->shutting_down) {
		int left = clock_poll_timeout(a->shutdown_at);

		return left < GONE_POLL ? left : GONE_POLL;
	}
	return a->port.gone || a->transfers_waiting ? GONE_POLL : -1;
}

static void turn(struct agent *a, bool *work_left)
{
	struct epoll_event ready[EVENTS_A_TURN];
	int n = epoll_wait(a->epoll, ready, EVENTS_A_TURN, wait_time(a, *work_left));

	for (int i = 0; i < n; i++) {
		struct watch *w = ready[i].data.ptr;

		w->ready(a, w, ready[i].events);
	}
	if (n == 0 && a->port.gone)
		a->port.readable = true;
	listen_to_host(a);
	if (a->reap_again)
		reap(a);
	*work_left = streams_step(a);
	port_flush(&a->port);
	watch_outputs(a);
	shutdown_step(a);
	streams_collect(a);
	a->transfers_waiting = transfers_step(a);
}

/* Of each size some pieces stay, and one is free in a page that they hold: what the first messages need comes
 * out of such pages, and goes back into them. */
static bool prepare_heap(void)
{
	for (size_t size = HEAP_LEAST; size <= HEAP_MOST; size += size / 8) {
		void *pieces[3];

		for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
			pieces[i] = malloc(size);
			if (!pieces[i])
				return false;
			explicit_bzero(pieces[i], size);
		}
		free(pieces[1]);
	}
	return true;
}

static void prepare_stack(void)
{
	uint8_t below[STACK_USED];

	explicit_bzero(below, sizeof below);
}

/* Memory that the first messages will need is there, and written to, before a template is frozen: a clone
 * then takes no page faults for it. */
static bool prepare_buffers(struct port *p)
{
	size_t room;
	uint8_t *space = frame_reader_space(&p->reader, &room);

	if (!space || !buffer_reserve(&p->out, 2 * PORT_FULL))
		return false;
	memset(space, 0, room);
	memset(p->out.data, 0, 65536);
	prepare_stack();
	return prepare_heap();
}

int loop_prepare(struct agent *a, struct error *err)
{
	sigset_t children;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	a->signal_watch = (struct watch){signalfd(-1, &children, SFD_NONBLOCK | SFD_CLOEXEC), signal_ready};
	a->epoll = epoll_create1(EPOLL_CLOEXEC);
	a->outputs_watch = (struct watch){epoll_create1(EPOLL_CLOEXEC), outputs_ready};
	a->outputs = a->outputs_watch.fd;
	a->port.fd = a->boot.port;
	a->port.readable = a->port.writable = true;
	a->port_watch = (struct watch){a->port.fd, port_ready};
	a->scratch = malloc(AGENT_SCRATCH_SIZE);
	if (!a->scratch || !prepare_buffers(&a->port))
		return error_no_memory(err, "prepare the loop");
	memset(a->scratch, 0, AGENT_SCRATCH_SIZE);
	a->outputs_watched = true;
	if (!watch_add(a->epoll, &a->port_watch, EPOLLIN | EPOLLOUT | EPOLLET) ||
		!watch_add(a->epoll, &a->signal_watch, EPOLLIN) ||
		!watch_add(a->epoll, &a->outputs_watch, EPOLLIN))
		return error_errno(err, errno, "prepare the loop");
	return 0;
}

_Noreturn void loop_run(struct agent *a)
{
	bool work_left = false;

	for (;;)
		turn(a, &work_left);
}
