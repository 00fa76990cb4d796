/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/work_ring.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define RING_SIZE    1024u
#define RING_REST    (RING_SIZE - RING_SIZE / 4) /* what stays of a full one that was waited for */
#define WORKERS_MOST 8u
#define RUN_EVENTS   16u
#define RUN_WEIGHT   (1u << 20)
#define PLACES_MOST  200u

struct worker {
	struct work_ring *q;
	pthread_t thread;
	void *own;
};

struct work_ring {
	struct work_ring_options o;
	uint8_t *events;
	uint64_t head, tail; /* what is taken next, what the walk fills in next */
	uint64_t next; /* what workers have not looked at; never before head, whose place may be another's */
	unsigned places;

	pthread_mutex_t lock;
	pthread_cond_t work, done;
	atomic_bool stop;
	_Atomic(struct work_event *) awaited; /* somebody waits for it; NULL */
	unsigned idle;
	struct worker workers[WORKERS_MOST];
	unsigned worker_count, started;
};

static struct work_event *slot(struct work_ring *q, uint64_t at)
{
	return (struct work_event *)(void *)(q->events + at % RING_SIZE * q->o.event_size);
}

/* ---- workers ---- */

/* Events that are next to each other. 0: there are none, and there will be none. The lock is held. */
static unsigned take_run(struct work_ring *q, struct work_event *run[RUN_EVENTS])
{
	uint64_t weight = 0;
	unsigned n = 0;

	while (!atomic_load(&q->stop)) {
		while (q->next < q->tail && n < RUN_EVENTS && weight < RUN_WEIGHT) {
			struct work_event *e = slot(q, q->next++);

			if (!e->work)
				continue;
			run[n++] = e;
			weight += e->weight;
		}
		if (n)
			break;
		q->idle++;
		pthread_cond_wait(&q->work, &q->lock);
		q->idle--;
	}
	return n;
}

static void finish(struct work_ring *q, struct work_event *e)
{
	atomic_store(&e->done, true);
	if (atomic_load(&q->awaited) != e)
		return;
	pthread_mutex_lock(&q->lock);
	pthread_cond_signal(&q->done);
	pthread_mutex_unlock(&q->lock);
}

static void *worker_main(void *context)
{
	struct worker *w = context;
	struct work_ring *q = w->q;
	struct work_event *run[RUN_EVENTS];
	unsigned n;

	do {
		pthread_mutex_lock(&q->lock);
		n = take_run(q, run);
		pthread_mutex_unlock(&q->lock);
		for (unsigned i = 0; i < n && !atomic_load(&q->stop); i++) {
			q->o.work(w->own, run[i]);
			finish(q, run[i]);
		}
	} while (n > 0);
	return NULL;
}

static int start(struct work_ring *q, struct error *err)
{
	while (q->started < q->worker_count) {
		struct worker *w = &q->workers[q->started];
		int r;

		w->q = q;
		r = q->o.begin(q->o.context, &w->own, err);
		if (r < 0)
			return r;
		r = pthread_create(&w->thread, NULL, worker_main, w);
		if (r != 0) {
			q->o.free(w->own);
			return error_errno(err, r, "start a thread");
		}
		q->started++;
	}
	return 0;
}

static void stop(struct work_ring *q)
{
	pthread_mutex_lock(&q->lock);
	atomic_store(&q->stop, true);
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
	for (unsigned i = 0; i < q->started; i++)
		pthread_join(q->workers[i].thread, NULL);
}

static void free_workers(struct work_ring *q)
{
	for (unsigned i = 0; i < q->started; i++)
		q->o.free(q->workers[i].own);
	q->started = 0;
}

/* ---- the ring ---- */

static unsigned processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > (long)WORKERS_MOST ? WORKERS_MOST : (unsigned)n;
}

int work_ring_new(const struct work_ring_options *o, struct work_ring **out, struct error *err)
{
	struct work_ring *q = calloc(1, sizeof *q);

	if (q)
		q->events = calloc(RING_SIZE, o->event_size);
	if (!q || !q->events) {
		free(q);
		return error_no_memory(err, "make a ring of work");
	}
	q->o = *o;
	q->worker_count = o->workers == 0             ? processors()
			  : o->workers > WORKERS_MOST ? WORKERS_MOST
						      : o->workers;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->work, NULL);
	pthread_cond_init(&q->done, NULL);
	*out = q;
	return 0;
}

void work_ring_free(struct work_ring *q)
{
	if (!q)
		return;
	stop(q);
	free_workers(q);
	for (uint64_t i = 0; i < RING_SIZE; i++) {
		if (q->head + i < q->tail)
			work_place_drop(q, slot(q, q->head + i)->place);
		buffer_free(&slot(q, q->head + i)->bytes);
	}
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->work);
	pthread_cond_destroy(&q->done);
	free(q->events);
	free(q);
}

static int take_head(struct work_ring *q, struct error *err)
{
	struct work_event *e = slot(q, q->head);
	int r = q->o.take(q->o.context, e, err);

	work_place_drop(q, e->place);
	e->place = NULL;
	if (!e->work) {
		pthread_mutex_lock(&q->lock);
		if (q->next == q->head)
			q->next++;
		pthread_mutex_unlock(&q->lock);
	}
	q->head++;
	return r;
}

static bool is_done(struct work_event *e)
{
	return !e->work || atomic_load(&e->done);
}

static void await(struct work_ring *q, struct work_event *e)
{
	pthread_mutex_lock(&q->lock);
	atomic_store(&q->awaited, e);
	if (q->idle && !is_done(e))
		pthread_cond_broadcast(&q->work);
	while (!is_done(e))
		pthread_cond_wait(&q->done, &q->lock);
	atomic_store(&q->awaited, NULL);
	pthread_mutex_unlock(&q->lock);
}

/* Takes events until `left` are there; what is done beyond that, too. The last one is waited for that has to
 * be taken: by then most of those before it are done, and nobody is woken for each. */
static int take_down_to(struct work_ring *q, uint64_t left, struct error *err)
{
	int r = 0;

	while (r == 0 && q->head < q->tail) {
		uint64_t at = q->tail - left - 1;

		if (is_done(slot(q, q->head))) {
			r = take_head(q, err);
			continue;
		}
		if (q->tail - q->head <= left)
			break;
		while (is_done(slot(q, at)))
			at--;
		await(q, slot(q, at));
	}
	return r;
}

int work_ring_event(struct work_ring *q, struct work_event **out, struct error *err)
{
	int r = q->tail - q->head == RING_SIZE ? take_down_to(q, RING_REST, err) : 0;
	struct work_event *e = slot(q, q->tail);
	struct buffer bytes = e->bytes;

	if (r < 0)
		return r;
	buffer_clear(&bytes);
	memset(e, 0, q->o.event_size);
	e->bytes = bytes;
	*out = e;
	return 0;
}

int work_ring_push(struct work_ring *q, struct work_event *event, struct error *err)
{
	int r = 0;

	/* Where nothing is to be waited for, nothing waits. */
	if (q->head == q->tail && !event->work) {
		r = q->o.take(q->o.context, event, err);
		work_place_drop(q, event->place);
		event->place = NULL;
		return r;
	}
	if (event->work && q->started == 0)
		r = start(q, err);
	pthread_mutex_lock(&q->lock);
	q->tail++;
	/* A worker is not woken for less than a run: who waits for the last ones wakes them. */
	if (q->idle && q->tail - q->next >= RUN_EVENTS)
		pthread_cond_signal(&q->work);
	pthread_mutex_unlock(&q->lock);
	return r;
}

int work_ring_drain(struct work_ring *q, struct error *err)
{
	return take_down_to(q, 0, err);
}

int work_ring_finish(struct work_ring *q, struct error *err)
{
	int r = work_ring_drain(q, err);

	stop(q);
	for (unsigned i = 0; r == 0 && i < q->started; i++)
		r = q->o.end(q->workers[i].own, err);
	free_workers(q);
	return r;
}

/* ---- places ---- */

struct work_place *work_place_new(struct work_ring *q, int fd, struct error *err)
{
	struct work_place *p = malloc(sizeof *p);

	if (!p) {
		error_no_memory(err, "open a directory");
		close(fd);
		return NULL;
	}
	*p = (struct work_place){.fd = fd, .uses = 1};
	q->places++;
	return p;
}

void work_place_use(struct work_place *p)
{
	p->uses++;
}

void work_place_drop(struct work_ring *q, struct work_place *p)
{
	if (!p || --p->uses > 0)
		return;
	close(p->fd);
	free(p);
	q->places--;
}

bool work_places_full(const struct work_ring *q)
{
	return q->places >= PLACES_MOST;
}
