/* SPDX-License-Identifier: Apache-2.0 */
#include "net/shaper.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

void shaper_init(struct shaper *s, uint64_t rate)
{
	*s = (struct shaper){.rate = rate, .last = &s->first};
}

void shaper_clear(struct shaper *s)
{
	while (s->first) {
		struct shaper_frame *f = s->first;

		s->first = f->next;
		free(f);
	}
	s->last = &s->first;
	s->queued = 0;
}

void shaper_set_rate(struct shaper *s, uint64_t rate)
{
	s->rate = rate;
	s->full = 0;
}

/* The time that n bytes take. */
static uint64_t duration(const struct shaper *s, size_t n)
{
	return s->rate ? n * NANOSECONDS_PER_SECOND / s->rate : 0;
}

static uint64_t ready(const struct shaper *s)
{
	return s->full > SHAPER_BURST ? s->full - SHAPER_BURST : 0;
}

/* Takes n bytes out of the bucket, which may then be in debt. */
static void spend(struct shaper *s, size_t n, uint64_t now)
{
	s->full = (s->full > now ? s->full : now) + duration(s, n);
}

/* Whether the queue takes n bytes more: they would wait for what is before them. */
static bool has_room(const struct shaper *s, size_t n, uint64_t now)
{
	uint64_t turn = ready(s) + duration(s, s->queued);

	if (s->queued + n > SHAPER_QUEUE_MOST)
		return false;
	return s->queued + n <= SHAPER_QUEUE_LEAST || turn <= now + SHAPER_WAIT;
}

enum shaper_fate shaper_offer(struct shaper *s, const uint8_t *frame, size_t n, uint64_t now)
{
	struct shaper_frame *f;

	if (!s->first && (!s->rate || ready(s) <= now)) {
		if (s->rate)
			spend(s, n, now);
		return SHAPER_PASS;
	}
	if (!has_room(s, n, now))
		return SHAPER_DROPPED;
	f = malloc(sizeof *f + n);
	if (!f)
		return SHAPER_DROPPED;
	f->next = NULL;
	f->size = n;
	memcpy(f->bytes, frame, n);
	*s->last = f;
	s->last = &f->next;
	s->queued += n;
	return SHAPER_QUEUED;
}

struct shaper_frame *shaper_take(struct shaper *s, uint64_t now)
{
	struct shaper_frame *f = s->first;

	if (!f || shaper_next(s) > now)
		return NULL;
	s->first = f->next;
	if (!s->first)
		s->last = &s->first;
	s->queued -= f->size;
	spend(s, f->size, now);
	return f;
}

uint64_t shaper_next(const struct shaper *s)
{
	if (!s->first)
		return UINT64_MAX;
	return s->rate ? ready(s) : 0;
}
