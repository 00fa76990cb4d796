/* SPDX-License-Identifier: Apache-2.0 */
#include "net_world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "os/fs.h"

static struct error err;

/* A few turns more, in which nothing is expected. */
void world_settle(struct world *w)
{
	for (int i = 0; i < 20; i++) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

void world_frame(void *context, const uint8_t *frame, size_t n)
{
	struct world *w = context;

	net_guest_take(&w->guest, frame, n);
}

static void from_guest(void *context, uint8_t *frame, size_t n)
{
	struct world *w = context;

	if (!w->answer || !w->answer(w->context, frame, n))
		egress_input(w->egress, frame, n);
}

void world_open(struct world *w, unsigned sockets)
{
	const struct egress_calls calls = {.frame = world_frame};
	struct egress_config config = {.subnet = SUBNET, .bits = 24, .sockets = sockets};

	*w = (struct world){0};
	uv_loop_init(&w->loop);
	snprintf(w->path, sizeof w->path, "/tmp/monocore-test-XXXXXX");
	CHECK(mkdtemp(w->path));
	config.directory = w->directory = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_OK(egress_new(&w->loop, &config, &calls, w, &w->egress, &err));
	CHECK_OK(egress_add(w->egress, GUEST, &w->port, &err));
	net_guest_init(&w->guest, GUEST, GATEWAY, from_guest, w);
}

void world_close(struct world *w)
{
	if (w->port)
		egress_remove(w->port);
	egress_close(w->egress);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	CHECK_INT(uv_loop_close(&w->loop), 0);
	net_guest_free(&w->guest);
	close(w->directory);
	CHECK_OK(fs_remove_tree(AT_FDCWD, w->path, &err));
}

/* A socket of this host on loopback; TCP listens. */
int host_socket(int type, uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof a;
	int s = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	CHECK(s >= 0 && bind(s, (struct sockaddr *)&a, sizeof a) == 0);
	CHECK(type != SOCK_STREAM || listen(s, 1024) == 0);
	CHECK(getsockname(s, (struct sockaddr *)&a, &size) == 0);
	*port = ntohs(a.sin_port);
	return s;
}

int world_accept(struct world *w, int listener)
{
	int fd = -1;

	UNTIL(w, (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
	return fd;
}

/* Bytes that can be read just now, appended. */
size_t read_some(int fd, struct buffer *b)
{
	uint8_t bytes[65536];
	ssize_t n;

	while ((n = read(fd, bytes, sizeof bytes)) > 0)
		buffer_append(b, bytes, (size_t)n);
	return b->size;
}

int host_connect(int type, uint32_t to, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(to), .sin_port = htons(port)};
	int s = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	CHECK(s >= 0 && connect(s, (struct sockaddr *)&a, sizeof a) == 0);
	fcntl(s, F_SETFL, O_RDWR | O_NONBLOCK);
	return s;
}
