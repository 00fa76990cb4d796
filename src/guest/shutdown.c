/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/shutdown.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "guest/root.h"
#include "guest/transfer.h"
#include "guest/volumes.h"

#define KILL_WAIT  MILLISECONDS(3000) /* for processes to die of KILL: one may hang in the kernel */
#define SYNC_WAIT  MILLISECONDS(3000) /* for the host to take what was changed in volumes */
#define FLUSH_WAIT MILLISECONDS(1000) /* for the host to take the last words */

/* The process that serves volumes is there to the end: then it is the sandbox's cgroup that tells. */
static bool others_left(const struct agent *a)
{
	char text[16] = "";

	for (size_t i = 0; i < TRANSFERS_MAX; i++)
		if (a->workers[i].pid)
			return true;
	return pread(a->usage.files[USAGE_PIDS], text, sizeof text - 1, 0) <= 0 || strtoul(text, NULL, 10);
}

static bool processes_left(const struct agent *a)
{
	siginfo_t info;

	if (a->boot.volumes.pid)
		return others_left(a);
	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

/* As they end, what they have changed in mapped files of volumes is written. */
static void kill_processes(struct agent *a)
{
	if (!a->boot.volumes.pid || write(a->boot.cgroup_kill, "1", 1) != 1)
		kill(-1, SIGKILL);
}

static void end_volumes(struct agent *a)
{
	if (!a->boot.volumes.pid)
		return;
	volumes_end(a->boot.volumes.pid, clock_monotonic() + SYNC_WAIT);
	kill(-1, SIGKILL); /* whoever has left the cgroup */
}

void shutdown_begin(struct agent *a, const struct message_shutdown *m)
{
	uint64_t at = clock_monotonic() + MILLISECONDS(m->milliseconds);

	if (m->discard)
		agent_reset();
	if (!a->shutting_down || at < a->shutdown_at)
		a->shutdown_at = at;
	if (a->shutting_down)
		return;
	a->shutting_down = true;
	transfers_stop(a);
	if (a->is_set_up && m->milliseconds) {
		kill(-1, SIGTERM);
		kill(-1, SIGCONT); /* a stopped process cannot end by TERM */
	}
}

/* What the processes said last, and how they ended, belongs to the host. */
static void flush_port(struct agent *a)
{
	uint64_t deadline = clock_monotonic() + FLUSH_WAIT;

	while (!port_empty(&a->port) && clock_monotonic() < deadline) {
		a->port.writable = true;
		port_flush(&a->port);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

void shutdown_step(struct agent *a)
{
	uint64_t now = clock_monotonic();

	if (!a->shutting_down || (now < a->shutdown_at && processes_left(a)))
		return;
	if (processes_left(a) && !a->killed) {
		kill_processes(a);
		a->killed = true;
		a->shutdown_at = now + KILL_WAIT;
		return;
	}
	end_volumes(a);
	flush_port(a);
	root_freeze(a->boot.disk_mount, clock_monotonic() + SYNC_WAIT);
	agent_reset();
}
