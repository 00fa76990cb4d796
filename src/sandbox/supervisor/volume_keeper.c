/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/supervisor/volume_keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "os/descriptors.h"
#include "os/process.h"
#include "sandbox/programs.h"
#include "sandbox/volume_server.h"

#define END_TIME MILLISECONDS(3000)

int keeper_start(struct keeper *k, struct error *err)
{
	static const char *const argv[] = {"mcfs", "volumes", NULL}, *const env[] = {"LC_ALL=C", NULL};
	_cleanup_free_ char *program = program_path("mcfs", err);
	_cleanup_fd_ int theirs = -1;
	int ends[2], r;

	if (!program)
		return -ERROR_NOT_FOUND;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(err, errno, "make a socket for mcfs");
	k->fd = ends[0];
	theirs = ends[1];
	const struct process_fd fds[] = {{theirs, VOLUME_SERVER_FD}};
	const struct process_spec spec = {
		.path = program, .argv = argv, .env = env, .fds = fds, .fd_count = 1, .new_session = true};

	r = process_spawn(&spec, &k->pid, NULL, err);
	if (r < 0)
		k->pid = -1;
	return r;
}

uint32_t keeper_flags(const struct record_mount *m)
{
	return (m->read_only ? VOLUME_SERVER_READ_ONLY : 0u) | (m->squash ? VOLUME_SERVER_SQUASH : 0u) |
	       (m->stage ? VOLUME_SERVER_READ_ONLY | VOLUME_SERVER_STAGED : 0u);
}

int keeper_add(struct keeper *k, uint32_t number, uint32_t flags, const int *fds, int count,
	const struct buffer *guarded, const char *target, struct error *err)
{
	const struct volume_server_request q = {VOLUME_SERVER_ADD, number, flags};
	_cleanup_buffer_ struct buffer all = {0};

	buffer_append(&all, &q, sizeof q);
	if (guarded)
		buffer_append(&all, guarded->data, guarded->size);
	if (all.failed)
		return error_no_memory(err, "give a volume to mcfs");
	if (all.size > sizeof q + VOLUME_SERVER_NAMES_MAX)
		return error_set(err, ERROR_LIMIT,
			"volume %s: the files in it that are the project's configuration have names that are "
			"too long in all",
			target);
	if (descriptors_send(k->fd, all.data, all.size, fds, count) < 0)
		return error_errno(err, errno, "give the volume %s to mcfs", target);
	return 0;
}

void keeper_end(struct keeper *k)
{
	uint64_t deadline = clock_monotonic() + END_TIME;

	if (k->fd >= 0)
		close(TAKE_FD(k->fd));
	if (k->pid <= 0)
		return;
	while (waitpid(k->pid, NULL, WNOHANG) == 0) {
		if (clock_monotonic() > deadline)
			kill(-k->pid, SIGKILL); /* its session */
		poll(NULL, 0, 1);
	}
	k->pid = -1;
}
