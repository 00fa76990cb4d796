/* SPDX-License-Identifier: Apache-2.0 */
#include "os/unix_socket.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

static int make_address(int directory, const char *name, struct sockaddr_un *address, struct error *err)
{
	int n;

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", directory, name);
	return n > 0 && (size_t)n < sizeof address->sun_path
		       ? 0
		       : error_set(err, ERROR_INVALID, "%s: the name of a socket is too long", name);
}

int unix_socket_listen(int directory, const char *name, int *listener, struct error *err)
{
	_cleanup_fd_ int s = -1;
	struct sockaddr_un address;
	int r = make_address(directory, name, &address, err);

	if (r < 0)
		return r;
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s < 0)
		return error_errno(err, errno, "make the socket %s", name);
	unlinkat(directory, name, 0);
	if (bind(s, (struct sockaddr *)&address, sizeof address) < 0 || listen(s, 64) < 0)
		return error_errno(err, errno, "make the socket %s", name);
	*listener = TAKE_FD(s);
	return 0;
}

static int connect_socket(int directory, const char *name, int flags, int *connection, struct error *err)
{
	_cleanup_fd_ int s = -1;
	struct sockaddr_un address;
	int r = make_address(directory, name, &address, err);

	if (r < 0)
		return r;
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (s < 0)
		return error_errno(err, errno, "connect to the socket %s", name);
	if (connect(s, (struct sockaddr *)&address, sizeof address) < 0)
		return errno == ENOENT || errno == ECONNREFUSED
			       ? error_set(err, ERROR_NOT_FOUND, "nobody listens at the socket %s", name)
			       : error_errno(err, errno, "connect to the socket %s", name);
	*connection = TAKE_FD(s);
	return 0;
}

int unix_socket_connect(int directory, const char *name, int *connection, struct error *err)
{
	_cleanup_fd_ int s = -1;
	int r = connect_socket(directory, name, 0, &s, err);

	if (r == 0)
		r = unix_socket_check_peer(s, err);
	if (r == 0)
		*connection = TAKE_FD(s);
	return r;
}

int unix_socket_connect_any(int directory, const char *name, int *connection, struct error *err)
{
	return connect_socket(directory, name, SOCK_NONBLOCK, connection, err);
}

int unix_socket_check_peer(int connection, struct error *err)
{
	struct ucred who;
	socklen_t size = sizeof who;

	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
		return error_errno(err, errno, "ask who is at the other end");
	if (who.uid != geteuid() && who.uid != 0)
		return error_set(err, ERROR_DENIED, "the process at the other end belongs to user %u",
			(unsigned)who.uid);
	return 0;
}
