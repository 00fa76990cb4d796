/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/clock.h"

#include <errno.h>
#include <sys/timex.h>
#include <time.h>

#include "base/clock.h"

#define NEAR ((int64_t)MILLISECONDS(50))

int clock_set(uint64_t realtime, struct error *err)
{
	const struct timespec now = {.tv_sec = (time_t)(realtime / NANOSECONDS_PER_SECOND),
		.tv_nsec = (long)(realtime % NANOSECONDS_PER_SECOND)};

	return clock_settime(CLOCK_REALTIME, &now) < 0 ? error_errno(err, errno, "set the clock") : 0;
}

int clock_correct(uint64_t realtime, struct error *err)
{
	int64_t off = (int64_t)(realtime - clock_realtime());
	struct timex slew = {.modes = ADJ_OFFSET_SINGLESHOT, .offset = (long)(off / 1000)};

	if (off > NEAR || off < -NEAR)
		return clock_set(realtime, err);
	return adjtimex(&slew) < 0 ? error_errno(err, errno, "adjust the clock") : 0;
}
