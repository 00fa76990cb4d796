/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/fuse/fuse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "vfs/fuse/operations.h"

#define THREADS_DEFAULT 8u
#define HEADER_BYTES    sizeof(struct fuse_in_header)

struct fuse_server {
	struct fuse_session_data data;
	struct fuse_session *session;
	unsigned threads;
	bool mounted;
	int fd; /* of a connection, or -1 */
};

/* ---- a client behind a socket: messages begin with their length -------------------------------------- */

static ssize_t read_fully(int fd, char *bytes, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = read(fd, bytes + have, size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0) { /* the end, without a complaint of libfuse */
			errno = ENODEV;
			return -1;
		}
		have += (size_t)n;
	}
	return (ssize_t)size;
}

/* Whether setuid and setgid bits have to go with this request (Linux 5.12, fuse_kernel.h: KILL_SUIDGID). */
static bool says_drop(const struct fuse_in_header *h, const void *body, size_t size)
{
	const struct fuse_write_in *w = body;
	const struct fuse_setattr_in *s = body;
	const struct fuse_open_in *o = body;
	const struct fuse_create_in *c = body;

	switch (h->opcode) {
	case FUSE_WRITE:
		return size >= sizeof *w && w->write_flags & FUSE_WRITE_KILL_SUIDGID;
	case FUSE_SETATTR:
		return size >= sizeof *s && s->valid & FATTR_KILL_SUIDGID;
	case FUSE_OPEN:
		return size >= sizeof *o && o->open_flags & FUSE_OPEN_KILL_SUIDGID;
	case FUSE_CREATE:
		return size >= sizeof *c && c->open_flags & FUSE_OPEN_KILL_SUIDGID;
	default:
		return false;
	}
}

static void look_into(struct fuse_session_data *data, const void *bytes, size_t size)
{
	const struct fuse_in_header *h = bytes;
	const struct fuse_init_in *i = (const void *)(h + 1);

	data->drop = says_drop(h, h + 1, size - sizeof *h);
	if (h->opcode == FUSE_INIT && size >= sizeof *h + sizeof *i && i->flags & FUSE_HANDLE_KILLPRIV_V2)
		data->init = h->unique;
}

/* libfuse's answer to FUSE_INIT is amended. */
static void amend(struct fuse_session_data *data, const struct iovec *vectors, int count)
{
	const struct fuse_out_header *h = vectors[0].iov_base;
	struct fuse_init_out *i;

	if (!data->init || vectors[0].iov_len != sizeof *h || h->unique != data->init)
		return;
	data->init = 0;
	if (h->error || count < 2 || vectors[1].iov_len < sizeof *i)
		return;
	i = vectors[1].iov_base;
	i->flags |= FUSE_HANDLE_KILLPRIV_V2;
	data->privileges = true;
}

static ssize_t receive(int fd, void *bytes, size_t room, void *context)
{
	uint32_t size;

	if (read_fully(fd, bytes, sizeof size) < 0)
		return -1;
	memcpy(&size, bytes, sizeof size);
	if (size < HEADER_BYTES || size > room) {
		errno = ENODEV; /* nothing behind this makes sense */
		return -1;
	}
	if (read_fully(fd, (char *)bytes + sizeof size, size - sizeof size) < 0)
		return -1;
	look_into(context, bytes, size);
	return (ssize_t)size;
}

static ssize_t send_all(int fd, struct iovec *vectors, int count, void *context)
{
	ssize_t total = 0;

	amend(context, vectors, count);
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

/* ---- start ------------------------------------------------------------------------------------------ */

static int make_arguments(const struct fuse_options *o, struct fuse_args *args, struct error *err)
{
	_cleanup_free_ char *options = text_format(err, "fsname=%s,subtype=monocore%s%s",
		o->name ? o->name : "monocore", o->allow_other ? ",allow_other" : "",
		o->own_permissions ? "" : ",default_permissions");

	if (!options)
		return -ERROR_NO_MEMORY;
	for (char *c = options; *c; c++) /* in options commas part them */
		if (*c == '\\')
			*c = '/';
	if (fuse_opt_add_arg(args, "monocore") < 0 || fuse_opt_add_arg(args, "-o") < 0 ||
		fuse_opt_add_arg(args, options) < 0)
		return error_no_memory(err, "FUSE");
	return 0;
}

static int start(struct vfs *fs, const struct fuse_options *o, struct fuse_server **out, struct error *err)
{
	_cleanup_(cleanup_fuse_server) struct fuse_server *s = calloc(1, sizeof *s);
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int r;

	if (!s)
		return error_no_memory(err, "FUSE");
	s->fd = -1;
	s->threads = o->threads ? o->threads : THREADS_DEFAULT;
	s->data = (struct fuse_session_data){.fs = fs,
		.timeout = (double)o->cache / (double)NANOSECONDS_PER_SECOND,
		.keep = o->keep_contents || (fs->read_only && o->cache > 0)};
	r = make_arguments(o, &args, err);
	if (r == 0)
		s->session = fuse_session_new(&args, &fuse_requests, sizeof fuse_requests, &s->data);
	fuse_opt_free_args(&args);
	if (r == 0 && !s->session)
		r = error_set(err, ERROR_SYSTEM, "start a FUSE session");
	if (r == 0)
		*out = TAKE_PTR(s);
	return r;
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
		r = start(fs, options, &s, err);
	if (r < 0)
		return r;
	if (fuse_session_mount(s->session, directory) < 0)
		return error_set(
			err, ERROR_DENIED, "mount on %s: FUSE refused (is fusermount3 there?)", directory);
	s->mounted = true;
	*out = TAKE_PTR(s);
	return 0;
}

int fuse_server_connect(struct vfs *fs, int fd, const struct fuse_options *options, struct fuse_server **out,
	struct error *err)
{
	static const struct fuse_custom_io io = {.read = receive, .writev = send_all};
	_cleanup_(cleanup_fuse_server) struct fuse_server *s = NULL;
	int r = start(fs, options, &s, err);

	if (r < 0) {
		close(fd);
		return r;
	}
	s->fd = fd;
	if (fuse_session_custom_io(s->session, &io, fd) < 0)
		return error_set(err, ERROR_SYSTEM, "start a FUSE session");
	*out = TAKE_PTR(s);
	return 0;
}

/* ---- run and end ------------------------------------------------------------------------------------ */

int fuse_server_run(struct fuse_server *s, struct error *err)
{
	struct fuse_loop_config *config;
	int r;

	/* A stream's messages are read by one thread: each read takes a length, then the rest. */
	if (s->fd >= 0) {
		r = fuse_session_loop(s->session);
	} else {
		config = fuse_loop_cfg_create();
		if (!config)
			return error_no_memory(err, "FUSE");
		fuse_loop_cfg_set_max_threads(config, s->threads);
		fuse_loop_cfg_set_idle_threads(config, s->threads);
		r = fuse_session_loop_mt(s->session, config);
		fuse_loop_cfg_destroy(config);
	}
	return r < 0 ? error_errno(err, -r, "serve FUSE") : 0;
}

void fuse_server_stop(struct fuse_server *s)
{
	fuse_session_exit(s->session);
}

/* libfuse knows nothing of forks: the descriptor becomes one that leads nowhere. */
void fuse_server_leave(struct fuse_server *s)
{
	int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (nowhere >= 0) {
		dup3(nowhere, fuse_session_fd(s->session), O_CLOEXEC);
		close(nowhere);
	}
}

void fuse_server_free(struct fuse_server *s)
{
	if (!s)
		return;
	if (s->mounted)
		fuse_session_unmount(s->session);
	if (s->session)
		fuse_session_destroy(s->session);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}
