/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/volume_tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/volume_thread.h"

#define PIECE      (32768 - VOLUME_HEADER_SIZE) /* what the port takes in one write, with its header */
#define TAKEN_SAY  (VOLUME_WINDOW / 4)          /* bytes dealt with after which the host hears of it */
#define BACKLOG    16
#define WRITE_TIME 200000 /* microseconds for which a client is waited for, until somebody looks about */

struct volume_tcp {
	volume_tcp_send *send;
	void *context;
	int listening;
	uint8_t up[VOLUME_HEADER_SIZE + PIECE]; /* of the thread that reads */

	pthread_mutex_t mutex; /* of what follows */
	pthread_cond_t changed;
	int client, mount; /* -1: none */
	uint32_t credit;   /* bytes that may be sent */
	uint32_t taken;    /* bytes dealt with that the host has not heard of */
	uint32_t at, size; /* of `down`, a ring */
	bool writing;      /* to the client, without the mutex */
	bool dropped;      /* ... what is not wanted any more */
	bool ours, theirs; /* RESET was sent, has come; both, and the next connection begins */
	bool over;
	uint8_t down[VOLUME_WINDOW]; /* for the client */
};

static void say(struct volume_tcp *t, enum volume_frame_type type, uint32_t value)
{
	uint8_t bytes[VOLUME_HEADER_SIZE + 4];

	volume_u32_encode(value, bytes + VOLUME_HEADER_SIZE);
	t->send(t->context, type, bytes, type == VOLUME_CREDIT ? 4 : 0);
}

/* ---- one connection; the mutex is held ---------------------------------------------------------------- */

static void dealt_with(struct volume_tcp *t, uint32_t n)
{
	t->taken += n;
	if (t->taken < TAKEN_SAY)
		return;
	say(t, VOLUME_CREDIT, t->taken);
	t->taken = 0;
}

static void drop_data(struct volume_tcp *t)
{
	uint32_t n = t->size;

	t->dropped = true;
	t->at = t->size = 0;
	dealt_with(t, n);
}

/* Whoever reads from it hears of that. Nothing is said to the client, whom the socket's close resets. */
static void break_off(struct volume_tcp *t)
{
	if (t->client >= 0)
		shutdown(t->client, SHUT_RD);
	drop_data(t);
	pthread_cond_broadcast(&t->changed);
}

static void send_reset(struct volume_tcp *t)
{
	say(t, VOLUME_RESET, 0);
	t->ours = !t->theirs;
	t->theirs = false;
}

/* ---- from the client to the host: a thread ------------------------------------------------------------ */

static uint32_t take_credit(struct volume_tcp *t, uint32_t most)
{
	uint32_t n;

	pthread_mutex_lock(&t->mutex);
	while (!t->credit && !t->over && !t->theirs)
		pthread_cond_wait(&t->changed, &t->mutex);
	n = t->over || t->theirs ? 0 : t->credit < most ? t->credit : most;
	t->credit -= n;
	pthread_mutex_unlock(&t->mutex);
	return n;
}

/* A piece's header takes the place of the end of the piece before, which is sent. */
static bool pass_up(struct volume_tcp *t, int client)
{
	ssize_t size;

	do
		size = recv(client, t->up + VOLUME_HEADER_SIZE, PIECE, 0);
	while (size < 0 && errno == EINTR);
	for (uint32_t at = 0; size > 0 && at < (uint32_t)size;) {
		uint32_t n = take_credit(t, (uint32_t)size - at);

		if (!n)
			return false;
		t->send(t->context, VOLUME_DATA, t->up + at, n);
		at += n;
	}
	return size > 0;
}

/* Whether a line of /proc/net/tcp (proc(5)) is the other end of the connection, and root's. Where that is
 * closed already, the kernel says that it is root's, whoever had it, and that it has no inode. */
static bool is_roots_peer(const char *line, const struct sockaddr_in *peer, const struct sockaddr_in *self)
{
	unsigned from, from_port, to, to_port, uid;
	unsigned long inode;

	return sscanf(line, " %*d: %x:%x %x:%x %*x %*x:%*x %*x:%*x %*x %u %*d %lu", &from, &from_port, &to,
		       &to_port, &uid, &inode) == 6 &&
	       from == peer->sin_addr.s_addr && from_port == ntohs(peer->sin_port) &&
	       to == self->sin_addr.s_addr && to_port == ntohs(self->sin_port) && uid == 0 && inode != 0;
}

/* The kernel's own sockets are root's. */
static bool is_roots(int client)
{
	struct sockaddr_in peer, self;
	socklen_t peer_size = sizeof peer, self_size = sizeof self;
	FILE *list = fopen("/proc/net/tcp", "re");
	bool found = false;
	char line[256];

	if (list && getpeername(client, (struct sockaddr *)&peer, &peer_size) == 0 &&
		getsockname(client, (struct sockaddr *)&self, &self_size) == 0)
		while (!found && fgets(line, sizeof line, list))
			found = is_roots_peer(line, &peer, &self);
	if (list)
		fclose(list);
	return found;
}

/* A client that reads its end connects anew after 3 seconds, one that is reset at once (Linux,
 * net/sunrpc/xprtsock.c). */
static void set_options(int client)
{
	const struct linger reset = {.l_onoff = 1};
	const struct timeval write_time = {.tv_usec = WRITE_TIME};
	int yes = 1;

	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &write_time, sizeof write_time);
}

static int accept_client(struct volume_tcp *t)
{
	int client = accept4(t->listening, NULL, NULL, SOCK_CLOEXEC);

	if (client < 0) {
		usleep(10000); /* out of descriptors or memory */
		return -1;
	}
	if (!is_roots(client)) {
		close(client);
		return -1;
	}
	set_options(client);
	return client;
}

/* Until nobody uses its descriptor, and the host has heard that it is over, and knows. What it still sends
 * until then is for nobody, who may not take it either. */
static void finish(struct volume_tcp *t)
{
	int client;

	pthread_mutex_lock(&t->mutex);
	break_off(t);
	client = TAKE_FD(t->client);
	if (!t->over)
		send_reset(t);
	while (t->writing || (t->ours && !t->over))
		pthread_cond_wait(&t->changed, &t->mutex);
	pthread_mutex_unlock(&t->mutex);
	close(client);
}

/* Nobody will answer any more: whoever waits, and whoever comes, gets EIO. */
static _Noreturn void break_mount(struct volume_tcp *t)
{
	char path[32];

	for (;;) {
		pthread_mutex_lock(&t->mutex);
		snprintf(path, sizeof path, "/proc/self/fd/%d", t->mount);
		pthread_mutex_unlock(&t->mutex);
		umount2(path, MNT_FORCE);
		usleep(500000);
	}
}

static bool begin(struct volume_tcp *t, int client)
{
	bool over;

	pthread_mutex_lock(&t->mutex);
	over = t->over;
	t->client = client;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->mutex);
	return !over;
}

static void *serve_client(void *context)
{
	struct volume_tcp *t = context;

	for (bool over = false; !over;) {
		int client = accept_client(t);

		if (client >= 0) {
			if (begin(t, client))
				while (pass_up(t, client))
					;
			finish(t);
		}
		pthread_mutex_lock(&t->mutex);
		over = t->over;
		pthread_mutex_unlock(&t->mutex);
	}
	close(t->listening);
	break_mount(t);
}

/* ---- from the host to the client: a thread ------------------------------------------------------------ */

/* The mutex is held, but for the time in which the client may be waited for. */
static void pass_down(struct volume_tcp *t)
{
	uint32_t end = sizeof t->down - t->at;
	size_t n = t->size < end ? t->size : end;
	const uint8_t *from = t->down + t->at;
	int client = t->client;
	ssize_t sent;

	t->writing = true;
	t->dropped = false;
	pthread_mutex_unlock(&t->mutex);
	sent = send(client, from, n, MSG_NOSIGNAL);
	pthread_mutex_lock(&t->mutex);
	t->writing = false;
	if (sent < 0 && errno != EINTR && errno != EAGAIN) {
		break_off(t);
	} else if (sent > 0 && !t->dropped) {
		t->at = (t->at + (uint32_t)sent) % sizeof t->down;
		t->size -= (uint32_t)sent;
		dealt_with(t, (uint32_t)sent);
	}
	pthread_cond_broadcast(&t->changed);
}

static void *serve_host(void *context)
{
	struct volume_tcp *t = context;

	pthread_mutex_lock(&t->mutex);
	while (!t->over)
		if (t->client >= 0 && t->size)
			pass_down(t);
		else
			pthread_cond_wait(&t->changed, &t->mutex);
	pthread_mutex_unlock(&t->mutex);
	return NULL;
}

bool volume_tcp_data(struct volume_tcp *t, const uint8_t *bytes, uint32_t n)
{
	bool fits;

	pthread_mutex_lock(&t->mutex);
	fits = n <= sizeof t->down - t->size;
	if (fits && (t->ours || t->over)) {
		dealt_with(t, n);
	} else if (fits) {
		uint32_t to = (t->at + t->size) % sizeof t->down, end = sizeof t->down - to;
		uint32_t part = n < end ? n : end;

		memcpy(t->down + to, bytes, part);
		memcpy(t->down, bytes + part, n - part);
		t->size += n;
		pthread_cond_broadcast(&t->changed);
	}
	pthread_mutex_unlock(&t->mutex);
	return fits;
}

void volume_tcp_credit(struct volume_tcp *t, uint32_t more)
{
	pthread_mutex_lock(&t->mutex);
	t->credit = more > VOLUME_WINDOW - t->credit ? VOLUME_WINDOW : t->credit + more;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->mutex);
}

/* Where there is a client, the thread that reads it answers. */
bool volume_tcp_reset(struct volume_tcp *t)
{
	bool sound;

	pthread_mutex_lock(&t->mutex);
	sound = !t->theirs;
	if (t->ours) {
		t->ours = false;
	} else if (sound) {
		t->theirs = true;
		break_off(t);
		if (t->client < 0)
			send_reset(t);
	}
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->mutex);
	return sound;
}

void volume_tcp_end(struct volume_tcp *t)
{
	pthread_mutex_lock(&t->mutex);
	t->over = true;
	break_off(t);
	pthread_mutex_unlock(&t->mutex);
	shutdown(t->listening, SHUT_RDWR); /* ends the wait for a client */
}

/* ---- start -------------------------------------------------------------------------------------------- */

static int listen_here(uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	_cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof a;

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) < 0 || listen(fd, BACKLOG) < 0 ||
		getsockname(fd, (struct sockaddr *)&a, &size) < 0)
		return -1;
	*port = ntohs(a.sin_port);
	return TAKE_FD(fd);
}

int volume_tcp_new(
	volume_tcp_send *send, void *context, struct volume_tcp **out, uint16_t *port, struct error *err)
{
	struct volume_tcp *t = calloc(1, sizeof *t);
	int r;

	if (!t)
		return error_no_memory(err, "serve a volume");
	t->send = send;
	t->context = context;
	t->client = t->mount = -1;
	t->credit = VOLUME_WINDOW;
	pthread_mutex_init(&t->mutex, NULL);
	pthread_cond_init(&t->changed, NULL);
	t->listening = listen_here(port);
	if (t->listening < 0) {
		free(t);
		return error_errno(err, errno, "listen on the loopback interface");
	}
	*out = t;
	r = volume_thread_start(serve_client, t, err);
	if (r == 0)
		r = volume_thread_start(serve_host, t, err);
	return r;
}

void volume_tcp_mounted(struct volume_tcp *t, int mount)
{
	pthread_mutex_lock(&t->mutex);
	t->mount = mount;
	pthread_mutex_unlock(&t->mutex);
}
