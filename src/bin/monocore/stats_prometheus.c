/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics for Prometheus: a file for the textfile collector of its node exporter, or a socket, where each who
 * connects asks by HTTP, one at a time. Who is slow or silent is given up.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/monocore/output.h"
#include "bin/monocore/stats.h"
#include "monocore_observe.h"
#include "os/fs.h"
#include "os/unix_socket.h"

#define EVERY_MS      10000
#define PATIENCE      2 /* seconds, for a request and for the reader of an answer */
#define REQUEST_MAX   8192
#define SOCKET_SCHEME "unix:"

/* The directory that holds `path`, and the name in it, which points into path. */
static int open_parent(const char *path, const char **name, struct error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent =
		slash == path ? text_copy("/", err)
			      : text_copy_bytes(slash ? path : ".", slash ? (size_t)(slash - path) : 1, err);

	*name = slash ? slash + 1 : path;
	if (!parent)
		return -ERROR_NO_MEMORY;
	if (!**name)
		return error_set(err, ERROR_USAGE, "%s is a directory", path);
	return fs_open(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY, 0, err);
}

static int metrics(struct cli *cli, char **text, struct error *err)
{
	struct monocore_error failure;

	if (monocore_stats_prometheus(cli->mc, text, &failure) < 0)
		return error_set(err, (enum error_code)failure.code, "%s", failure.text);
	return 0;
}

/* ---- a file ------------------------------------------------------------------------------------------- */

static int write_file(struct cli *cli, int directory, const char *name, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	int r = metrics(cli, &text, err);

	/* The node exporter is another user. */
	return r < 0 ? r : fs_write_atomic(directory, name, text, strlen(text), 0644, err);
}

static int to_file(struct cli *cli, const char *path, bool once, struct error *err)
{
	const char *name;
	_cleanup_fd_ int directory = open_parent(path, &name, err);
	int r = directory < 0 ? directory : write_file(cli, directory, name, err);

	while (r == 0 && !once) {
		poll(NULL, 0, EVERY_MS);
		r = write_file(cli, directory, name, err);
	}
	return r;
}

/* ---- a socket ----------------------------------------------------------------------------------------- */

/* Up to the empty line; whatever the path is, there is one answer. */
static bool read_request(int fd)
{
	char bytes[REQUEST_MAX];
	size_t n = 0;
	ssize_t got;

	while (n < sizeof bytes && (got = read(fd, bytes + n, sizeof bytes - n)) > 0) {
		n += (size_t)got;
		if (memmem(bytes, n, "\r\n\r\n", 4) || memmem(bytes, n, "\n\n", 2))
			return n > 4 && !memcmp(bytes, "GET ", 4);
	}
	return false;
}

static void answer(struct cli *cli, int fd)
{
	const struct timeval patience = {.tv_sec = PATIENCE};
	_cleanup_buffer_ struct buffer b = {0};
	_cleanup_free_ char *text = NULL;
	struct error err;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (!read_request(fd))
		buffer_append_text(&b, "HTTP/1.0 400 Bad Request\r\n\r\n");
	else if (metrics(cli, &text, &err) < 0)
		buffer_append_text(&b, "HTTP/1.0 500 Internal Server Error\r\n\r\n");
	else
		buffer_format(&b,
			"HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
			"Content-Length: %zu\r\n\r\n%s",
			strlen(text), text);
	if (!b.failed)
		fs_write_all(fd, b.data, b.size, "an answer", NULL);
}

/* What another program made, or listens at, is left to it. */
static int listen_at(int directory, const char *name, int *listener, struct error *err)
{
	_cleanup_fd_ int other = -1;
	struct stat st;

	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return error_set(err, ERROR_EXISTS, "%s is there, and no socket", name);
		if (unix_socket_connect_any(directory, name, &other, NULL) == 0)
			return error_set(err, ERROR_BUSY, "another process listens at %s", name);
	}
	return unix_socket_listen(directory, name, listener, err);
}

static int to_socket(struct cli *cli, const char *path, struct error *err)
{
	_cleanup_fd_ int directory = -1, listener = -1;
	const char *name;
	int r;

	directory = open_parent(path, &name, err);
	r = directory < 0 ? directory : listen_at(directory, name, &listener, err);
	if (r < 0)
		return r;
	signal(SIGPIPE, SIG_IGN);
	for (struct pollfd p = {.fd = listener, .events = POLLIN}; poll(&p, 1, -1) >= 0 || errno == EINTR;) {
		_cleanup_fd_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			answer(cli, fd);
	}
	return error_errno(err, errno, "wait at %s", path);
}

int stats_prometheus(struct cli *cli, const char *where, bool once)
{
	_cleanup_free_ char *text = NULL;
	struct error err;
	int r;

	if (text_starts(where, SOCKET_SCHEME)) {
		r = to_socket(cli, where + strlen(SOCKET_SCHEME), &err);
	} else if (strcmp(where, "-")) {
		r = to_file(cli, where, once, &err);
	} else {
		r = metrics(cli, &text, &err);
		if (r == 0)
			fputs(text, stdout);
	}
	return r < 0 ? cli_complain(cli, &err) : output_finish();
}
