/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/nfs3/tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "vfs/nfs3/tcp_parts.h"

#define THREADS_DEFAULT     8u
#define CONNECTIONS_DEFAULT 32u
#define CALLS_DEFAULT       16u
#define BACKLOG             64
#define READS_AT_ONCE       16 /* of one connection, before the others have their turn */
#define BATCH               8  /* quick calls that are made one behind the other */
#define TIDY_PAUSE          2000
#define NO_ROOM_PAUSE       100 /* milliseconds without accepting, where descriptors or memory are out */

/* ---- start and end ---------------------------------------------------------------------------------- */

static int set_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0
		       ? -1
		       : 0;
}

/* Gives the family, or AF_UNSPEC. */
static int parse_address(const char *text, uint16_t port, struct sockaddr_storage *out, socklen_t *size)
{
	struct sockaddr_in *four = (struct sockaddr_in *)out;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		*size = sizeof *four;
	} else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		*size = sizeof *six;
	}
	return out->ss_family;
}

static uint16_t port_of(const struct sockaddr_storage *a)
{
	return ntohs(a->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)a)->sin6_port
					      : ((const struct sockaddr_in *)a)->sin_port);
}

int nfs3_listen(const char *address, uint16_t port, int *fd, uint16_t *bound, struct error *err)
{
	const char *text = address ? address : "127.0.0.1";
	struct sockaddr_storage a;
	socklen_t size = 0;
	_cleanup_fd_ int s = -1;
	int family = parse_address(text, port, &a, &size), yes = 1;

	if (family == AF_UNSPEC)
		return error_set(err, ERROR_INVALID, "listen on '%s': it is no numeric address", text);
	s = socket(family, SOCK_STREAM, 0);
	if (s < 0 || set_flags(s) < 0)
		return error_errno(err, errno, "listen on %s", text);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (family == AF_INET6)
		setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
	if (bind(s, (struct sockaddr *)&a, size) < 0 || listen(s, BACKLOG) < 0 ||
		getsockname(s, (struct sockaddr *)&a, &size) < 0)
		return error_errno(err, errno, "listen on %s port %u", text, port);
	*bound = port_of(&a);
	*fd = TAKE_FD(s);
	return 0;
}

int nfs3_tcp_new(struct nfs3_server *server, int listening, const struct nfs3_tcp_options *options,
	struct nfs3_tcp **out, struct error *err)
{
	_cleanup_(cleanup_nfs3_tcp) struct nfs3_tcp *t = calloc(1, sizeof *t);
	pthread_condattr_t monotonic;
	long processors;

	if (!t) {
		if (listening >= 0)
			close(listening);
		return error_no_memory(err, "serve NFS");
	}
	t->server = server;
	t->listening = listening;
	t->options = *options;
	t->wake[0] = t->wake[1] = -1;
	t->last = &t->first;
	t->read_last = &t->read_first;
	processors = sysconf(_SC_NPROCESSORS_ONLN);
	t->processors = processors > 2 ? (unsigned)processors - 1 : 1; /* one is the clients' */
	pthread_mutex_init(&t->lock, NULL);
	if (pthread_condattr_init(&monotonic) != 0)
		return error_no_memory(err, "serve NFS");
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&t->more, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (!t->options.threads)
		t->options.threads = THREADS_DEFAULT;
	if (!t->options.connections)
		t->options.connections = CONNECTIONS_DEFAULT;
	if (!t->options.calls)
		t->options.calls = CALLS_DEFAULT;
	t->threads = calloc(t->options.threads, sizeof *t->threads);
	t->polled = calloc((size_t)t->options.connections + 2, sizeof *t->polled);
	if (!t->threads || !t->polled)
		return error_no_memory(err, "serve NFS");
	if (pipe(t->wake) < 0 || set_flags(t->wake[0]) < 0 || set_flags(t->wake[1]) < 0)
		return error_errno(err, errno, "serve NFS");
	*out = TAKE_PTR(t);
	return 0;
}

void nfs3_tcp_free(struct nfs3_tcp *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < 2; i++)
		if (t->wake[i] >= 0)
			close(t->wake[i]);
	if (t->listening >= 0)
		close(t->listening);
	pthread_cond_destroy(&t->more);
	pthread_mutex_destroy(&t->lock);
	free(t->threads);
	free(t->polled);
	free(t);
}

void nfs3_tcp_wake(struct nfs3_tcp *t)
{
	ssize_t n = write(t->wake[1], "", 1);

	(void)n; /* a full pipe wakes as well */
}

void nfs3_tcp_stop(struct nfs3_tcp *t)
{
	int kept = errno;

	t->stopped = true;
	nfs3_tcp_wake(t);
	errno = kept;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

void nfs3_tcp_publish(struct nfs3_tcp *t)
{
	if (!t->read_first)
		return;
	*t->last = t->read_first;
	t->last = t->read_last;
	t->queued += t->read_count;
	t->read_first = NULL;
	t->read_last = &t->read_first;
	t->read_count = 0;
}

/* Quick calls wait until the reading thread, or one that it wakes, has time for them; others are begun while
 * it reads on. */
static void give(struct nfs3_tcp *t, struct nfs3_job *job)
{
	*t->read_last = job;
	t->read_last = &job->next;
	t->read_count++;
	if (job->quick)
		return;
	pthread_mutex_lock(&t->lock);
	nfs3_tcp_publish(t);
	pthread_mutex_unlock(&t->lock);
	pthread_cond_signal(&t->more);
}

/* Whether one more call may be taken; counts it then. */
static bool take_place(struct nfs3_tcp *t, struct nfs3_connection *c)
{
	pthread_mutex_lock(&c->lock);
	c->full = c->calls >= t->options.calls;
	if (!c->full) {
		c->calls++;
		c->running++;
	}
	pthread_mutex_unlock(&c->lock);
	return !c->full;
}

static void give_place_back(struct nfs3_connection *c)
{
	pthread_mutex_lock(&c->lock);
	c->calls--;
	c->running--;
	pthread_mutex_unlock(&c->lock);
}

/* 1: a record was taken; 0: none is whole, or none may be taken; -1: the connection must end. */
static int take_record(struct nfs3_tcp *t, struct nfs3_connection *c)
{
	struct nfs3_job *job;
	int got;

	if (!take_place(t, c))
		return 0;
	job = calloc(1, sizeof *job);
	got = job ? rpc_reader_next(&c->in, &job->record) : -1;
	if (got <= 0) {
		free(job);
		give_place_back(c);
		return got;
	}
	job->connection = c;
	job->quick = nfs3_server_is_quick(t->server, job->record.data, job->record.size);
	give(t, job);
	return 1;
}

/* Takes what has come; false: the connection must end. */
static bool receive(struct nfs3_tcp *t, struct nfs3_connection *c)
{
	bool drained = false;

	for (int reads = 0;; reads++) {
		size_t room;
		uint8_t *space;
		ssize_t n;
		int got;

		while ((got = take_record(t, c)) > 0)
			;
		if (got < 0 || c->full || drained || reads == READS_AT_ONCE)
			return got == 0;
		space = rpc_reader_space(&c->in, &room);
		n = space ? recv(c->fd, space, room, 0) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		if (n == 0)
			return false;
		rpc_reader_filled(&c->in, (size_t)n);
		drained = (size_t)n < room; /* most likely */
	}
}

/* ---- connections ------------------------------------------------------------------------------------ */

/* Who it is for telling calls that come again from others: its address, since a client that connects anew has
 * another port. */
static uint64_t peer_of(const struct sockaddr_storage *a)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)a;
	uint64_t words[2];

	if (a->ss_family != AF_INET6)
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr;
	memcpy(words, &six->sin6_addr, sizeof words);
	return words[0] ^ (words[1] << 1 | words[1] >> 63);
}

static void add_connection(struct nfs3_tcp *t, struct nfs3_connection *c)
{
	c->next = t->connections;
	t->connections = c;
	t->count++;
}

int nfs3_tcp_adopt(struct nfs3_tcp *t, int fd, struct error *err)
{
	struct nfs3_connection *c = set_flags(fd) < 0 ? NULL : nfs3_connection_new(fd, 0);

	if (!c) {
		close(fd);
		return error_no_memory(err, "serve NFS");
	}
	add_connection(t, c);
	return 0;
}

static void accept_one(struct nfs3_tcp *t)
{
	struct sockaddr_storage a;
	socklen_t size = sizeof a;
	_cleanup_fd_ int fd = accept(t->listening, (struct sockaddr *)&a, &size);
	struct nfs3_connection *c;
	int yes = 1;

	if (fd < 0) {
		t->no_room = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
		return;
	}
	if (t->count >= t->options.connections || set_flags(fd) < 0 ||
		(t->options.allowed && !t->options.allowed(t->options.context, fd)))
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	c = nfs3_connection_new(fd, peer_of(&a));
	if (!c)
		return;
	TAKE_FD(fd);
	add_connection(t, c);
}

/* Closes what is dead and has nothing under way. */
static void sweep(struct nfs3_tcp *t, bool all)
{
	for (struct nfs3_connection **link = &t->connections; *link;) {
		struct nfs3_connection *c = *link;
		bool gone;

		pthread_mutex_lock(&c->lock);
		gone = all || (c->dead && c->running == 0);
		pthread_mutex_unlock(&c->lock);
		if (!gone) {
			link = &c->next;
			continue;
		}
		*link = c->next;
		t->count--;
		nfs3_connection_free(c);
	}
}

static struct pollfd wanted(struct nfs3_tcp *t, struct nfs3_connection *c)
{
	struct pollfd p = {.fd = c->fd};
	int events = 0;

	pthread_mutex_lock(&c->lock);
	if (c->calls < t->options.calls)
		events |= POLLIN;
	if (c->first)
		events |= POLLOUT;
	if (c->dead)
		p.fd = -1;
	pthread_mutex_unlock(&c->lock);
	p.events = (short)events;
	return p;
}

static void serve(struct nfs3_tcp *t, struct nfs3_connection *c, int events)
{
	bool was_full, alive = true;

	pthread_mutex_lock(&c->lock);
	if (events & POLLOUT)
		nfs3_connection_send_waiting(c);
	was_full = c->full && c->calls < t->options.calls;
	if (c->dead) {
		events = POLLERR;
		was_full = false;
	}
	pthread_mutex_unlock(&c->lock);
	/* Calls may stand in what was read before, and nothing more come. */
	if (events & POLLIN || was_full)
		alive = receive(t, c);
	else if (events & (POLLERR | POLLHUP | POLLNVAL))
		alive = false;
	if (alive)
		return;
	pthread_mutex_lock(&c->lock);
	c->dead = true;
	pthread_mutex_unlock(&c->lock);
}

/* Every now and then, also while there is much to do. */
static void tidy(struct nfs3_tcp *t, bool busy)
{
	uint64_t now = clock_monotonic();

	if (busy && now - t->tidied < MILLISECONDS(TIDY_PAUSE)) {
		t->untidy = true;
		return;
	}
	t->tidied = now;
	t->untidy = nfs3_server_tidy(t->server) || busy;
}

void nfs3_tcp_turn(struct nfs3_tcp *t)
{
	nfds_t count = 2;
	char bytes[64];
	int ready;

	t->polled[0] = (struct pollfd){.fd = t->wake[0], .events = POLLIN};
	t->polled[1] = (struct pollfd){.fd = t->no_room ? -1 : t->listening, .events = POLLIN};
	for (struct nfs3_connection *c = t->connections; c; c = c->next)
		t->polled[count++] = wanted(t, c);
	ready = poll(t->polled, count, t->no_room ? NO_ROOM_PAUSE : t->untidy ? TIDY_PAUSE : -1);
	if (ready < 0)
		return;
	tidy(t, ready > 0);
	t->no_room = false;
	while (read(t->wake[0], bytes, sizeof bytes) > 0)
		;
	count = 2;
	for (struct nfs3_connection *c = t->connections; c; c = c->next)
		serve(t, c, t->polled[count++].revents);
	if (t->polled[1].revents)
		accept_one(t);
	sweep(t, false);
	if (t->listening < 0 && !t->connections)
		nfs3_tcp_stop(t);
}

int nfs3_tcp_run(struct nfs3_tcp *t, struct error *err)
{
	int r = nfs3_tcp_start_workers(t, err);

	if (r < 0)
		return r;
	nfs3_tcp_work(t);
	nfs3_tcp_end_workers(t);
	sweep(t, true);
	return 0;
}
