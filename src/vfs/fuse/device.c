/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/fuse/device.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "vfs/fuse/message.h"

#define THREADS_MAX 64u
#define LONG        10000000 /* nanoseconds after which serving one request takes long */
#define LOOK        20000    /* nanoseconds: as long as to sleep and to be woken takes */
#define PAUSE_MAX   1023     /* requests without a look */
#define PAGE        4096
#define SHORT       100000 /* nanoseconds: what takes less has not waited for a disk */

struct device_call {
	struct fuse_call call; /* the first member */
	int fd;
	void *room;        /* for the body of an answer, since the first; a thread's for all that it serves */
	_Atomic bool busy; /* it is being served by a thread that keeps its turn */
};

struct device {
	struct fuse_session *session;
	int fd;
	pthread_mutex_t lock;
	pthread_cond_t turn;
	/* Of the thread that reads, or serves what it has read and will read again; NULL: nobody does. */
	_Atomic(struct device_call *) holder;
	_Atomic unsigned served; /* requests, by whoever had the turn and kept it */
	_Atomic bool active;     /* some were a moment ago: somebody has to watch */
	bool watched;            /* a thread does */
	bool ended;              /* nothing more comes */
	/* Of who has the turn: requests that it takes without a look, after one that found nothing. */
	unsigned pause, waited;
	/* To call another thread costs as much as to serve a short request. So as many of these are served at
	 * once as leave their clients as many processors; of what waits for disks, as much as comes. */
	unsigned crowd;            /* threads that serve short requests at once, at most */
	_Atomic unsigned serving;  /* that serve now */
	_Atomic uint64_t duration; /* nanoseconds of a request, the average of the last ones */
	unsigned idle;             /* threads that wait for their turn */
	unsigned most, count;
	pthread_t threads[THREADS_MAX]; /* count - 1 of them */
	int error;
};

static ssize_t send_answer(struct fuse_call *call, struct iovec *vectors, int count)
{
	return writev(((struct device_call *)call)->fd, vectors, count);
}

/* At the beginning of a page: the kernel copies what goes to one page of its own from one of ours, not from
 * parts of two, each of which it would have to look up. */
static void *find_room(struct fuse_call *call, size_t size)
{
	struct device_call *c = (struct device_call *)call;

	if (!c->room && size <= VFS_IO_MAX)
		c->room = aligned_alloc(PAGE, VFS_IO_MAX);
	return size <= VFS_IO_MAX ? c->room : NULL;
}

static void *work(void *context);

/* True: whoever has the turn is held up. */
static bool watch(struct device *d)
{
	unsigned before = atomic_load(&d->served);
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LONG;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	d->watched = true;
	pthread_cond_timedwait(&d->turn, &d->lock, &until);
	d->watched = false;
	if (d->ended || !atomic_load(&d->holder) || atomic_load(&d->served) != before)
		return false;
	if (atomic_load(&atomic_load(&d->holder)->busy))
		return true;
	atomic_store(&d->active, false);
	return false;
}

static bool take_turn(struct device *d, struct device_call *me)
{
	bool ended, stuck = false;

	pthread_mutex_lock(&d->lock);
	d->idle++;
	while (atomic_load(&d->holder) && !stuck && !d->ended) {
		if (!d->watched && atomic_load(&d->active))
			stuck = watch(d);
		else
			pthread_cond_wait(&d->turn, &d->lock);
	}
	d->idle--;
	atomic_store(&d->holder, me);
	ended = d->ended;
	pthread_mutex_unlock(&d->lock);
	return !ended;
}

/* With the lock held: a thread that waits, or a new one. False: there is none. */
static bool call_another(struct device *d)
{
	if (d->idle > 0)
		return pthread_cond_signal(&d->turn) == 0;
	if (d->count == d->most || pthread_create(&d->threads[d->count - 1], NULL, work, d) != 0)
		return false;
	d->count++;
	return true;
}

/* False: nobody takes it, and it stays the caller's. */
static bool pass_turn(struct device *d)
{
	bool passed;

	pthread_mutex_lock(&d->lock);
	passed = call_another(d);
	if (passed)
		atomic_store(&d->holder, NULL);
	pthread_mutex_unlock(&d->lock);
	return passed;
}

/* The turn is kept while a request is served, so somebody has to see that it does not take long. */
static void keep_turn(struct device *d, struct device_call *me)
{
	atomic_fetch_add(&d->served, 1);
	atomic_store(&me->busy, true);
	if (atomic_load(&d->active))
		return;
	pthread_mutex_lock(&d->lock);
	atomic_store(&d->active, true);
	call_another(d);
	pthread_mutex_unlock(&d->lock);
}

static void end(struct device *d, int error)
{
	pthread_mutex_lock(&d->lock);
	d->ended = true;
	if (error && !d->error)
		d->error = error;
	pthread_cond_broadcast(&d->turn);
	pthread_mutex_unlock(&d->lock);
}

static bool more_waits(const struct device *d)
{
	struct pollfd p = {.fd = d->fd, .events = POLLIN};

	return poll(&p, 1, 0) > 0 && p.revents & POLLIN;
}

/* Looks for the next request until the time for it is up, which is often cheaper than to sleep and be woken:
 * a program that waits for each of its calls makes the next one at once. As KVM does before it lets a
 * processor halt (Documentation/virt/kvm/halt-polling.rst), the more seldom the more often it was for
 * nothing, so that where others want the processors, next to none of their time is taken. */
static void look_ahead(struct device *d)
{
	uint64_t end = d->waited < d->pause ? 0 : clock_monotonic() + LOOK;
	bool found = false;

	if (!end) {
		d->waited++;
		return;
	}
	while (!found && clock_monotonic() < end)
		found = more_waits(d);
	d->waited = 0;
	d->pause = found ? 0 : 2 * d->pause + 1 < PAUSE_MAX ? 2 * d->pause + 1 : PAUSE_MAX;
}

/* 0: that was all. ENOENT: the request was taken back while it was read. */
static ssize_t read_request(struct device *d, void *bytes)
{
	ssize_t n = -1;

	if (d->crowd > 0)
		look_ahead(d);
	while (n < 0 && !fuse_session_exited(d->session)) {
		n = read(d->fd, bytes, FUSE_MESSAGE_MAX);
		if (n < 0 && errno == ENODEV)
			return 0;
		if (n < 0 && errno != EINTR && errno != ENOENT && errno != EAGAIN)
			return -errno;
	}
	return n < 0 ? 0 : n;
}

/* Whether what waits is worth another thread. */
static bool is_worth_it(const struct device *d)
{
	return atomic_load(&d->serving) + 1 < d->crowd || atomic_load(&d->duration) >= SHORT;
}

static void serve(struct device *d, struct device_call *call, const void *bytes, size_t n)
{
	uint64_t start = clock_monotonic(), average = atomic_load(&d->duration);

	atomic_fetch_add(&d->serving, 1);
	fuse_session_serve(d->session, &call->call, bytes, n);
	atomic_fetch_sub(&d->serving, 1);
	atomic_store(&d->duration, average - average / 8 + (clock_monotonic() - start) / 8);
}

static void *work(void *context)
{
	struct device *d = context;
	struct device_call call = {.call.send = send_answer, .call.room = find_room, .fd = d->fd};
	_cleanup_free_ void *bytes = malloc(FUSE_MESSAGE_MAX);

	while (bytes) {
		ssize_t n;

		if (atomic_load(&d->holder) != &call && !take_turn(d, &call))
			break;
		n = read_request(d, bytes);
		if (n <= 0) {
			end(d, (int)-n);
			break;
		}
		if (!is_worth_it(d) || !more_waits(d) || !pass_turn(d))
			keep_turn(d, &call);
		serve(d, &call, bytes, (size_t)n);
		atomic_store(&call.busy, false);
	}
	free(call.room);
	return NULL;
}

static unsigned processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

int fuse_device_serve(struct fuse_session *session, unsigned threads, struct error *err)
{
	struct device d = {.session = session,
		.fd = fuse_session_fd(session),
		.most = threads < THREADS_MAX ? threads : THREADS_MAX,
		.count = 1,
		.crowd = processors() / 2,
		.pause = PAUSE_MAX};

	pthread_condattr_t clock;

	pthread_mutex_init(&d.lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&d.turn, &clock);
	pthread_condattr_destroy(&clock);
	work(&d);
	if (!d.ended)
		end(&d, ENOMEM);
	for (unsigned i = 0; i + 1 < d.count; i++)
		pthread_join(d.threads[i], NULL);
	pthread_cond_destroy(&d.turn);
	pthread_mutex_destroy(&d.lock);
	return d.error ? error_errno(err, d.error, "serve FUSE") : 0;
}
