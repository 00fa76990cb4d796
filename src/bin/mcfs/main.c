/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcfs serves one mounted file system.
 *
 *     mcfs erofs DIRECTORY        an image's root file system, read-only
 *     mcfs native DIRECTORY       a directory of the host, as the user sees it
 *     mcfs native-ro DIRECTORY    the same, read-only
 *     mcfs volumes                serves the volumes of a sandbox (volumes.c)
 *
 * But for volumes, descriptor 3 is what is served, 4 a pipe to whoever started it, which hears "ok" once the
 * mount stands, or what is wrong. A child does the serving and gives up everything else first; the parent,
 * which reads nothing of anybody's, waits for its end and takes the mount away, so that a child that is
 * killed leaves none.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "bin/mcfs/confine.h"
#include "bin/mcfs/volumes.h"
#include "os/fs.h"
#include "os/landlock.h"
#include "vfs/erofs/erofs.h"
#include "vfs/fuse/fuse.h"
#include "vfs/native/native.h"

#define SOURCE  3
#define STATUS  4
#define FOREVER (86400ull * 1000000000ull) /* for which nothing changes in an image */
#define SECOND  1000000000ull              /* after which what others do to a directory shows */

struct source {
	struct vfs *fs;
	unsigned rights; /* landlock's, on what is served */
};

static int open_native(struct source *s, bool read_only, struct error *err)
{
	struct native_options o = {.directory = SOURCE, .owners = NATIVE_PLAIN, .read_only = read_only};

	s->rights = LANDLOCK_READ | (read_only ? 0u : LANDLOCK_WRITE);
	return native_new(&o, &s->fs, err);
}

static int open_source(const char *kind, struct source *s, struct fuse_options *options, struct error *err)
{
	options->cache = SECOND;
	if (!strcmp(kind, "native") || !strcmp(kind, "native-ro"))
		return open_native(s, !strcmp(kind, "native-ro"), err);
	if (strcmp(kind, "erofs") != 0)
		return error_set(err, ERROR_USAGE, "mcfs serves no '%s'", kind);
	options->cache = FOREVER;
	options->own_permissions = true; /* whoever has the image may read all of it */
	return erofs_new(SOURCE, &s->fs, err);
}

static void tell(const char *text)
{
	fs_write_all(STATUS, text, strlen(text), "status", NULL);
	close(STATUS);
}

static int serve(struct fuse_server *server, unsigned rights)
{
	struct error err = {0};
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = mcfs_confine(SOURCE, rights, &err);
	tell(r < 0 ? err.text : "ok");
	return r == 0 && fuse_server_run(server, &err) == 0 ? 0 : 1;
}

/* fusermount3 has said what it had to say; whoever reads our standard error waits for its end. */
static void leave_standard_error(void)
{
	int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (nowhere >= 0) {
		dup2(nowhere, STDERR_FILENO);
		close(nowhere);
	}
}

static int end_with(const struct error *err)
{
	tell(err->text);
	return 1;
}

int main(int argc, char **argv)
{
	struct fuse_options options = {0};
	struct fuse_server *server = NULL;
	struct source source = {0};
	struct error err = {0};
	int status = 1;
	pid_t child;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && !strcmp(argv[1], "volumes"))
		return mcfs_volumes();
	if (argc != 3 || fcntl(SOURCE, F_GETFD) < 0 || fcntl(STATUS, F_GETFD) < 0) {
		fprintf(stderr, "mcfs is started by monocore\n");
		return 2;
	}
	if (open_source(argv[1], &source, &options, &err) < 0 ||
		fuse_server_mount(source.fs, argv[2], &options, &server, &err) < 0)
		return end_with(&err);
	leave_standard_error();
	child = fork();
	if (child == 0)
		_exit(serve(server, source.rights));
	/* Only the child keeps the connection: with it, the mount would live on behind a dead child. */
	fuse_server_leave(server);
	close(STATUS);
	if (child > 0)
		while (waitpid(child, &status, 0) < 0)
			;
	fuse_server_free(server);
	vfs_destroy(source.fs);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
