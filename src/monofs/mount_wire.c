/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/mount_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "os/fs.h"

static int send_all(int fd, const uint8_t *bytes, size_t n, struct error *err)
{
	while (n > 0) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EPIPE || errno == ECONNRESET
				       ? error_set(err, ERROR_CLOSED, "the process of the mount has gone")
				       : error_errno(err, errno, "speak to the process of a mount");
		bytes += sent;
		n -= (size_t)sent;
	}
	return 0;
}

int mount_send(int fd, const struct buffer *message, struct error *err)
{
	_cleanup_buffer_ struct buffer framed = {0};

	buffer_bytes(&framed, message->data, message->size);
	if (message->failed || framed.failed || message->size > MOUNT_MESSAGE_MAX)
		return error_no_memory(err, "speak to the process of a mount");
	return send_all(fd, framed.data, framed.size, err);
}

static int receive_all(int fd, uint8_t *bytes, size_t n, struct error *err)
{
	while (n > 0) {
		ssize_t got = recv(fd, bytes, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return error_set(err, ERROR_TIMEOUT, "the process of a mount does not answer");
		if (got <= 0)
			return error_set(err, ERROR_CLOSED, "the process of the mount has gone");
		bytes += got;
		n -= (size_t)got;
	}
	return 0;
}

int mount_receive(int fd, struct buffer *message, struct error *err)
{
	uint8_t head[4];
	struct cursor in = cursor_of(head, sizeof head);
	int r = receive_all(fd, head, sizeof head, err);
	uint32_t size = r == 0 ? cursor_u32(&in) : 0;

	if (r < 0)
		return r;
	buffer_clear(message);
	if (size > MOUNT_MESSAGE_MAX)
		return error_set(
			err, ERROR_INVALID, "a message of %u bytes from the process of a mount", size);
	if (!buffer_reserve(message, size))
		return error_no_memory(err, "speak to the process of a mount");
	r = receive_all(fd, message->data, size, err);
	message->size = r == 0 ? size : 0;
	return r;
}

/* Others may write in the directory above: what lies there is judged before it is used. */
static int open_own(int above, const char *name, const char *path, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	struct stat s;

	if (mkdirat(above, name, 0700) < 0 && errno != EEXIST)
		return error_errno(err, errno, "make %s, for the sockets of mounts", path);
	fd = fs_open(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &s) < 0)
		return error_errno(err, errno, "look at %s", path);
	if (s.st_uid != geteuid() || (s.st_mode & 077) != 0)
		return error_set(err, ERROR_DENIED,
			"%s, where the sockets of mounts lie, is not yours alone: have it removed, or set "
			"XDG_RUNTIME_DIR to a directory that is",
			path);
	return TAKE_FD(fd);
}

int mount_directory(struct error *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	_cleanup_free_ char *name = NULL, *path = NULL;
	_cleanup_fd_ int above = -1;
	bool own = runtime && *runtime == '/';

	above = own ? open(runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	own = above >= 0;
	if (!own)
		above = fs_open(AT_FDCWD, "/tmp", O_RDONLY | O_DIRECTORY, 0, err);
	if (above < 0)
		return above;
	name = own ? text_copy("monofs", err) : text_format(err, "monofs-%u", (unsigned)geteuid());
	path = name ? text_format(err, "%s/%s", own ? runtime : "/tmp", name) : NULL;
	return path ? open_own(above, name, path, err) : -ERROR_NO_MEMORY;
}
