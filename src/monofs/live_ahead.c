/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/live_ahead.h"

#include <unistd.h>

#include "monofs/live_parts.h"

#define AHEAD (4u << 20)   /* bytes */
#define STEP  (512u << 10) /* of one job: about a frame */

static void work(struct live *l, const struct live_ahead_job *job)
{
	content_prefetch(l->store, &job->base->entry.content, job->offset, job->end);
	live_base_drop(job->base);
}

static void *ahead_main(void *context)
{
	struct live *l = context;
	struct live_ahead *a = &l->ahead;

	pthread_mutex_lock(&a->lock);
	while (!a->stop) {
		struct live_ahead_job job;

		if (!a->count) {
			a->idle++;
			pthread_cond_wait(&a->wanted, &a->lock);
			a->idle--;
			continue;
		}
		job = a->jobs[a->first];
		a->first = (a->first + 1) % LIVE_AHEAD_JOBS;
		a->count--;
		pthread_mutex_unlock(&a->lock);
		work(l, &job);
		pthread_mutex_lock(&a->lock);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

static void give(struct live *l, struct live_base *base, uint64_t offset, uint64_t end)
{
	struct live_ahead *a = &l->ahead;

	pthread_mutex_lock(&a->lock);
	if (a->idle <= a->count && a->running < a->most)
		a->running += pthread_create(&a->threads[a->running], NULL, ahead_main, l) == 0;
	if (a->running && a->count < LIVE_AHEAD_JOBS) {
		a->jobs[(a->first + a->count++) % LIVE_AHEAD_JOBS] =
			(struct live_ahead_job){live_base_hold(base), offset, end};
		pthread_cond_signal(&a->wanted);
	}
	pthread_mutex_unlock(&a->lock);
}

/* Requests of one reader come in pieces, and where several threads serve them not always in order. What is
 * ahead is parted, so that the first of it is not one thread's alone, with the reader close behind. */
void live_ahead_note(struct live *l, struct live_node *n, uint64_t offset, uint64_t size)
{
	uint64_t before = atomic_load(&n->file.ahead), from = offset + size, end = from + AHEAD;

	if (!n->base || !n->base->entry.content.ref_count)
		return;
	if (offset > before || before - offset > 2 * AHEAD) { /* somebody begins elsewhere */
		atomic_store(&n->file.ahead, from);
		return;
	}
	if (before >= from + AHEAD - STEP || before >= n->file.base_limit)
		return;
	from = from > before ? from : before;
	end = end < n->file.base_limit ? end : n->file.base_limit;
	if (from >= end || !atomic_compare_exchange_strong(&n->file.ahead, &before, end))
		return;
	for (; from < end; from += STEP)
		give(l, n->base, from, from + STEP < end ? from + STEP : end);
}

void live_ahead_init(struct live *l)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	l->ahead.most = processors < 2 ? 1 : (unsigned)processors;
	if (l->ahead.most > LIVE_AHEAD_THREADS)
		l->ahead.most = LIVE_AHEAD_THREADS;
	pthread_mutex_init(&l->ahead.lock, NULL);
	pthread_cond_init(&l->ahead.wanted, NULL);
}

void live_ahead_end(struct live *l)
{
	struct live_ahead *a = &l->ahead;

	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_broadcast(&a->wanted);
	pthread_mutex_unlock(&a->lock);
	for (unsigned i = 0; i < a->running; i++)
		pthread_join(a->threads[i], NULL);
	for (; a->count; a->count--, a->first = (a->first + 1) % LIVE_AHEAD_JOBS)
		live_base_drop(a->jobs[a->first].base);
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->wanted);
}
