/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bandwidth limit for one direction of one port: a token bucket, and a short queue before it.
 *
 * The bucket is kept as the time at which it would be full again (ATM Forum's generic cell rate algorithm),
 * so it needs no refilling. What comes while it is empty waits in order rather than being dropped: with
 * frames of 64 KiB a drop costs TCP a good part of its window, and a policer halves what gets through. The
 * queue is bounded by the time that its last frame would wait, but takes a few frames in any case, since TCP
 * notices a loss by what comes behind it. tests/unit/test_shaper.c has the model that the bounds were
 * measured with.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHAPER_BURST       10000000ULL  /* ns: what may go at once, beside one frame; timers come late */
#define SHAPER_WAIT        100000000ULL /* ns: the longest that a frame waits … */
#define SHAPER_QUEUE_LEAST 262144u      /* … where less than this is queued: then it waits in any case */
#define SHAPER_QUEUE_MOST  4194304u

struct shaper_frame {
	struct shaper_frame *next;
	size_t size;
	uint8_t bytes[];
};

struct shaper {
	uint64_t rate; /* bytes a second; 0: no limit */
	uint64_t full; /* when the bucket is full again, if nothing goes */
	struct shaper_frame *first, **last;
	size_t queued; /* bytes */
};

enum shaper_fate { SHAPER_PASS, SHAPER_QUEUED, SHAPER_DROPPED };

void shaper_init(struct shaper *s, uint64_t rate);
void shaper_clear(struct shaper *s); /* forgets what is queued */
/* Another rate; what is queued stays, and goes by the new one. */
void shaper_set_rate(struct shaper *s, uint64_t rate);
/* A frame comes: passes now, waits (copied), or is dropped. */
enum shaper_fate shaper_offer(struct shaper *s, const uint8_t *frame, size_t n, uint64_t now);
/* The next frame whose time has come, which the caller frees; NULL: none yet. */
struct shaper_frame *shaper_take(struct shaper *s, uint64_t now);
/* When shaper_take() will have one; UINT64_MAX: nothing waits. */
uint64_t shaper_next(const struct shaper *s);
