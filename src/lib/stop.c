/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes are signalled, paused, stopped, waited for, removed. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/message.h"
#include "lib/handle.h"
#include "lib/process.h"
#include "os/fs.h"
#include "sandbox/control.h"
#include "sandbox/network.h"

#define GRACE_DEFAULT (10 * NANOSECONDS_PER_SECOND)
#define STOP_LIMIT    (60 * NANOSECONDS_PER_SECOND) /* over the grace: the supervisor has timers of its own */
#define ANSWER_LIMIT  (30 * NANOSECONDS_PER_SECOND)

struct target {
	struct directory d;
	struct record record;
};

static void target_close(struct target *t)
{
	directory_close(&t->d);
	record_free(&t->record);
}
#define _cleanup_target_ __attribute__((cleanup(target_close)))
#define TARGET_NONE \
	{ \
		.d = DIRECTORY_NONE \
	}

static int simple_request(
	struct monocore *mc, const char *name, uint16_t type, const struct buffer *payload, struct error *err)
{
	_cleanup_target_ struct target t = TARGET_NONE;
	_cleanup_(peer_close) struct peer peer = PEER_NONE;
	struct frame f;
	int r = find_sandbox(mc, name, &t.d, &t.record, err);

	if (r == 0)
		r = connect_sandbox(&t.d, &t.record, &peer, err);
	if (r == 0)
		r = request(&peer, type, payload, 0, &f, clock_monotonic() + ANSWER_LIMIT, err);
	return r;
}

int monocore_kill(struct monocore *mc, const char *name, int signal, struct monocore_error *error)
{
	_cleanup_buffer_ struct buffer payload = {0};
	struct error err;

	buffer_u32(&payload, (uint32_t)signal);
	return simple_request(mc, name, CONTROL_KILL, &payload, &err) < 0 ? give_error(error, &err) : 0;
}

int monocore_pause(struct monocore *mc, const char *name, struct monocore_error *error)
{
	struct error err;

	return simple_request(mc, name, CONTROL_PAUSE, NULL, &err) < 0 ? give_error(error, &err) : 0;
}

int monocore_resume(struct monocore *mc, const char *name, struct monocore_error *error)
{
	struct error err;

	return simple_request(mc, name, CONTROL_RESUME, NULL, &err) < 0 ? give_error(error, &err) : 0;
}

/* Waits until nobody holds the sandbox: its supervisor has written everything down and is gone, or has
 * removed it. */
static int wait_unlocked(struct target *t, struct error *err)
{
	_cleanup_fd_ int lock = -1;
	bool there = faccessat(t->d.fd, "lock", F_OK, 0) == 0;
	int r = there ? fs_lock(t->d.fd, "lock", FS_LOCK_SHARED, true, &lock, err) : 0;

	return r == -ERROR_NOT_FOUND ? 0 : r;
}

static int stop_target(struct target *t, uint64_t grace, struct error *err)
{
	_cleanup_(peer_close) struct peer peer = PEER_NONE;
	_cleanup_buffer_ struct buffer payload = {0};
	struct frame f;
	uint64_t deadline;
	int r;

	if (t->d.lock >= 0 || !directory_is_locked(&t->d))
		return 0;
	r = connect_sandbox(&t->d, &t->record, &peer, err);
	if (r == -ERROR_BUSY)
		return 0; /* it stopped meanwhile */
	if (r < 0)
		return r;
	deadline = clock_monotonic() + STOP_LIMIT;
	if (__builtin_add_overflow(deadline, grace, &deadline))
		deadline = UINT64_MAX;
	buffer_u64(&payload, grace);
	r = request(&peer, CONTROL_STOP, &payload, 0, &f, deadline, err);
	if (r < 0 && r != -ERROR_CLOSED)
		return error_prefix(err, "stop sandbox '%s'", t->record.name);
	return wait_unlocked(t, err);
}

static int stop(struct monocore *mc, const char *name, uint64_t grace, struct error *err)
{
	_cleanup_target_ struct target t = TARGET_NONE;
	int r = find_sandbox(mc, name, &t.d, &t.record, err);

	return r < 0 ? r : stop_target(&t, grace == UINT64_MAX ? GRACE_DEFAULT : grace, err);
}

int monocore_stop(struct monocore *mc, const char *name, uint64_t grace, struct monocore_error *error)
{
	struct error err;

	return stop(mc, name, grace, &err) < 0 ? give_error(error, &err) : 0;
}

int monocore_restart(struct monocore *mc, const char *name, uint64_t grace, struct monocore_error *error)
{
	struct error err;

	if (stop(mc, name, grace, &err) < 0)
		return give_error(error, &err);
	return monocore_start(mc, name, NULL, NULL, error);
}

/* Follows the main process, its output thrown away, to its end. `written`: and until that is written down,
 * where nobody holds the sandbox's lock no more when it is. */
static int wait_running(
	struct monocore *mc, const char *name, bool written, int *exit_status, struct error *err)
{
	struct monocore_process *p = NULL;
	struct monocore_relay relay = MONOCORE_RELAY_INIT;
	struct monocore_error error;
	int r = monocore_attach(mc, name, NULL, &p, &error);

	if (r == 0) {
		process_close(p, MONOCORE_OUT, NULL);
		process_close(p, MONOCORE_ERR, NULL);
		p->input_closed = true; /* only looks on */
		r = monocore_process_relay(p, &relay, exit_status, &error);
		p->owner = written; /* freeing waits */
		monocore_process_free(p);
	}
	return r < 0 ? error_set(err, (enum error_code)error.code, "%s", error.text) : 0;
}

/* One that is started again has ended, all the same: its lock says nothing. 1: it has not. */
static int wait_life(
	struct monocore *mc, const char *name, struct target *t, int *exit_status, struct error *err)
{
	const struct timespec pause = {.tv_nsec = 20000000};

	while (directory_is_locked(&t->d)) {
		_cleanup_status_ struct status status = {0};
		int r = status_read(t->d.fd, &status, err);

		if (r < 0)
			return r;
		if (!strcmp(status.state, "restarting")) {
			*exit_status = (int)status.exit_status;
			return 0;
		}
		r = wait_running(mc, name, true, exit_status, err);
		if (r != -ERROR_BUSY && r != -ERROR_CLOSED)
			return r;
		nanosleep(&pause, NULL);
	}
	return 1;
}

static bool is_started_again(const struct record *r)
{
	return *r->restart && strcmp(r->restart, "no");
}

static int wait_stopped(struct monocore *mc, const char *name, int *exit_status, struct error *err)
{
	_cleanup_target_ struct target t = TARGET_NONE;
	_cleanup_status_ struct status status = {0};
	bool interrupted;
	int r = find_sandbox(mc, name, &t.d, &t.record, err);

	if (r == 0 && is_started_again(&t.record)) {
		r = wait_life(mc, name, &t, exit_status, err);
		if (r <= 0)
			return r;
		r = 0;
	} else if (r == 0 && directory_is_locked(&t.d)) {
		r = wait_running(mc, name, false, exit_status, err);
		if (r != -ERROR_BUSY && r != -ERROR_CLOSED)
			return r < 0 ? r : wait_unlocked(&t, err);
		r = wait_unlocked(&t, err);
	}
	if (r == 0)
		r = status_read(t.d.fd, &status, err);
	if (r < 0)
		return r;
	if (sandbox_state(&t.d, &status, &interrupted) == MONOCORE_CREATED)
		return error_set(err, ERROR_BUSY, "sandbox '%s' has not been started", name);
	*exit_status = interrupted ? 128 + SIGKILL : (int)status.exit_status;
	return 0;
}

int monocore_wait(struct monocore *mc, const char *name, int *exit_status, struct monocore_error *error)
{
	struct error err;

	return wait_stopped(mc, name, exit_status, &err) < 0 ? give_error(error, &err) : 0;
}

/* The last resort against a supervisor that does not answer: by a pidfd, so that no other process that got
 * its number is hit. */
static void kill_supervisor(const struct target *t)
{
	_cleanup_status_ struct status status = {0};
	_cleanup_fd_ int pidfd = -1;
	char path[64], line[4096];
	_cleanup_file_ FILE *f = NULL;
	size_t n;

	if (status_read(t->d.fd, &status, NULL) < 0 || status.pid <= 1)
		return;
	pidfd = (int)syscall(SYS_pidfd_open, (pid_t)status.pid, 0);
	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)status.pid);
	f = fopen(path, "re");
	n = f ? fread(line, 1, sizeof line - 1, f) : 0;
	line[n] = 0;
	if (pidfd < 0 || n < sizeof "mcrun" || strcmp(line, "mcrun") ||
		!memmem(line, n, t->d.id, strlen(t->d.id)))
		return;
	syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

static int stop_by_force(struct target *t, struct error *err)
{
	int r = stop_target(t, 0, err);

	if (r == -ERROR_TIMEOUT) {
		kill_supervisor(t);
		r = wait_unlocked(t, err);
	}
	return r;
}

static int remove_sandbox(struct monocore *mc, const char *name, bool force, struct error *err)
{
	_cleanup_target_ struct target t = TARGET_NONE;
	int r = find_sandbox(mc, name, &t.d, &t.record, err);

	if (r == 0 && force)
		r = stop_by_force(&t, err);
	if (r < 0)
		return r;
	if (faccessat(t.d.fd, "config.json", F_OK, 0) < 0)
		r = -ERROR_NOT_FOUND;
	else if (t.d.lock < 0)
		r = directory_lock(&t.d, false, err);
	if (r == -ERROR_NOT_FOUND) { /* a throw-away one that has removed itself */
		network_release(&mc->home, t.d.id);
		return 0;
	}
	if (r == -ERROR_BUSY)
		return error_set(err, ERROR_BUSY,
			"sandbox '%s' is running: stop it first, or use 'monocore rm --force %s'",
			t.record.name, t.record.name);
	if (r == 0)
		r = directory_remove(&mc->home, &t.d, t.record.name, err);
	if (r == 0)
		network_release(&mc->home, t.d.id);
	return r;
}

int monocore_remove(struct monocore *mc, const char *name, bool force, struct monocore_error *error)
{
	struct error err;

	return remove_sandbox(mc, name, force, &err) < 0 ? give_error(error, &err) : 0;
}
