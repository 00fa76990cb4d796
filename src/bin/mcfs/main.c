/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcfs serves one mounted file system.
 *
 *     mcfs erofs DIRECTORY        an image's root file system, read-only
 *     mcfs native DIRECTORY       a directory of the host, as the user sees it
 *     mcfs native-ro DIRECTORY    the same, read-only
 *     mcfs overlay DIRECTORY      the union of directories of the host, as the user sees them
 *     mcfs overlay-ro DIRECTORY   the same, read-only
 *     mcfs volumes                serves the volumes of a sandbox (volumes.c)
 *     mcfs nfs                    serves a directory or an image over NFS (nfs.c)
 *
 * But for the last two, descriptor 3 is what is served, 4 a pipe to whoever started it, which hears "ok" once
 * the mount stands, or what is wrong; from 5 on are the lower directories of a union, the topmost first. A
 * child does the serving and gives up everything else first; the parent, which reads nothing of anybody's,
 * waits for its end and takes the mount away, so that a child that is killed leaves none.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "bin/mcfs/confine.h"
#include "bin/mcfs/nfs.h"
#include "bin/mcfs/volumes.h"
#include "os/fs.h"
#include "os/landlock.h"
#include "sandbox/nfs_server.h"
#include "vfs/erofs/erofs.h"
#include "vfs/fuse/fuse.h"
#include "vfs/native/native.h"
#include "vfs/overlay/overlay.h"

#define SOURCE     3
#define STATUS     4
#define LOWERS     5
#define FILES_MOST 65536
#define FOREVER    (86400ull * 1000000000ull) /* for which nothing changes in an image */
#define SECOND     1000000000ull              /* after which what others do to a directory shows */

/* In the upper directory; what begins like this is no name in a union, and hides none. */
#define WORK ".wh..wh.work"

struct source {
	struct vfs *fs;
	struct vfs *layers[OVERLAY_LOWERS_MAX + 1]; /* of a union, the topmost first */
	size_t layer_count;
	struct mcfs_tree trees[OVERLAY_LOWERS_MAX + 1];
	size_t tree_count;
};

/* A directory of the host as the user sees it; of `parts` that share our descriptors. */
static int open_native(
	struct source *s, int directory, bool read_only, unsigned parts, struct vfs **fs, struct error *err)
{
	struct native_options o = {.directory = directory, .owners = NATIVE_PLAIN, .read_only = read_only};
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		o.descriptors = (unsigned)(limit.rlim_cur / 4 / parts);
		o.opens = (unsigned)(limit.rlim_cur / 2 / parts);
	}
	s->trees[s->tree_count++] =
		(struct mcfs_tree){directory, LANDLOCK_READ | (read_only ? 0u : LANDLOCK_WRITE)};
	return native_new(&o, fs, err);
}

static int make_work(struct vfs *upper, uint64_t *work, struct error *err)
{
	const struct vfs_caller me = {.uid = geteuid(), .gid = getegid()};
	struct vfs_attributes a;
	int r = vfs_lookup(upper, VFS_ROOT, WORK, &a);

	if (r == -ENOENT)
		r = vfs_mkdir(upper, &me, VFS_ROOT, WORK, 0700, &a);
	if (r < 0)
		return error_errno(err, -r, "make " WORK " in the directory that takes the changes");
	*work = a.ino;
	return 0;
}

static int open_union(struct source *s, bool read_only, struct error *err)
{
	struct overlay_layer layers[OVERLAY_LOWERS_MAX + 1];
	struct overlay_options o = {.form = OVERLAY_OCI, .uid = geteuid(), .gid = getegid()};
	unsigned parts = 1;
	int r = 0;

	/* Whoever started us has left nothing else open. */
	while (parts <= OVERLAY_LOWERS_MAX && fcntl(LOWERS + (int)parts - 1, F_GETFD) >= 0)
		parts++;
	for (unsigned i = 0; r == 0 && i < parts; i++) {
		r = open_native(
			s, i ? LOWERS + (int)i - 1 : SOURCE, read_only || i > 0, parts, &s->layers[i], err);
		layers[i] = (struct overlay_layer){s->layers[i], VFS_ROOT};
		s->layer_count += r == 0;
	}
	if (r == 0 && !read_only) {
		o.upper = layers[0];
		r = make_work(s->layers[0], &o.work, err);
	}
	o.lowers = read_only ? layers : layers + 1;
	o.lower_count = read_only ? parts : parts - 1;
	return r < 0 ? r : overlay_new(&o, &s->fs, err);
}

static int open_source(const char *kind, struct source *s, struct fuse_options *options, struct error *err)
{
	bool read_only = strlen(kind) > 3 && !strcmp(kind + strlen(kind) - 3, "-ro");

	options->cache = SECOND;
	if (!strcmp(kind, "native") || !strcmp(kind, "native-ro"))
		return open_native(s, SOURCE, read_only, 1, &s->fs, err);
	options->cache = FOREVER;
	options->keep_contents = options->told_contents = true;
	if (!strcmp(kind, "overlay") || !strcmp(kind, "overlay-ro"))
		return open_union(s, read_only, err);
	if (strcmp(kind, "erofs") != 0)
		return error_set(err, ERROR_USAGE, "mcfs serves no '%s'", kind);
	options->own_permissions = true; /* whoever has the image may read all of it */
	s->trees[s->tree_count++] = (struct mcfs_tree){SOURCE, 0};
	return erofs_new(SOURCE, &s->fs, err);
}

static void close_source(struct source *s)
{
	vfs_destroy(s->fs);
	for (size_t i = 0; i < s->layer_count; i++)
		vfs_destroy(s->layers[i]);
}

/* As many as we may: what is known is kept open as far as that goes. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max < FILES_MOST ? limit.rlim_max : FILES_MOST;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void tell(const char *text)
{
	fs_write_all(STATUS, text, strlen(text), "status", NULL);
	close(STATUS);
}

static int serve(struct fuse_server *server, const struct source *s)
{
	struct error err = {0};
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = mcfs_confine(s->trees, s->tree_count, &err);
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
	static struct source source;
	struct error err = {0};
	int status = 1;
	pid_t child;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && !strcmp(argv[1], "volumes"))
		return mcfs_volumes();
	if (argc == 2 && !strcmp(argv[1], "nfs") && fcntl(NFS_SERVER_CONTROL, F_GETFD) >= 0)
		return mcfs_nfs();
	if (argc != 3 || fcntl(SOURCE, F_GETFD) < 0 || fcntl(STATUS, F_GETFD) < 0) {
		fprintf(stderr, "mcfs is started by monocore\n");
		return 2;
	}
	raise_limit();
	if (open_source(argv[1], &source, &options, &err) < 0 ||
		fuse_server_mount(source.fs, argv[2], &options, &server, &err) < 0)
		return end_with(&err);
	leave_standard_error();
	child = fork();
	if (child == 0)
		_exit(serve(server, &source));
	/* Only the child keeps the connection: with it, the mount would live on behind a dead child. */
	fuse_server_leave(server);
	close(STATUS);
	if (child > 0)
		while (waitpid(child, &status, 0) < 0)
			;
	fuse_server_free(server);
	close_source(&source);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
