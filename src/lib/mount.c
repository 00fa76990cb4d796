/* SPDX-License-Identifier: Apache-2.0 */
/* File systems mounted on this host: each is served by a process of its own, mcfs. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/handle.h"
#include "oci/image.h"
#include "oci/limits.h"
#include "os/fs.h"
#include "os/process.h"
#include "sandbox/programs.h"

#define MCFS_SOURCE 3
#define MCFS_STATUS 4
#define STATUS_MAX  4096

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

/* Starts mcfs with a descriptor of what it serves. */
static int start(const char *kind, int source, const char *directory, struct error *err)
{
	_cleanup_free_ char *program = program_path("mcfs", err);
	const char *const argv[] = {"mcfs", kind, directory, NULL};
	_cleanup_fd_ int ours = -1, theirs = -1;
	int ends[2], r;
	pid_t pid;

	if (!program)
		return -ERROR_NOT_FOUND;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, errno, "make a pipe");
	ours = ends[0];
	theirs = ends[1];
	const struct process_fd fds[] = {
		{source, MCFS_SOURCE}, {theirs, MCFS_STATUS}, {STDERR_FILENO, STDERR_FILENO}};
	struct process_spec spec = {
		.path = program, .argv = argv, .fds = fds, .fd_count = ARRAY_SIZE(fds), .new_session = true};

	r = process_spawn(&spec, &pid, NULL, err);
	if (r < 0)
		return r;
	close(TAKE_FD(theirs));
	return wait_status(ours, directory, err);
}

static int mount_image(
	struct monocore *mc, const char *name, const char *platform, const char *directory, struct error *err)
{
	struct image_options options = {.platform = platform, .progress = &mc->progress};
	_cleanup_(cleanup_store) struct store *store = NULL;
	_cleanup_(cleanup_image) struct image *image = NULL;
	_cleanup_fd_ int root = -1;
	int r = image_limits_parse(getenv(IMAGE_LIMITS_ENV), &options.limits, err);

	if (r == 0)
		r = store_open(mc->home.path, &store, err);
	if (r == 0)
		r = image_open(store, name, &options, &image, err);
	if (r == 0)
		r = image_open_root(store, image, "erofs", &root, err);
	return r < 0 ? r : start("erofs", root, directory, err);
}

static int mount_directory(const char *source, const char *directory, bool read_only, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(AT_FDCWD, source, O_RDONLY | O_DIRECTORY, 0, err);

	return fd < 0 ? fd : start(read_only ? "native-ro" : "native", fd, directory, err);
}

int monocore_fs_mount(struct monocore *mc, const char *source, const char *directory, bool read_only,
	struct monocore_error *error)
{
	struct error err;

	(void)mc;
	return mount_directory(source, directory, read_only, &err) < 0 ? give_error(error, &err) : 0;
}

int monocore_image_mount(struct monocore *mc, const char *image, const char *platform, const char *directory,
	struct monocore_error *error)
{
	struct error err;

	return mount_image(mc, image, platform, directory, &err) < 0 ? give_error(error, &err) : 0;
}
