/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/supervisor/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "os/unix_socket.h"
#include "sandbox/supervisor/supervisor.h"

#define REQUEST_TIME NANOSECONDS_PER_SECOND /* for who has connected to say what he wants */
#define LOST_STATUS  (128 + SIGKILL)

struct keeper {
	struct supervisor *s; /* opened, and otherwise as it was before the first life */
	struct life *life;
	int signals; /* signalfd */
	sigset_t before;
	pid_t child;  /* 0: there is none */
	bool stopped; /* somebody wants no more of it */
};

/* ---- what is written down --------------------------------------------------------------------------- */

static int write_state(struct keeper *k, const char *state, const char *reason, struct error *err)
{
	_cleanup_status_ struct status status = {0};
	int r = status_read(k->s->directory.fd, &status, err);

	if (r < 0)
		return r;
	free(status.state);
	free(status.reason);
	free(TAKE_PTR(status.health));
	status.state = text_copy(state, err);
	status.reason = text_copy(reason, err);
	status.pid = strcmp(state, "stopped") ? (uint64_t)k->s->pid : 0;
	return status.state && status.reason ? status_write(k->s->directory.fd, &status, true, err)
					     : -ERROR_NO_MEMORY;
}

/* The life was killed, and could write nothing. */
static void write_lost(struct keeper *k)
{
	_cleanup_status_ struct status status = {0};
	char reason[RESTART_REASON_SIZE];

	if (status_read(k->s->directory.fd, &status, NULL) == 0) {
		status.finished = clock_realtime();
		status.exit_status = LOST_STATUS;
		status_write(k->s->directory.fd, &status, true, NULL);
	}
	restart_reason(&k->life->restart, "its supervisor was killed", reason);
	write_state(k, "restarting", reason, NULL);
}

/* ---- one life --------------------------------------------------------------------------------------- */

_Noreturn static void be_born(
	struct keeper *k, int client, int (*live)(struct supervisor *s, int client, struct error *err))
{
	struct error err;
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != k->s->pid)
		_exit(1);
	close(k->signals);
	sigprocmask(SIG_SETMASK, &k->before, NULL);
	k->s->life = k->life;
	r = live(k->s, client, &err);
	_exit(r < 0 ? error_exit_status((int)err.code) : 0);
}

/* A signal to the keeper is meant for the sandbox. */
static void take_signal(struct keeper *k)
{
	struct signalfd_siginfo info;

	if (read(k->signals, &info, sizeof info) != sizeof info || info.ssi_signo == SIGCHLD)
		return;
	k->stopped = true;
	if (k->child)
		kill(k->child, SIGTERM);
}

/* Waits for its end. True: it ended as it wanted, not by a signal. */
static bool wait_for_life(struct keeper *k)
{
	struct pollfd p = {.fd = k->signals, .events = POLLIN};
	int status;
	pid_t pid;

	while ((pid = waitpid(k->child, &status, WNOHANG)) == 0 || (pid < 0 && errno == EINTR)) {
		poll(&p, 1, -1);
		if (p.revents)
			take_signal(k);
	}
	k->child = 0;
	return pid > 0 && WIFEXITED(status);
}

/* True: there is to be another. */
static bool run_life(struct keeper *k, int client,
	int (*live)(struct supervisor *s, int client, struct error *err), struct error *err)
{
	uint64_t born = clock_monotonic();
	bool whole;

	k->life->again = false;
	k->child = fork();
	if (k->child == 0)
		be_born(k, client, live);
	if (client >= 0)
		close(client);
	if (k->child < 0) {
		error_errno(err, errno, "start the sandbox again");
		k->child = 0;
		if (client < 0)
			write_state(k, "stopped", err->text, NULL);
		return false;
	}
	whole = wait_for_life(k);
	if (!whole && k->stopped && k->life->restart.when != RESTARTED_NEVER)
		write_state(k, "stopped", "", NULL);
	if (whole || k->stopped)
		return k->life->again;
	if (restart_next(&k->life->restart, LOST_STATUS, clock_monotonic() - born)) {
		write_lost(k);
		return true;
	}
	return false; /* it shows as interrupted */
}

/* ---- between two lives ------------------------------------------------------------------------------ */

static bool asks_to_stop(const struct keeper *k, const struct frame *f)
{
	struct cursor in = cursor_of(f->payload, f->size);
	uint32_t number;

	if (f->type != CONTROL_KILL)
		return f->type == CONTROL_STOP;
	number = cursor_u32(&in);
	return cursor_done(&in) && supervisor_signal_ends(k->s, number);
}

static void answer(struct keeper *k, struct peer *peer)
{
	struct error err;
	struct frame f;

	if (unix_socket_check_peer(peer->fd, &err) < 0 ||
		peer_wait(peer, &f, clock_monotonic() + REQUEST_TIME, &err) < 0)
		return;
	if (!asks_to_stop(k, &f)) {
		error_set(&err, ERROR_BUSY, "sandbox '%s' has ended, and is about to be started again",
			k->s->record.name);
		peer_send_error(peer, f.stream, &err);
		return;
	}
	k->stopped = true;
	if (write_state(k, "stopped", "", &err) < 0)
		peer_send_error(peer, f.stream, &err);
	else
		peer_send(peer, f.stream, MESSAGE_DONE, 0, NULL, 0);
}

static void accept_client(struct keeper *k, int listener)
{
	_cleanup_(peer_close) struct peer peer = PEER_NONE;

	peer.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (peer.fd >= 0)
		answer(k, &peer);
}

static void pause_between(struct keeper *k)
{
	uint64_t pause = k->life->restart.pause, deadline;
	_cleanup_fd_ int listener = -1;

	deadline = clock_monotonic() + (pause < RESTART_PAUSE_MOST ? pause : RESTART_PAUSE_MOST);
	control_listen(k->s->directory.fd, &listener, NULL);
	while (!k->stopped && clock_monotonic() < deadline) {
		struct pollfd p[] = {
			{.fd = k->signals, .events = POLLIN}, {.fd = listener, .events = POLLIN}};

		if (poll(p, 2, clock_poll_timeout(deadline)) < 0)
			continue;
		if (p[0].revents)
			take_signal(k);
		if (p[1].revents)
			accept_client(k, listener);
	}
	unlinkat(k->s->directory.fd, "control", 0);
}

static void keep(struct keeper *k, int client,
	int (*live)(struct supervisor *s, int client, struct error *err), struct error *err)
{
	while (run_life(k, client, live, err)) {
		client = -1;
		if (!k->stopped)
			pause_between(k);
		if (k->stopped) {
			write_state(k, "stopped", "", NULL);
			return;
		}
	}
}

int keeper_run(struct supervisor *s, const struct restart *policy, int client,
	int (*live)(struct supervisor *s, int client, struct error *err), struct error *err)
{
	struct keeper k = {.s = s};
	sigset_t wanted;

	*err = (struct error){0};
	k.life = mmap(NULL, sizeof *k.life, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (k.life == MAP_FAILED)
		return error_no_memory(err, "start a sandbox");
	k.life->restart = *policy;
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGCHLD);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGHUP);
	sigprocmask(SIG_BLOCK, &wanted, &k.before);
	k.signals = signalfd(-1, &wanted, SFD_CLOEXEC);
	if (k.signals >= 0)
		keep(&k, client, live, err);
	else
		error_errno(err, errno, "start a sandbox");
	munmap(k.life, sizeof *k.life);
	return err->code ? -(int)err->code : 0;
}
