/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who reads a file from one end to the other finds what comes next in memory: threads read, open and verify
 * it ahead, as many as there are processors (to verify a chunk takes longer than all else that is done for
 * its reader), at most LIVE_AHEAD_THREADS. What they have read is the store's to keep, and as bounded as all
 * that is read. Where there is too much to do it is left undone.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define LIVE_AHEAD_JOBS    16u
#define LIVE_AHEAD_THREADS 4u

struct live;
struct live_base;
struct live_node;

struct live_ahead {
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	pthread_t threads[LIVE_AHEAD_THREADS]; /* each since there was a job for it */
	unsigned most, running, idle;
	bool stop;
	struct live_ahead_job {
		struct live_base *base; /* held */
		uint64_t offset, end;
	} jobs[LIVE_AHEAD_JOBS];
	unsigned first, count;
};

void live_ahead_init(struct live *l);
void live_ahead_end(struct live *l);

/* A file is read just now, with its lock held. */
void live_ahead_note(struct live *l, struct live_node *n, uint64_t offset, uint64_t size);
