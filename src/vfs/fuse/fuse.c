/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/fuse/fuse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "vfs/fuse/device.h"
#include "vfs/fuse/message.h"
#include "vfs/fuse/session.h"
#include "vfs/fuse/unmount.h"

#define THREADS_DEFAULT 8u
#define AHEAD_MAX       512u
#define VECTORS_MAX     8

struct fuse_server {
	struct fuse_session_data data; /* the first member */
	struct fuse_session *session;
	pthread_mutex_t sending; /* messages to a connection come one after the other */
	char ahead[AHEAD_MAX];   /* goes before the next answer */
	size_t ahead_size;
	unsigned threads;
	bool mounted, watching;
	char *directory; /* that it is mounted on, absolute */
	bool left;       /* another process has the connection */
	int fd;          /* of a connection, which is the session's; or -1 */
};

/* ---- a client behind a socket: messages begin with their length -------------------------------------- */

static ssize_t read_fully(int fd, char *bytes, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = read(fd, bytes + have, size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		have += (size_t)n;
	}
	return (ssize_t)size;
}

/* The next message; -1: that was all. */
static ssize_t receive(int fd, char *bytes)
{
	uint32_t size;

	if (read_fully(fd, bytes, sizeof size) < 0)
		return -1;
	memcpy(&size, bytes, sizeof size);
	if (size < sizeof(struct fuse_in_header) || size > FUSE_MESSAGE_MAX)
		return -1; /* nothing behind this makes sense */
	return read_fully(fd, bytes + sizeof size, size - sizeof size) < 0 ? -1 : (ssize_t)size;
}

static ssize_t write_fully(int fd, struct iovec *vectors, int count)
{
	ssize_t total = 0;

	while (count > 0) {
		ssize_t n = writev(fd, vectors, count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		total += n;
		while (count > 0 && (size_t)n >= vectors->iov_len) {
			n -= (ssize_t)vectors->iov_len;
			vectors++;
			count--;
		}
		if (count > 0) {
			vectors->iov_base = (char *)vectors->iov_base + n;
			vectors->iov_len -= (size_t)n;
		}
	}
	return total;
}

static ssize_t send_whole(struct fuse_server *s, struct iovec *vectors, int count)
{
	ssize_t n;

	pthread_mutex_lock(&s->sending);
	n = write_fully(s->fd, vectors, count);
	pthread_mutex_unlock(&s->sending);
	return n;
}

/* ---- what others do ----------------------------------------------------------------------------------- */

static ssize_t send_notice(struct fuse_session_data *data, struct iovec *vectors, int count)
{
	struct fuse_server *s = (struct fuse_server *)data;

	/* A device takes each message as a whole. */
	return s->fd < 0 ? writev(fuse_session_fd(s->session), vectors, count)
			 : send_whole(s, vectors, count);
}

static void tell_name(void *context, uint64_t parent, const char *name)
{
	const struct fuse_server *s = context;

	fuse_lowlevel_notify_inval_entry(s->session, parent, name, strlen(name));
	/* Of a name that the kernel does not keep it hears nothing by that, but it may keep the listing. */
	fuse_lowlevel_notify_inval_inode(s->session, parent, 0, 0);
}

static void tell_object(void *context, uint64_t ino, bool contents)
{
	const struct fuse_server *s = context;

	fuse_lowlevel_notify_inval_inode(s->session, ino, contents ? 0 : -1, 0);
}

/* Kernels before 6.18 do not know it (EINVAL), nor do headers of that time. It takes none of the locks that
 * they hold while they wait for an answer. */
#define NOTIFY_PRUNE 9

static bool tell_prune(void *context, const uint64_t *inos, size_t count)
{
	const struct fuse_server *s = context;
	struct {
		struct fuse_out_header header;
		uint32_t count, padding;
		uint64_t spare;
	} notice = {.header.error = NOTIFY_PRUNE, .count = (uint32_t)count};
	const struct iovec vectors[] = {{.iov_base = &notice, .iov_len = sizeof notice},
		{.iov_base = (void *)(uintptr_t)inos, .iov_len = count * sizeof *inos}};

	notice.header.len = (uint32_t)(sizeof notice + count * sizeof *inos);
	return writev(fuse_session_fd(s->session), vectors, 2) >= 0 || errno != EINVAL;
}

/* Without it, what the client keeps is good for a moment. */
static void watch(struct fuse_server *s, const struct fuse_options *o)
{
	const struct vfs_watcher watcher = {.context = s,
		.name = tell_name,
		.object = tell_object,
		.prune = s->fd < 0 ? tell_prune : NULL};

	s->data.notice = send_notice;
	s->watching = o->told_cache && vfs_watch(s->data.fs, &watcher) == 0;
	if (s->watching)
		s->data.told_timeout = (double)o->told_cache / (double)NANOSECONDS_PER_SECOND;
}

/* ---- requests ----------------------------------------------------------------------------------------- */

struct socket_call {
	struct fuse_call call;
	struct fuse_server *server;
};

static void keep_ahead(struct fuse_session_data *data, const void *message, size_t size)
{
	struct fuse_server *s = (struct fuse_server *)data;

	if (size > sizeof s->ahead - s->ahead_size)
		return;
	memcpy(s->ahead + s->ahead_size, message, size);
	s->ahead_size += size;
}

/* Requests are served by one thread: what was told ahead is this one's. */
static ssize_t send_answer(struct fuse_call *call, struct iovec *vectors, int count)
{
	struct fuse_server *s = ((struct socket_call *)call)->server;
	struct iovec all[VECTORS_MAX];
	ssize_t n;

	if (!s->ahead_size || count >= VECTORS_MAX)
		return send_whole(s, vectors, count);
	all[0] = (struct iovec){.iov_base = s->ahead, .iov_len = s->ahead_size};
	memcpy(all + 1, vectors, (size_t)count * sizeof *vectors);
	n = send_whole(s, all, count + 1);
	n = n < 0 ? n : n - (ssize_t)s->ahead_size;
	s->ahead_size = 0;
	return n;
}

/* A stream's messages are read by one thread: each read takes a length, then the rest. */
static int serve_socket(struct fuse_server *s, struct error *err)
{
	struct socket_call call = {.call.send = send_answer, .server = s};
	_cleanup_free_ char *bytes = malloc(FUSE_MESSAGE_MAX);
	ssize_t n;

	if (!bytes)
		return error_no_memory(err, "FUSE");
	while (!fuse_session_exited(s->session) && (n = receive(s->fd, bytes)) > 0)
		fuse_session_serve(s->session, &call.call, bytes, (size_t)n);
	return 0;
}

/* ---- start ------------------------------------------------------------------------------------------ */

/* fd: a connection, which becomes the session's; or -1. */
static int start(
	struct vfs *fs, const struct fuse_options *o, int fd, struct fuse_server **out, struct error *err)
{
	_cleanup_(cleanup_fuse_server) struct fuse_server *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return error_no_memory(err, "FUSE");
	s->fd = fd;
	s->threads = o->threads ? o->threads : THREADS_DEFAULT;
	pthread_mutex_init(&s->sending, NULL);
	fuse_session_prepare(&s->data, fs, o);
	r = fuse_session_make(&s->data, o, fd, &s->session, err);
	if (r == 0)
		*out = TAKE_PTR(s);
	return r;
}

/* Something is mounted on the directory, as far as that can be told. */
static bool is_mounted_on(const char *directory)
{
	struct statx s;

	return statx(AT_FDCWD, directory, AT_NO_AUTOMOUNT, STATX_TYPE, &s) == 0 &&
	       s.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

static int check_directory(const char *directory, struct error *err)
{
	struct stat s;

	if (stat(directory, &s) < 0)
		return error_errno(err, errno, "mount on %s", directory);
	if (!S_ISDIR(s.st_mode))
		return error_set(err, ERROR_INVALID, "mount on %s: it is not a directory", directory);
	if (access("/dev/fuse", F_OK) < 0)
		return error_set(
			err, ERROR_UNAVAILABLE, "mount on %s: this host has no FUSE (/dev/fuse)", directory);
	return 0;
}

int fuse_server_mount(struct vfs *fs, const char *directory, const struct fuse_options *options,
	struct fuse_server **out, struct error *err)
{
	_cleanup_(cleanup_fuse_server) struct fuse_server *s = NULL;
	int r = check_directory(directory, err);

	if (r == 0)
		r = start(fs, options, -1, &s, err);
	if (r < 0)
		return r;
	s->directory = realpath(directory, NULL);
	if (!s->directory)
		return error_errno(err, errno, "mount on %s", directory);
	if (fuse_session_mount(s->session, directory) < 0)
		return error_set(err, ERROR_DENIED, "mount on %s: FUSE refused (%s)", directory,
			is_mounted_on(directory) ? "something is mounted there already"
						 : "is fusermount3 there, and is the directory yours?");
	s->mounted = true;
	r = fuse_session_take(s->session, fuse_session_fd(s->session), err);
	if (r < 0)
		return r;
	watch(s, options);
	*out = TAKE_PTR(s);
	return 0;
}

int fuse_server_connect(struct vfs *fs, int fd, const struct fuse_options *options, struct fuse_server **out,
	struct error *err)
{
	int r = start(fs, options, fd, out, err);

	if (r < 0)
		close(fd);
	if (r == 0 && options->ahead)
		(*out)->data.ahead = keep_ahead;
	if (r == 0)
		watch(*out, options);
	return r;
}

/* ---- run and end ------------------------------------------------------------------------------------ */

bool fuse_server_is_mounted(const struct fuse_server *s)
{
	struct pollfd p = {.fd = fuse_session_fd(s->session)};

	return s->mounted && !(poll(&p, 1, 0) == 1 && p.revents & POLLERR);
}

int fuse_server_run(struct fuse_server *s, struct error *err)
{
	return s->fd >= 0 ? serve_socket(s, err) : fuse_device_serve(s->session, s->threads, err);
}

void fuse_server_stop(struct fuse_server *s)
{
	fuse_session_exit(s->session);
}

/* libfuse knows nothing of forks: the descriptor becomes one that leads nowhere. */
void fuse_server_leave(struct fuse_server *s)
{
	int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

	s->left = true;
	if (nowhere >= 0) {
		dup3(nowhere, fuse_session_fd(s->session), O_CLOEXEC);
		close(nowhere);
	}
}

void fuse_server_free(struct fuse_server *s)
{
	if (!s)
		return;
	if (s->watching)
		vfs_unwatch(s->data.fs);
	if (s->mounted && (!s->left || fuse_mount_is_dead(s->directory)))
		fuse_session_unmount(s->session);
	if (s->session)
		fuse_session_destroy(s->session);
	free(s->directory);
	free(s);
}
