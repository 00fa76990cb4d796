/* SPDX-License-Identifier: Apache-2.0 */
/* File systems mounted on this host: each is served by a process of its own, mcfs. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/mount.h"
#include "oci/image.h"
#include "oci/limits.h"
#include "os/fs.h"
#include "os/process.h"
#include "sandbox/programs.h"

#define MCFS_SOURCE 3
#define MCFS_STATUS 4 /* further sources follow */
#define STATUS_MAX  4096

#define MCFS_SOURCES_MAX 51u

CLEANUP_DEFINE(image, struct image, image_free);
CLEANUP_DEFINE(store, struct store, store_free);

/* Waits until the mount stands, or for the reason why not. */
static int wait_status(int fd, const char *directory, struct error *err)
{
	_cleanup_buffer_ struct buffer text = {0};
	int r = fs_read_fd(fd, "mcfs", STATUS_MAX, &text, err);

	if (r < 0)
		return r;
	buffer_u8(&text, 0);
	if (text.failed)
		return error_no_memory(err, "mount");
	if (!strcmp((char *)text.data, "ok"))
		return 0;
	return error_set(err, ERROR_SYSTEM, "%s", text.size > 1 ? (char *)text.data : directory);
}

/* Starts mcfs with descriptors of what it serves. */
static int start(const char *kind, const int *sources, size_t count, const char *directory, struct error *err)
{
	_cleanup_free_ char *program = program_path("mcfs", err);
	const char *const argv[] = {"mcfs", kind, directory, NULL};
	_cleanup_fd_ int ours = -1, theirs = -1;
	struct process_fd fds[MCFS_SOURCES_MAX + 2] = {
		{sources[0], MCFS_SOURCE}, {-1, MCFS_STATUS}, {STDERR_FILENO, STDERR_FILENO}};
	int ends[2], r;
	pid_t pid;

	if (!program)
		return -ERROR_NOT_FOUND;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, errno, "make a pipe");
	ours = ends[0];
	theirs = ends[1];
	fds[1].parent = theirs;
	for (size_t i = 1; i < count; i++)
		fds[i + 2] = (struct process_fd){sources[i], MCFS_STATUS + (int)i};
	struct process_spec spec = {
		.path = program, .argv = argv, .fds = fds, .fd_count = count + 2, .new_session = true};

	r = process_spawn(&spec, &pid, NULL, err);
	if (r < 0)
		return r;
	close(TAKE_FD(theirs));
	return wait_status(ours, directory, err);
}

int open_image_root(struct monocore *mc, const char *name, const char *platform, int *fd, struct error *err)
{
	struct image_options options = {.platform = platform, .progress = &mc->progress};
	_cleanup_(cleanup_store) struct store *store = NULL;
	_cleanup_(cleanup_image) struct image *image = NULL;
	int r = image_limits_parse(getenv(IMAGE_LIMITS_ENV), &options.limits, err);

	if (r == 0)
		r = store_open(mc->home.path, &store, err);
	if (r == 0)
		r = image_open(store, name, &options, &image, err);
	return r < 0 ? r : image_open_root(store, image, "erofs", fd, err);
}

static int mount_image(
	struct monocore *mc, const char *name, const char *platform, const char *directory, struct error *err)
{
	_cleanup_fd_ int root = -1;
	int r = open_image_root(mc, name, platform, &root, err);

	return r < 0 ? r : start("erofs", &root, 1, directory, err);
}

/* ---- directories ------------------------------------------------------------------------------------ */

struct sources {
	int fds[MCFS_SOURCES_MAX]; /* the topmost first */
	size_t count;
};

static void sources_close(struct sources *s)
{
	for (size_t i = 0; i < s->count; i++)
		close(s->fds[i]);
}

static int add_source(struct sources *s, const char *path, struct error *err)
{
	int fd;

	if (s->count == MCFS_SOURCES_MAX)
		return error_set(
			err, ERROR_LIMIT, "mount: at most %u directories below", MCFS_SOURCES_MAX - 1);
	fd = fs_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return fd;
	s->fds[s->count++] = fd;
	return 0;
}

/* 1: the directory is `above`, or somewhere beneath it. */
static int is_beneath(int directory, int above)
{
	struct stat wanted;

	return fstat(above, &wanted) < 0 ? -1 : fs_lies_in(directory, &wanted, NULL);
}

/* What is changed must not be part of what is not. */
static int check_apart(const struct sources *s, struct error *err)
{
	for (size_t i = 1; i < s->count; i++)
		if (is_beneath(s->fds[0], s->fds[i]) != 0 || is_beneath(s->fds[i], s->fds[0]) != 0)
			return error_set(err, ERROR_INVALID,
				"mount: the directory that takes the changes and one below it lie in one "
				"another");
	return 0;
}

static int mount_directory(const char *source, const char *directory,
	const struct monocore_fs_mount_options *o, struct error *err)
{
	static const char *const kinds[2][2] = {{"native", "native-ro"}, {"overlay", "overlay-ro"}};
	_cleanup_(sources_close) struct sources s = {.count = 0};
	int r = o->version == 1 ? add_source(&s, source, err)
				: error_set(err, ERROR_USAGE,
					  "mount options of version %u: this library knows 1", o->version);

	for (size_t i = 0; r == 0 && o->lowers && o->lowers[i]; i++)
		r = add_source(&s, o->lowers[i], err);
	if (r == 0)
		r = check_apart(&s, err);
	return r < 0 ? r : start(kinds[s.count > 1][o->read_only], s.fds, s.count, directory, err);
}

int monocore_fs_mount(struct monocore *mc, const char *source, const char *directory,
	const struct monocore_fs_mount_options *options, struct monocore_error *error)
{
	static const struct monocore_fs_mount_options defaults = MONOCORE_FS_MOUNT_OPTIONS_INIT;
	struct error err;

	(void)mc;
	return mount_directory(source, directory, options ? options : &defaults, &err) < 0
		       ? give_error(error, &err)
		       : 0;
}

int monocore_image_mount(struct monocore *mc, const char *image, const char *platform, const char *directory,
	struct monocore_error *error)
{
	struct error err;

	return mount_image(mc, image, platform, directory, &err) < 0 ? give_error(error, &err) : 0;
}
