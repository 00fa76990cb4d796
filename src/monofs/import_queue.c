/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/import_queue.h"

#include <pthread.h>
#include <unistd.h>

#define RING_SIZE    1024u
#define WORKERS_MOST 8u
#define RUN_FILES    16u
#define RUN_BYTES    (1u << 20)
#define PLACES_MOST  200u

struct worker {
	struct import_queue *q;
	pthread_t thread;
	struct import_reader reader;
};

struct import_queue {
	struct repository *r;
	import_take *take;
	void *context;
	struct import_event *ring;
	uint64_t head, tail; /* what the tree gets next, what the walk fills in next */
	uint64_t next;       /* what workers have not looked at */
	unsigned places;
	uint64_t read;

	pthread_mutex_t lock;
	pthread_cond_t work, done;
	bool stop;
	bool waiting; /* somebody waits for the head */
	unsigned idle;
	struct worker workers[WORKERS_MOST];
	unsigned worker_count, started;
};

static struct import_event *slot(struct import_queue *q, uint64_t at)
{
	return &q->ring[at % RING_SIZE];
}

/* ---- workers ---- */

static void work_on(struct worker *w, struct import_event *e)
{
	bool whole = true;

	e->code = import_file(&w->reader, e->place->fd, e->name, &e->stat, &e->entry, &whole, &e->err);
	if (!whole)
		e->key.ctime = 0;
}

/* Files that are next to each other. 0: there are none, and there will be none. The lock is held. */
static unsigned take_run(struct import_queue *q, struct import_event *run[RUN_FILES])
{
	uint64_t bytes = 0;
	unsigned n = 0;

	while (!q->stop) {
		while (q->next < q->tail && n < RUN_FILES && bytes < RUN_BYTES) {
			struct import_event *e = slot(q, q->next++);

			if (e->kind != IMPORT_FILE)
				continue;
			run[n++] = e;
			bytes += (uint64_t)e->stat.st_size;
		}
		if (n)
			break;
		q->idle++;
		pthread_cond_wait(&q->work, &q->lock);
		q->idle--;
	}
	return n;
}

static void *worker_main(void *context)
{
	struct worker *w = context;
	struct import_queue *q = w->q;
	struct import_event *run[RUN_FILES];
	unsigned n;

	pthread_mutex_lock(&q->lock);
	while ((n = take_run(q, run)) > 0) {
		for (unsigned i = 0; i < n && !q->stop; i++) {
			pthread_mutex_unlock(&q->lock);
			work_on(w, run[i]);
			pthread_mutex_lock(&q->lock);
			run[i]->done = true;
			if (q->waiting && run[i] == slot(q, q->head))
				pthread_cond_signal(&q->done);
		}
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

static int start(struct import_queue *q, struct error *err)
{
	while (q->started < q->worker_count) {
		struct worker *w = &q->workers[q->started];
		int r;

		w->q = q;
		r = import_reader_init(&w->reader, q->r, err);
		if (r < 0)
			return r;
		w->reader.reading = &q->read;
		r = pthread_create(&w->thread, NULL, worker_main, w);
		if (r != 0) {
			import_reader_free(&w->reader);
			return error_errno(err, r, "start a thread");
		}
		q->started++;
	}
	return 0;
}

static void stop(struct import_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->stop = true;
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
	for (unsigned i = 0; i < q->started; i++)
		pthread_join(q->workers[i].thread, NULL);
}

/* ---- the queue ---- */

static unsigned processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > (long)WORKERS_MOST ? WORKERS_MOST : (unsigned)n;
}

int import_queue_new(struct repository *r, unsigned workers, import_take *take, void *context,
	struct import_queue **out, struct error *err)
{
	struct import_queue *q = calloc(1, sizeof *q);

	if (q)
		q->ring = calloc(RING_SIZE, sizeof *q->ring);
	if (!q || !q->ring) {
		free(q);
		return error_no_memory(err, "import a directory");
	}
	q->r = r;
	q->take = take;
	q->context = context;
	q->worker_count = workers == 0 ? processors() : workers > WORKERS_MOST ? WORKERS_MOST : workers;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->work, NULL);
	pthread_cond_init(&q->done, NULL);
	*out = q;
	return 0;
}

void import_queue_free(struct import_queue *q)
{
	if (!q)
		return;
	stop(q);
	for (unsigned i = 0; i < q->started; i++)
		import_reader_free(&q->workers[i].reader);
	for (uint64_t i = 0; i < RING_SIZE; i++) {
		if (q->head + i < q->tail)
			import_place_drop(q, slot(q, q->head + i)->place);
		buffer_free(&slot(q, q->head + i)->entry);
	}
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->work);
	pthread_cond_destroy(&q->done);
	free(q->ring);
	free(q);
}

/* Gives the first event to the tree, when it is done. The lock is not held. */
static int take_head(struct import_queue *q, struct error *err)
{
	struct import_event *e = slot(q, q->head);
	int r = q->take(q->context, e, err);

	import_place_drop(q, e->place);
	e->place = NULL;
	pthread_mutex_lock(&q->lock);
	q->head++;
	pthread_mutex_unlock(&q->lock);
	return r;
}

/* Gives events to the tree until `left` are there; what is done beyond that, too. */
static int take_down_to(struct import_queue *q, uint64_t left, struct error *err)
{
	while (q->head < q->tail) {
		struct import_event *e = slot(q, q->head);
		bool done;
		int r;

		pthread_mutex_lock(&q->lock);
		q->waiting = true;
		if (!e->done && q->idle)
			pthread_cond_broadcast(&q->work);
		while (!e->done && q->tail - q->head > left)
			pthread_cond_wait(&q->done, &q->lock);
		q->waiting = false;
		done = e->done;
		pthread_mutex_unlock(&q->lock);
		if (!done)
			return 0;
		r = take_head(q, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int import_queue_event(struct import_queue *q, enum import_event_kind kind, const char *name,
	struct import_event **out, struct error *err)
{
	/* When it is full, workers get half of it ahead before it is filled again. */
	int r = q->tail - q->head == RING_SIZE ? take_down_to(q, RING_SIZE - 1, err) : 0;
	struct import_event *e;
	struct buffer entry;

	if (r < 0)
		return r;
	e = slot(q, q->tail);
	entry = e->entry;
	buffer_clear(&entry);
	*e = (struct import_event){.kind = kind, .entry = entry, .done = kind != IMPORT_FILE};
	snprintf(e->name, sizeof e->name, "%s", name);
	*out = e;
	return 0;
}

int import_queue_push(struct import_queue *q, struct import_event *event, struct error *err)
{
	int r = 0;

	/* Where nothing has to be read, nothing waits. */
	if (q->head == q->tail && event->done) {
		r = q->take(q->context, event, err);
		return r;
	}
	if (event->kind == IMPORT_FILE && q->started == 0)
		r = start(q, err);
	pthread_mutex_lock(&q->lock);
	q->tail++;
	/* A worker is not woken for less than a run: who waits for the last ones wakes them. */
	if (q->idle && q->tail - q->next >= RUN_FILES)
		pthread_cond_signal(&q->work);
	pthread_mutex_unlock(&q->lock);
	return r;
}

int import_queue_drain(struct import_queue *q, struct error *err)
{
	return take_down_to(q, 0, err);
}

int import_queue_finish(struct import_queue *q, struct error *err)
{
	int r = import_queue_drain(q, err);

	stop(q);
	for (unsigned i = 0; r == 0 && i < q->started; i++)
		r = store_writer_flush(q->workers[i].reader.w, err);
	for (unsigned i = 0; i < q->started; i++)
		import_reader_free(&q->workers[i].reader);
	q->started = 0;
	return r;
}

uint64_t import_queue_read(const struct import_queue *q)
{
	return __atomic_load_n(&q->read, __ATOMIC_RELAXED);
}

/* ---- places ---- */

struct import_place *import_place_new(struct import_queue *q, int fd, struct error *err)
{
	struct import_place *p = malloc(sizeof *p);

	if (!p) {
		error_no_memory(err, "open a directory");
		close(fd);
		return NULL;
	}
	*p = (struct import_place){.fd = fd, .uses = 1};
	q->places++;
	return p;
}

void import_place_use(struct import_place *p)
{
	p->uses++;
}

void import_place_drop(struct import_queue *q, struct import_place *p)
{
	if (!p || --p->uses > 0)
		return;
	close(p->fd);
	free(p);
	q->places--;
}

bool import_places_full(const struct import_queue *q)
{
	return q->places >= PLACES_MOST;
}
