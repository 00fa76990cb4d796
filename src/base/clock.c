/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <limits.h>
#include <stdio.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)t.tv_nsec;
}

uint64_t clock_monotonic(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_realtime(void)
{
	return read_clock(CLOCK_REALTIME);
}

int clock_poll_timeout(uint64_t deadline)
{
	uint64_t now = clock_monotonic(), left;

	if (deadline <= now)
		return 0;
	left = (deadline - now + 999999) / 1000000;
	return left > INT_MAX ? INT_MAX : (int)left;
}

const char *clock_rfc3339(uint64_t realtime, char *out)
{
	time_t seconds = (time_t)(realtime / NANOSECONDS_PER_SECOND);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(out, 21, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + 19, 12, ".%09uZ", (unsigned)(realtime % NANOSECONDS_PER_SECOND));
	return out;
}
