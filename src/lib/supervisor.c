/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/process.h"
#include "sandbox/programs.h"

static int spawn(struct monocore *mc, const struct directory *d, int connection, struct error *err)
{
	_cleanup_free_ char *program = program_path("mcrun", err);
	const char *const argv[] = {"mcrun", mc->home.path, d->id, NULL};
	const struct process_fd fds[] = {
		{connection, CONTROL_FD_CLIENT}, {d->lock, CONTROL_FD_LOCK}, {STDERR_FILENO, STDERR_FILENO}};
	struct process_spec spec = {.path = program,
		.argv = argv,
		.fds = fds,
		.fd_count = getenv("MONOCORE_DEBUG") ? 3 : 2,
		.new_session = true};
	pid_t pid;

	return program ? process_spawn(&spec, &pid, NULL, err) : -ERROR_NOT_FOUND;
}

int supervisor_spawn(struct monocore *mc, struct directory *d, struct peer *peer, struct error *err)
{
	_cleanup_fd_ int theirs = -1;
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(err, errno, "make a connection");
	peer->fd = ends[0];
	theirs = ends[1];
	r = spawn(mc, d, theirs, err);
	if (r == 0)
		close(TAKE_FD(d->lock));
	return r;
}

int supervisor_send_start(struct peer *peer, const struct control_attach *how, struct error *err)
{
	_cleanup_buffer_ struct buffer payload = {0};

	control_attach_encode(how, &payload);
	if (payload.failed || !peer_send(peer, 1, CONTROL_START, 0, payload.data, payload.size))
		return error_set(err, ERROR_CLOSED, "start the supervisor: it is gone");
	return 0;
}

int supervisor_progress(struct monocore *mc, const struct frame *f, struct error *err)
{
	struct control_progress m = {0};
	int r = control_progress_decode(cursor_of(f->payload, f->size), &m, err);

	if (r == 0)
		progress_report(
			&mc->progress, &(struct progress_event){m.task, m.unit, m.done, m.total, m.finished});
	control_progress_free(&m);
	return r;
}
