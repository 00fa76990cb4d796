/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/mfsd/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/fs.h"
#include "vfs/fuse/unmount.h"

/* Requests: a byte, and behind TELL a path with its NUL. Answers: a byte, 0 for done. */
enum { TELL = 't', UNMOUNT = 'u', FORCE = 'f' };

/* ---- the parent ---------------------------------------------------------------------------------------- */

static bool read_path(int socket, char path[PATH_MAX])
{
	for (size_t n = 0; n < PATH_MAX; n++) {
		if (read(socket, &path[n], 1) != 1)
			return false;
		if (!path[n])
			return true;
	}
	return false;
}

static bool answer(int socket, char directory[PATH_MAX])
{
	char what, done = 0;

	if (read(socket, &what, 1) != 1)
		return false;
	if (what == TELL && !read_path(socket, directory))
		return false;
	if (what == UNMOUNT || what == FORCE)
		done = *directory && fuse_unmount(directory, what == FORCE) == 0 ? 0 : 1;
	return write(socket, &done, 1) == 1;
}

/* Whoever reads what the command that mounts says would wait for this process, too. */
static void be_silent(void)
{
	_cleanup_fd_ int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (nowhere >= 0)
		dup2(nowhere, STDERR_FILENO);
}

int mfsd_keep(int socket, pid_t child)
{
	char directory[PATH_MAX] = "";
	int status = 1;

	be_silent();
	signal(SIGTERM, SIG_IGN); /* a group of processes is told to end: the child does so in its order */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	while (answer(socket, directory))
		;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (*directory && fuse_mount_is_dead(directory))
		fuse_unmount(directory, true);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* ---- the child ----------------------------------------------------------------------------------------- */

static int ask(int socket, const void *request, size_t n, struct error *err)
{
	char done;

	if (fs_write_all(socket, request, n, "mfsd", err) < 0 || read(socket, &done, 1) != 1)
		return error_set(err, ERROR_CLOSED, "the process that keeps the mount has gone");
	return done ? error_set(err, ERROR_BUSY, "something in it is open") : 0;
}

int mfsd_keeper_tell(int socket, const char *directory, struct error *err)
{
	char request[PATH_MAX + 1] = {TELL};
	size_t n = strlen(directory) + 1;

	if (n > PATH_MAX)
		return error_set(err, ERROR_LIMIT, "%s: the path is too long", directory);
	memcpy(request + 1, directory, n);
	return ask(socket, request, n + 1, err);
}

int mfsd_keeper_unmount(int socket, bool force, struct error *err)
{
	const char request = force ? FORCE : UNMOUNT;

	return ask(socket, &request, 1, err);
}
