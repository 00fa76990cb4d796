/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All threads are alike: one of them reads, those that find calls make them, the others sleep. Whoever has
 * read calls makes the first of them itself, since to wake another one costs more than most calls do. Calls
 * that only look (quick ones) are made one behind the other, their answers go out together, and nobody is
 * woken to read meanwhile; but one of the sleepers looks every few milliseconds whether they get on
 * (watching), and reads if they do not.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "vfs/nfs3/tcp_parts.h"

#define BATCH             8u /* quick calls that are made one behind the other */
#define WATCH_NANOSECONDS 5000000

/* The first jobs of one connection; the lock is held. *count: how many. */
static struct nfs3_job *take_batch(struct nfs3_tcp *t, unsigned *count)
{
	struct nfs3_job *first = t->first, *last = first;

	*count = 1;
	while (first->quick && last->next && last->next->quick &&
		last->next->connection == first->connection && *count < BATCH) {
		last = last->next;
		++*count;
	}
	t->first = last->next;
	if (!t->first)
		t->last = &t->first;
	t->queued -= *count;
	last->next = NULL;
	return first;
}

/* One more thread is of use for what is left: calls that may wait, or many, and processors for them. */
static bool is_work_for_another(const struct nfs3_tcp *t)
{
	return t->first && (!t->first->quick || (t->queued > BATCH && t->quick_running < t->processors));
}

/* The caller goes to work; who else has to be awake is woken. The lock is held. */
static void hand_on(struct nfs3_tcp *t, bool quick)
{
	bool read_on = !t->reading && (!quick || !t->watching);

	t->batches++;
	if (quick)
		t->quick_running++;
	if (read_on || is_work_for_another(t))
		pthread_cond_signal(&t->more);
}

/* Sleeps; the lock is held. True: calls that should be quick are not, and somebody must read. */
static bool rest(struct nfs3_tcp *t)
{
	struct timespec until;
	bool late;

	if (t->watching || (!t->quick_running && t->batches == t->batches_seen)) {
		pthread_cond_wait(&t->more, &t->lock);
		return false;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += WATCH_NANOSECONDS;
	until.tv_sec += until.tv_nsec / NANOSECONDS_PER_SECOND;
	until.tv_nsec %= NANOSECONDS_PER_SECOND;
	t->watching = true;
	t->batches_seen = t->batches;
	late = pthread_cond_timedwait(&t->more, &t->lock, &until) == ETIMEDOUT;
	t->watching = false;
	return late && t->quick_running && t->batches == t->batches_seen;
}

/* What a thread puts together. */
struct replies {
	struct buffer bytes;
	struct nfs3_tail tail;
};

/* The replies go out, or wait. The reading thread is told where it has to do with it. */
static void finish(
	struct nfs3_tcp *t, struct nfs3_connection *c, bool answered, struct replies *replies, unsigned count)
{
	bool tell;

	pthread_mutex_lock(&c->lock);
	c->running -= count;
	if (!answered)
		c->dead = true;
	nfs3_connection_send(c, &replies->bytes, &replies->tail, count);
	tell = c->dead || c->first || (c->full && c->calls < t->options.calls);
	/* Behind the lock the connection may be gone. */
	pthread_mutex_unlock(&c->lock);
	nfs3_tail_end(&replies->tail);
	if (tell)
		nfs3_tcp_wake(t);
}

static void job_free(struct nfs3_job *job)
{
	buffer_free(&job->record);
	free(job);
}

static void make_calls(struct nfs3_tcp *t, struct nfs3_job *job, unsigned count, struct replies *replies)
{
	struct nfs3_connection *c = job->connection;
	struct nfs3_tail *tail = job->quick ? NULL : &replies->tail; /* then it is alone */
	bool answered = true;

	buffer_clear(&replies->bytes);
	while (job) {
		struct nfs3_job *next = job->next;

		if (answered)
			answered = nfs3_server_call(t->server, c->peer, job->record.data, job->record.size,
				&replies->bytes, tail);
		job_free(job);
		job = next;
	}
	finish(t, c, answered, replies, count);
}

/* The lock is held, and again behind it. */
static void read_once(struct nfs3_tcp *t)
{
	t->reading = true;
	pthread_mutex_unlock(&t->lock);
	nfs3_tcp_turn(t);
	pthread_mutex_lock(&t->lock);
	nfs3_tcp_publish(t);
	t->reading = false;
	if (t->stopped) {
		t->closing = true;
		pthread_cond_broadcast(&t->more);
	}
}

void *nfs3_tcp_work(void *context)
{
	struct nfs3_tcp *t = context;
	struct replies replies = {0};
	bool must_read = false;

	pthread_mutex_lock(&t->lock);
	while (!t->closing) {
		struct nfs3_job *batch;
		unsigned count;
		bool quick;

		if (!t->first && (t->reading || (t->quick_running && !must_read))) {
			must_read = rest(t);
			continue;
		}
		if (!t->first) {
			read_once(t);
			continue;
		}
		batch = take_batch(t, &count);
		quick = batch->quick;
		hand_on(t, quick);
		pthread_mutex_unlock(&t->lock);
		make_calls(t, batch, count, &replies);
		pthread_mutex_lock(&t->lock);
		t->quick_running -= quick;
		must_read = true; /* awake already */
	}
	pthread_mutex_unlock(&t->lock);
	buffer_free(&replies.bytes);
	return NULL;
}

void nfs3_tcp_end_workers(struct nfs3_tcp *t)
{
	pthread_mutex_lock(&t->lock);
	t->closing = true;
	pthread_cond_broadcast(&t->more);
	pthread_mutex_unlock(&t->lock);
	for (; t->thread_count > 0; t->thread_count--)
		pthread_join(t->threads[t->thread_count - 1], NULL);
	while (t->first) {
		struct nfs3_job *job = t->first;

		t->first = job->next;
		job_free(job);
	}
	t->last = &t->first;
	t->closing = false;
}

int nfs3_tcp_start_workers(struct nfs3_tcp *t, struct error *err)
{
	for (; t->thread_count + 1 < t->options.threads; t->thread_count++) {
		int r = pthread_create(&t->threads[t->thread_count], NULL, nfs3_tcp_work, t);

		if (r != 0) {
			nfs3_tcp_end_workers(t);
			return error_errno(err, r, "serve NFS: start a thread");
		}
	}
	return 0;
}
