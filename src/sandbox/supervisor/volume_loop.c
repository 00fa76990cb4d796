/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/supervisor/volume_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "os/descriptors.h"

#define PAUSE_FIRST MILLISECONDS(50)
#define PAUSE_MOST  MILLISECONDS(5000)
#define LIFE_LEAST  MILLISECONDS(100) /* between two servers of a volume */

#define ENDED "it ended; another takes over"

/* Places in the list that is polled; the servers follow. */
enum { POLL_WAKE, POLL_KEEPER, POLL_PORT, POLL_SERVERS };

static void tell(struct volumes *v, enum error_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void tell(struct volumes *v, enum error_code code, const char *format, ...)
{
	struct error news = {0};
	va_list args;

	va_start(args, format);
	vsnprintf(news.text, sizeof news.text, format, args);
	va_end(args);
	news.code = code;
	if (write(v->news[1], &news, sizeof news) < 0) /* a full pipe: it has been said often enough */
		errno = 0;
}

/* ---- lives and deaths of servers -------------------------------------------------------------------------
 */

static void close_server(struct server *s)
{
	if (s->pid_fd >= 0) {
		syscall(SYS_pidfd_send_signal, s->pid_fd, SIGKILL, NULL, 0);
		close(TAKE_FD(s->pid_fd));
	}
	if (s->fd >= 0)
		close(TAKE_FD(s->fd));
}

static void report_failure(struct volumes *v, uint32_t number, enum error_code code, const char *text)
{
	pthread_mutex_lock(&v->mutex);
	if (!v->failed)
		error_set(&v->failure, code, "volume %s: %s", v->targets[number], text);
	v->failed = true;
	pthread_cond_signal(&v->changed);
	pthread_mutex_unlock(&v->mutex);
}

static void give_up(struct volumes *v, uint32_t number)
{
	close_server(&v->servers[number]);
	v->servers[number].state = SERVER_OVER;
	volume_mux_end(v->mux, number);
}

static uint64_t pause_after(unsigned failures)
{
	uint64_t pause = failures > 1 ? PAUSE_FIRST << (failures < 16 ? failures - 2 : 14) : 0;

	return pause < PAUSE_MOST ? pause : PAUSE_MOST;
}

/* It has ended, or is no use. */
static void lose_server(struct volumes *v, uint32_t number, const char *why)
{
	struct server *s = &v->servers[number];
	uint64_t next = clock_monotonic() + pause_after(++s->failures);

	close_server(s);
	if (!s->counted && s->state != SERVER_SERVING)
		report_failure(v, number, ERROR_SYSTEM, why);
	tell(v, ERROR_NONE, "the server of the volume %s: %s", v->targets[number], why);
	if (s->failures > VOLUME_FAILURES_MAX) {
		tell(v, ERROR_NONE, "the volume %s is given up", v->targets[number]);
		give_up(v, number);
		return;
	}
	s->state = SERVER_NONE;
	s->next = next < s->begun + LIFE_LEAST ? s->begun + LIFE_LEAST : next;
}

/* Its connection is over, and that is all it had. */
static void replace_server(struct server *s)
{
	close_server(s);
	s->state = SERVER_NONE;
	s->next = s->begun + LIFE_LEAST;
}

void volume_loop_ask(struct volumes *v, uint32_t number)
{
	struct server *s = &v->servers[number];
	const struct volume_server_request q = {.what = VOLUME_SERVER_START,
		.number = number,
		.flags = s->replaces ? VOLUME_SERVER_RESUME : 0,
		.until = s->until ? s->until : clock_realtime()};

	if (send(v->keeper.fd, &q, sizeof q, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof q)
		s->state = SERVER_ASKED;
	else
		s->next = clock_monotonic() + PAUSE_FIRST;
}

static void lose_keeper(struct volumes *v)
{
	close(TAKE_FD(v->keeper.fd));
	for (uint32_t i = 0; i < v->count; i++)
		if (v->servers[i].state != SERVER_OVER) {
			report_failure(v, i, ERROR_CLOSED, "mcfs ended");
			give_up(v, i);
		}
	tell(v, ERROR_NONE, "mcfs ended: there are no more servers for volumes");
}

static void take_server(struct volumes *v)
{
	struct volume_server_started started;
	int fds[2], count = 2;
	ssize_t n = descriptors_receive(v->keeper.fd, &started, sizeof started, fds, &count);
	struct server *s;

	if (n != sizeof started || count != 2 || started.number >= v->count ||
		v->servers[started.number].state != SERVER_ASKED) {
		for (int i = 0; i < count; i++)
			close(fds[i]);
		lose_keeper(v);
		return;
	}
	s = &v->servers[started.number];
	s->fd = fds[0];
	s->pid_fd = fds[1];
	s->begun = clock_monotonic();
	s->greeted = 0;
	s->state = SERVER_GREETING;
}

static void begin_serving(struct volumes *v, uint32_t number)
{
	struct server *s = &v->servers[number];
	struct error err;

	s->state = SERVER_SERVING;
	if (s->replaces && volume_mux_resume(v->mux, number, &err) < 0) {
		lose_server(v, number, err.text);
		return;
	}
	if (!s->counted) {
		pthread_mutex_lock(&v->mutex);
		v->ready++;
		pthread_cond_signal(&v->changed);
		pthread_mutex_unlock(&v->mutex);
	}
	s->replaces = s->counted = true;
	s->until = 0;
}

static void read_greeting(struct volumes *v, uint32_t number)
{
	struct server *s = &v->servers[number];
	struct volume_server_greeting *g = &s->greeting;
	ssize_t n = recv(s->fd, (char *)g + s->greeted, sizeof *g - s->greeted, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		lose_server(v, number, "it ended at its start");
		return;
	}
	s->greeted += (size_t)n;
	if (s->greeted < sizeof *g)
		return;
	g->text[sizeof g->text - 1] = 0;
	if (g->code)
		lose_server(v, number, g->text);
	else
		begin_serving(v, number);
}

/* ---- what passes through ----------------------------------------------------------------------------------
 */

/* False: it is to be tried again when the socket takes more; *lost: the other side has gone. */
static bool send_some(int fd, const uint8_t *bytes, size_t n, size_t *sent, bool *lost)
{
	ssize_t done = send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);

	*sent = done > 0 ? (size_t)done : 0;
	*lost = done < 0 && errno != EAGAIN && errno != EINTR;
	return *sent == n;
}

static void send_requests(struct volumes *v, uint32_t number)
{
	struct server *s = &v->servers[number];
	const uint8_t *bytes;
	bool more = true, lost = false;
	size_t n, sent;

	while (more && s->state == SERVER_SERVING && (bytes = volume_mux_request(v->mux, number, &n))) {
		more = send_some(s->fd, bytes, n, &sent, &lost);
		volume_mux_requested(v->mux, number, sent);
		if (lost)
			lose_server(v, number, ENDED);
	}
}

static void read_replies(struct volumes *v, uint32_t number)
{
	struct server *s = &v->servers[number];
	struct error err;
	size_t room;
	uint8_t *space = volume_mux_reply_space(v->mux, number, &room);
	ssize_t n = space ? recv(s->fd, space, room, MSG_DONTWAIT) : -1;

	if (!space || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	if (n <= 0)
		lose_server(v, number, ENDED);
	else if (volume_mux_replied(v->mux, number, (size_t)n, &err) < 0)
		lose_server(v, number, err.text);
	else
		s->failures = 0; /* it does its work: its end, some day, is the first of its row */
}

static void drop_port(struct volumes *v)
{
	v->port = -1;
}

static void read_port(struct volumes *v)
{
	struct error err;
	size_t room;
	uint8_t *space = volume_mux_space(v->mux, &room);
	ssize_t n = recv(v->port, space, room, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop_port(v); /* the machine has ended */
	} else if (volume_mux_filled(v->mux, (size_t)n, &err) < 0) {
		tell(v, err.code, "the guest broke the volumes' protocol: %s", err.text);
		drop_port(v);
	}
}

void volume_loop_drain(struct volumes *v)
{
	struct pollfd p = {.fd = v->port, .events = POLLIN};

	while (v->port >= 0 && poll(&p, 1, 0) > 0)
		read_port(v);
}

static void write_port(struct volumes *v)
{
	const uint8_t *bytes;
	bool more = true, lost = false;
	size_t n, sent;

	while (more && (bytes = volume_mux_output(v->mux, &n))) {
		more = send_some(v->port, bytes, n, &sent, &lost);
		volume_mux_written(v->mux, sent);
		if (lost)
			drop_port(v);
	}
}

/* ---- the loop ---------------------------------------------------------------------------------------------
 */

static bool waits(const struct server *s)
{
	return s->state == SERVER_NONE;
}

/* Asks for servers whose time has come; the time until the next, in milliseconds. */
static int start_servers(struct volumes *v)
{
	uint64_t next = UINT64_MAX, now = clock_monotonic();

	for (uint32_t i = 0; i < v->count && v->keeper.fd >= 0; i++) {
		struct server *s = &v->servers[i];

		if (waits(s) && volume_mux_is_over(v->mux, i))
			s->state = SERVER_OVER;
		if (waits(s) && s->next <= now)
			volume_loop_ask(v, i);
		if (waits(s) && s->next < next)
			next = s->next;
	}
	return next == UINT64_MAX ? -1 : clock_poll_timeout(next);
}

static void list_events(struct volumes *v, struct pollfd *p)
{
	size_t n;

	p[POLL_WAKE] = (struct pollfd){.fd = v->wake, .events = POLLIN};
	p[POLL_KEEPER] = (struct pollfd){.fd = v->keeper.fd, .events = POLLIN};
	p[POLL_PORT] = (struct pollfd){.fd = v->port, .events = POLLIN};
	if (volume_mux_output(v->mux, &n))
		p[POLL_PORT].events |= POLLOUT;
	for (uint32_t i = 0; i < v->count; i++) {
		const struct server *s = &v->servers[i];

		p[POLL_SERVERS + i] = (struct pollfd){.fd = s->fd, .events = POLLIN};
		if (s->state != SERVER_SERVING)
			continue;
		if (!volume_mux_reply_space(v->mux, i, &n))
			p[POLL_SERVERS + i].events = 0;
		if (volume_mux_request(v->mux, i, &n))
			p[POLL_SERVERS + i].events |= POLLOUT;
	}
}

static void serve_one(struct volumes *v, uint32_t number, short events)
{
	struct server *s = &v->servers[number];

	if (s->fd < 0)
		return;
	if (volume_mux_is_over(v->mux, number)) {
		give_up(v, number); /* the guest has unmounted it */
		return;
	}
	if (s->state == SERVER_SERVING && volume_mux_is_stale(v->mux, number))
		replace_server(s);
	else if (s->state == SERVER_GREETING && events)
		read_greeting(v, number);
	else if (s->state == SERVER_SERVING && events & (POLLHUP | POLLERR) && !(events & POLLIN))
		lose_server(v, number, ENDED);
	else if (s->state == SERVER_SERVING && events & (POLLIN | POLLHUP | POLLERR))
		read_replies(v, number);
	if (s->state == SERVER_SERVING)
		send_requests(v, number);
}

static void handle_events(struct volumes *v, const struct pollfd *p)
{
	uint64_t count;

	if (p[POLL_WAKE].revents && read(v->wake, &count, sizeof count) < 0)
		errno = 0;
	if (p[POLL_PORT].revents & (POLLIN | POLLHUP | POLLERR) && v->port == p[POLL_PORT].fd)
		read_port(v);
	for (uint32_t i = 0; i < v->count; i++)
		serve_one(v, i, p[POLL_SERVERS + i].fd == v->servers[i].fd ? p[POLL_SERVERS + i].revents : 0);
	if (p[POLL_KEEPER].revents)
		take_server(v);
	if (v->port >= 0)
		write_port(v);
}

void volume_loop(struct volumes *v)
{
	struct pollfd p[POLL_SERVERS + VOLUMES_MAX];

	while (!v->stop) {
		int wait, ready;

		pthread_mutex_lock(&v->turn);
		wait = start_servers(v);
		list_events(v, p);
		pthread_mutex_unlock(&v->turn);
		ready = poll(p, POLL_SERVERS + v->count, wait);
		pthread_mutex_lock(&v->turn);
		if (ready > 0)
			handle_events(v, p);
		pthread_mutex_unlock(&v->turn);
	}
	for (uint32_t i = 0; i < v->count; i++)
		close_server(&v->servers[i]);
}
