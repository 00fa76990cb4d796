/* SPDX-License-Identifier: Apache-2.0 */
#include "os/descriptors.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr header; /* for its alignment */
	char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
};

int descriptors_send(int socket, const void *bytes, size_t n, const int *fds, int count)
{
	struct iovec vector = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
	union control control = {0};
	struct msghdr m = {.msg_iov = &vector, .msg_iovlen = 1};
	ssize_t sent;

	if (count > DESCRIPTORS_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (count > 0) {
		struct cmsghdr *c = &control.header;

		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE((size_t)count * sizeof *fds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN((size_t)count * sizeof *fds);
		memcpy(CMSG_DATA(c), fds, (size_t)count * sizeof *fds);
	}
	do
		sent = sendmsg(socket, &m, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)n ? 0 : -1;
}

static void take(const struct cmsghdr *c, int *fds, int room, int *count)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof *fds;

	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
		if (*count < room)
			fds[(*count)++] = fd;
		else
			close(fd);
	}
}

ssize_t descriptors_receive(int socket, void *bytes, size_t n, int *fds, int *count)
{
	struct iovec vector = {.iov_base = bytes, .iov_len = n};
	union control control = {0};
	struct msghdr m = {.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control};
	int room = *count;
	ssize_t got;

	*count = 0;
	do
		got = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return got;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			take(c, fds, room, count);
	return got;
}
