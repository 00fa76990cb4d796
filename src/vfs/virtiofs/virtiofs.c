/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/virtiofs/virtiofs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vfs/virtiofs/server.h"

#define THREADS_DEFAULT 4u
#define THREADS_MAX     64u

static int make_event(struct virtiofs_server *s, int *fd, uint32_t events, uint32_t what)
{
	struct epoll_event e = {.events = events, .data.u32 = what};

	*fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return *fd < 0 ? -1 : epoll_ctl(s->events, EPOLL_CTL_ADD, *fd, &e);
}

static int make_events(struct virtiofs_server *s, struct error *err)
{
	s->events = epoll_create1(EPOLL_CLOEXEC);
	if (s->events < 0 || make_event(s, &s->wake, EPOLLIN | EPOLLET, EVENT_WAKE) < 0 ||
		make_event(s, &s->end, EPOLLIN, EVENT_END) < 0)
		return error_errno(err, errno, "virtiofs");
	return 0;
}

static int make_queues(struct virtiofs_server *s, struct error *err)
{
	for (; s->prepared < VIRTIOFS_QUEUES_MAX; s->prepared++)
		if (queue_prepare(&s->queues[s->prepared], s->events, s->prepared) < 0)
			return error_no_memory(err, "virtiofs");
	return 0;
}

static int make_session(struct virtiofs_server *s, struct vfs *fs, struct error *err)
{
	int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0), r;

	if (fd < 0)
		return error_errno(err, errno, "virtiofs");
	fuse_session_prepare(&s->data, fs, &s->options);
	r = fuse_session_make(&s->data, &s->options, fd, &s->session, err);
	if (r < 0)
		close(fd);
	return r;
}

int virtiofs_server_new(struct vfs *fs, int fd, const struct fuse_options *options,
	struct virtiofs_server **out, struct error *err)
{
	_cleanup_(cleanup_virtiofs_server) struct virtiofs_server *s = calloc(1, sizeof *s);
	int r;

	if (!s) {
		close(fd);
		return error_no_memory(err, "virtiofs");
	}
	s->fd = fd;
	s->events = s->wake = s->end = -1;
	s->options = *options;
	s->options.name = NULL; /* a name is the mount's, which the guest makes */
	s->threads = options->threads ? options->threads : THREADS_DEFAULT;
	s->threads = s->threads < THREADS_MAX ? s->threads : THREADS_MAX;
	pthread_rwlock_init(&s->lock, NULL);
	r = make_events(s, err);
	if (r == 0)
		r = make_queues(s, err);
	if (r == 0)
		r = make_session(s, fs, err);
	if (r == 0)
		*out = TAKE_PTR(s);
	return r;
}

static void add(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof one) < 0)
		return; /* cannot be: nobody counts that far */
}

void virtiofs_wake(struct virtiofs_server *s)
{
	add(s->wake);
}

struct crew {
	unsigned count;
	struct worker *workers[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
};

static int hire(struct virtiofs_server *s, struct crew *crew, struct error *err)
{
	for (; crew->count < s->threads; crew->count++) {
		struct worker *w = worker_new(s);

		if (w && pthread_create(&crew->threads[crew->count], NULL, worker_run, w) == 0) {
			crew->workers[crew->count] = w;
			continue;
		}
		if (w)
			worker_free(w);
		return error_no_memory(err, "virtiofs: start a thread");
	}
	return 0;
}

static void dismiss(struct virtiofs_server *s, struct crew *crew)
{
	add(s->end);
	for (unsigned i = 0; i < crew->count; i++) {
		pthread_join(crew->threads[i], NULL);
		worker_free(crew->workers[i]);
	}
}

int virtiofs_server_run(struct virtiofs_server *s, struct error *err)
{
	struct crew crew = {0};
	int r = hire(s, &crew, err);

	if (r == 0)
		while ((r = front_end_serve(s, err)) > 0)
			;
	shutdown(s->fd, SHUT_RDWR); /* QEMU is told before the last request is done */
	dismiss(s, &crew);
	return r;
}

void virtiofs_server_stop(struct virtiofs_server *s)
{
	shutdown(s->fd, SHUT_RDWR);
}

void virtiofs_server_free(struct virtiofs_server *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->prepared; i++)
		queue_release(&s->queues[i]);
	guest_memory_drop(s->memory);
	if (s->session)
		fuse_session_destroy(s->session);
	pthread_rwlock_destroy(&s->lock);
	if (s->events >= 0)
		close(s->events);
	if (s->wake >= 0)
		close(s->wake);
	if (s->end >= 0)
		close(s->end);
	close(s->fd);
	free(s);
}
