/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mfsd serves one mounted tree of a repository.
 *
 * Started by mount_start() (monofs/mount.h) with a socket as descriptor 3. A child opens the repository,
 * mounts, and then gives up what it does not need, before it reads the first byte of the repository's objects
 * for a client. The parent reads nothing of anybody's: it takes the mount away when the child asks it to, or
 * has been killed.
 *
 * The child ends when its mount has gone, by whichever way. Then what was written becomes a revision, and who
 * asked for the end is told how that went.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bin/mfsd/keeper.h"
#include "bin/mfsd/serve.h"
#include "codec/secret.h"
#include "monofs/mount_wire.h"
#include "os/fs.h"

/* No core file has the key, and nobody traces us for it. */
static void keep_secrets(void)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static _Noreturn void become_server(int keeper, pid_t parent, const struct mfsd_start *start)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	_exit(mfsd_serve(keeper, start));
}

int main(void)
{
	_cleanup_secret_buffer_ struct buffer message = {0};
	struct mfsd_start start = {0};
	pid_t self = getpid(), child;
	struct error err = {0};
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	if (fcntl(MOUNT_START_FD, F_GETFD) < 0) {
		fprintf(stderr, "mfsd is started by monofs\n");
		return 2;
	}
	keep_secrets();
	buffer_reserve(&message, 1u << 16);
	if (mount_receive(MOUNT_START_FD, &message, &err) < 0 ||
		mfsd_start_decode(&message, &start, &err) < 0 ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return 1;
	child = fork();
	if (child == 0) {
		close(ends[0]);
		become_server(ends[1], self, &start);
	}
	mfsd_start_forget(&start);
	close(MOUNT_START_FD);
	close(ends[1]);
	return child < 0 ? 1 : mfsd_keep(ends[0], child);
}
