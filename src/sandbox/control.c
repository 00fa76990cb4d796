/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

void control_attach_encode(const struct control_attach *m, struct buffer *out)
{
	buffer_u32(out, m->flags);
	buffer_u16(out, m->rows);
	buffer_u16(out, m->columns);
}

int control_attach_decode(struct cursor in, struct control_attach *m, struct error *err)
{
	m->flags = cursor_u32(&in);
	m->rows = cursor_u16(&in);
	m->columns = cursor_u16(&in);
	return cursor_done(&in) ? 0 : error_set(err, ERROR_INVALID, "a malformed request to attach");
}

void control_progress_encode(const struct control_progress *m, struct buffer *out)
{
	buffer_string(out, m->task);
	buffer_string(out, m->unit);
	buffer_u64(out, m->done);
	buffer_u64(out, m->total);
	buffer_u8(out, m->finished);
}

int control_progress_decode(struct cursor in, struct control_progress *m, struct error *err)
{
	m->task = cursor_string(&in);
	m->unit = cursor_string(&in);
	m->done = cursor_u64(&in);
	m->total = cursor_u64(&in);
	m->finished = cursor_u8(&in);
	if (cursor_done(&in))
		return 0;
	control_progress_free(m);
	return error_set(err, ERROR_INVALID, "a malformed report of progress");
}

void control_progress_free(struct control_progress *m)
{
	free(m->task);
	free(m->unit);
	m->task = m->unit = NULL;
}

static void socket_address(int fd, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/control", fd);
}

int control_listen(int fd, int *listener, struct error *err)
{
	_cleanup_fd_ int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;

	if (s < 0)
		return error_errno(err, errno, "make the control socket");
	socket_address(fd, &address);
	unlinkat(fd, "control", 0);
	if (bind(s, (struct sockaddr *)&address, sizeof address) < 0 || listen(s, 64) < 0)
		return error_errno(err, errno, "make the control socket");
	*listener = TAKE_FD(s);
	return 0;
}

int control_connect(int fd, int *connection, struct error *err)
{
	_cleanup_fd_ int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	int r;

	if (s < 0)
		return error_errno(err, errno, "connect to the sandbox");
	socket_address(fd, &address);
	if (connect(s, (struct sockaddr *)&address, sizeof address) < 0)
		return errno == ENOENT || errno == ECONNREFUSED
			       ? error_set(err, ERROR_NOT_FOUND, "the sandbox is not running")
			       : error_errno(err, errno, "connect to the sandbox");
	r = control_check_peer(s, err);
	if (r == 0)
		*connection = TAKE_FD(s);
	return r;
}

int control_check_peer(int connection, struct error *err)
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
