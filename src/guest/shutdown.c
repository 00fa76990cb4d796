/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/shutdown.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "guest/root.h"
#include "guest/transfer.h"

#define KILL_WAIT  MILLISECONDS(3000) /* for processes to die of KILL: one may hang in the kernel */
#define FLUSH_WAIT MILLISECONDS(1000) /* for the host to take the last words */

static bool children_left(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
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

	if (!a->shutting_down || (now < a->shutdown_at && children_left()))
		return;
	if (children_left() && !a->killed) {
		kill(-1, SIGKILL);
		a->killed = true;
		a->shutdown_at = now + KILL_WAIT;
		return;
	}
	flush_port(a);
	root_freeze(a->boot.disk_mount);
	agent_reset();
}
