/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who reads a file from one end to the other finds what comes next in memory: a thread reads, opens and
 * verifies it ahead, on another processor. What it has read is the store's to keep, and as bounded as all
 * that is read. Where there is too much to do it is left undone.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define LIVE_AHEAD_JOBS 8u

struct live;
struct live_base;
struct live_node;

struct live_ahead {
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	pthread_t thread; /* since the first job */
	bool runs, stop;
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
