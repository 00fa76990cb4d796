/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse_mount.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/volume.h"
#include "os/process.h"
#include "test.h"
#include "vfs/fuse/operations.h"

#define UNMOUNT_TIME (10 * NANOSECONDS_PER_SECOND)
#define MESSAGE_MOST ((1u << 20) + (1u << 16))

/* ---- the process that serves ------------------------------------------------------------------------ */

static int run_server(struct fuse_server *server, struct vfs *fs)
{
	struct error err;
	int r = fuse_server_run(server, &err);

	fuse_server_free(server);
	vfs_destroy(fs);
	return r < 0;
}

static _Noreturn void serve_mounted(const struct fuse_mount *m, fuse_mount_make *make, const void *context,
	const struct fuse_options *options, int ready)
{
	struct vfs *fs = make(context, false);
	struct fuse_server *server = NULL;
	struct error err = {0};

	if (!fs || fuse_server_mount(fs, m->path, options, &server, &err) < 0 || write(ready, "x", 1) != 1) {
		fprintf(stderr, "# %s\n", err.text);
		_exit(1);
	}
	_exit(run_server(server, fs));
}

/* ---- behind a socket -------------------------------------------------------------------------------- */

struct relay {
	fuse_mount_make *make;
	const void *context;
	const struct fuse_options *options;
	int device, socket;
	pid_t server;
	char *init; /* the first request, which each server gets */
	size_t init_size;
	char *message; /* MESSAGE_MOST bytes */
};

static _Noreturn void serve_connected(struct relay *r, int socket, bool again)
{
	struct vfs *fs;
	struct fuse_server *server = NULL;
	struct error err = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(r->device);
	fs = r->make(r->context, again);
	if (!fs || fuse_server_connect(fs, socket, r->options, &server, &err) < 0) {
		fprintf(stderr, "# %s\n", err.text);
		_exit(1);
	}
	_exit(run_server(server, fs));
}

static bool start_server(struct relay *r, bool again)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return false;
	r->server = fork();
	if (r->server == 0) {
		close(ends[0]);
		serve_connected(r, ends[1], again);
	}
	close(ends[1]);
	r->socket = ends[0];
	return r->server > 0;
}

static bool move_fully(ssize_t (*call)(int, void *, size_t), int fd, char *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = call(fd, bytes + done, size - done);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static ssize_t write_some(int fd, void *bytes, size_t size)
{
	return write(fd, bytes, size);
}

static bool send_request(struct relay *r, char *bytes, size_t size)
{
	return move_fully(write_some, r->socket, bytes, size);
}

/* A message of the server. Returns its size, or 0. */
static size_t receive(struct relay *r)
{
	uint32_t size;

	if (!move_fully(read, r->socket, r->message, sizeof size))
		return 0;
	memcpy(&size, r->message, sizeof size);
	if (size < sizeof(struct fuse_out_header) || size > MESSAGE_MOST ||
		!move_fully(read, r->socket, r->message + sizeof size, size - sizeof size))
		return 0;
	return size;
}

/* What the server says, to the kernel, up to the answer to a request. */
static bool pass_answer(struct relay *r, uint64_t unique, bool keep)
{
	for (;;) {
		size_t n = receive(r);
		struct fuse_out_header h;

		if (n == 0)
			return false;
		memcpy(&h, r->message, sizeof h);
		/* A request that nobody waits for any more, and a notice about what is not cached, are no
		 * failures. */
		if ((h.unique != unique || !keep) && write(r->device, r->message, n) < 0 && errno != ENOENT)
			return false;
		if (h.unique == unique)
			return true;
	}
}

/* The answer to a request, which nobody gets. */
static bool lose_answer(struct relay *r, uint64_t unique)
{
	struct fuse_out_header h;

	do {
		if (receive(r) == 0)
			return false;
		memcpy(&h, r->message, sizeof h);
	} while (h.unique != unique);
	return true;
}

static bool change_servers(struct relay *r)
{
	struct fuse_in_header h;

	kill(r->server, SIGKILL);
	if (waitpid(r->server, NULL, 0) != r->server)
		return false;
	close(r->socket);
	memcpy(&h, r->init, sizeof h);
	return start_server(r, true) && send_request(r, r->init, r->init_size) &&
	       pass_answer(r, h.unique, true);
}

/* The server dies when it has carried the request out and has not said so: the next one gets it again. */
static bool repeat(struct relay *r, size_t n)
{
	_cleanup_free_ char *copy = malloc(n);
	struct fuse_in_header h;
	struct fuse_out_header answer;

	memcpy(copy, r->message, n);
	memcpy(&h, copy, sizeof h);
	if (!send_request(r, copy, n) || !lose_answer(r, h.unique) || !change_servers(r))
		return false;
	h.unique |= VOLUME_AGAIN;
	memcpy(copy, &h, sizeof h);
	if (!send_request(r, copy, n))
		return false;
	do {
		n = receive(r);
		if (n == 0)
			return false;
		memcpy(&answer, r->message, sizeof answer);
	} while (answer.unique != h.unique);
	answer.unique &= ~VOLUME_AGAIN;
	memcpy(r->message, &answer, sizeof answer);
	return write(r->device, r->message, n) == (ssize_t)n || errno == ENOENT;
}

/* Of the kernel; dies: its server does. False: it is unmounted, or something is wrong. */
static bool relay_request(struct relay *r, bool dies)
{
	ssize_t n = read(r->device, r->message, MESSAGE_MOST);
	struct fuse_in_header h;

	if (n < (ssize_t)sizeof h)
		return n < 0 && (errno == EINTR || errno == ENOENT);
	memcpy(&h, r->message, sizeof h);
	if (h.opcode == FUSE_INIT) {
		r->init = malloc((size_t)n);
		memcpy(r->init, r->message, (size_t)n);
		r->init_size = (size_t)n;
	}
	if (h.opcode == FUSE_WRITE && dies)
		return repeat(r, (size_t)n);
	if (!send_request(r, r->message, (size_t)n))
		return false;
	return h.opcode == FUSE_FORGET || h.opcode == FUSE_BATCH_FORGET || h.opcode == FUSE_INTERRUPT ||
	       pass_answer(r, h.unique, false);
}

/* Ends with 0 where the server did after the last request. */
static _Noreturn void relay_all(struct relay *r, unsigned each)
{
	int status = 1;

	for (unsigned i = 1; relay_request(r, each && i % (each / 8) == 0); i++)
		if (each && i % each == 0 && !change_servers(r))
			_exit(1);
	close(r->socket);
	waitpid(r->server, &status, 0);
	_exit(status != 0);
}

static int open_device(const struct fuse_mount *m)
{
	static const struct fuse_lowlevel_ops none;
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *session;

	if (fuse_opt_add_arg(&args, "test") < 0 || fuse_opt_add_arg(&args, "-odefault_permissions") < 0)
		return -1;
	session = fuse_session_new(&args, &none, sizeof none, NULL);
	if (!session || fuse_session_mount(session, m->path) < 0)
		return -1;
	return fuse_session_fd(session);
}

static _Noreturn void serve_relayed(const struct fuse_mount *m, struct relay *r, unsigned each, int ready)
{
	r->message = malloc(MESSAGE_MOST);
	r->device = open_device(m);
	if (r->device < 0 || !start_server(r, false) || write(ready, "x", 1) != 1)
		_exit(1);
	relay_all(r, each);
}

/* ---- both ------------------------------------------------------------------------------------------- */

static void open_mount(struct fuse_mount *m, struct relay *r, unsigned each, bool relayed)
{
	int ends[2];
	char c;

	strcpy(m->path, "/tmp/monocore-test-XXXXXX");
	CHECK(mkdtemp(m->path));
	CHECK(pipe(ends) == 0);
	fflush(stdout);
	m->child = fork();
	CHECK(m->child >= 0);
	if (m->child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		if (relayed)
			serve_relayed(m, r, each, ends[1]);
		serve_mounted(m, r->make, r->context, r->options, ends[1]);
	}
	close(ends[1]);
	CHECK_INT(read(ends[0], &c, 1), 1);
	close(ends[0]);
}

void fuse_mount_open(
	struct fuse_mount *m, fuse_mount_make *make, const void *context, const struct fuse_options *options)
{
	struct relay r = {.make = make, .context = context, .options = options};

	open_mount(m, &r, 0, false);
}

void fuse_mount_open_relayed(struct fuse_mount *m, fuse_mount_make *make, const void *context,
	const struct fuse_options *options, unsigned each)
{
	struct relay r = {.make = make, .context = context, .options = options};

	open_mount(m, &r, each, true);
}

void fuse_mount_close(struct fuse_mount *m)
{
	const char *const argv[] = {"fusermount3", "-u", m->path, NULL};
	struct process_run_options options = {.timeout = UNMOUNT_TIME};
	struct error err;
	int status;

	CHECK_OK(process_run(argv, &options, &err));
	CHECK_INT(waitpid(m->child, &status, 0), m->child);
	CHECK_INT(status, 0);
	CHECK_INT(rmdir(m->path), 0);
}
