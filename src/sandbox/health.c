/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/health.h"

static uint64_t later(uint64_t time, uint64_t by)
{
	return time > UINT64_MAX - by ? UINT64_MAX : time + by;
}

static void plan_next(struct health *h, uint64_t now)
{
	h->next = h->due;
	if (h->state != HEALTH_STARTING || h->early >= h->interval)
		h->early = 0;
	if (!h->early)
		return;
	if (later(now, h->early) < h->due)
		h->next = later(now, h->early);
	h->early *= 2; /* it is below the interval: no overflow that matters */
}

void health_start(struct health *h, uint64_t now)
{
	h->state = HEALTH_STARTING;
	h->failures = 0;
	h->started = now;
	h->due = later(now, h->interval);
	h->early = HEALTH_EARLY;
	plan_next(h, now);
}

bool health_result(struct health *h, bool good, uint64_t began, uint64_t now)
{
	enum health_state before = h->state;
	bool counts = began >= h->due;
	bool spared = h->state == HEALTH_STARTING && began < later(h->started, h->start_period);

	if (good) {
		h->state = HEALTH_HEALTHY;
		h->failures = 0;
	} else if (counts && !spared && ++h->failures >= h->retries) {
		h->state = HEALTH_UNHEALTHY;
	}
	if (good || counts)
		h->due = later(now, h->interval);
	plan_next(h, now);
	return h->state != before;
}

const char *health_name(enum health_state state)
{
	static const char *const names[] = {"starting", "healthy", "unhealthy"};

	return names[state];
}
