/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/volume_settle.h"

#include <signal.h>
#include <time.h>

#include "base/clock.h"

#define TIME MILLISECONDS(20)
#define STEP 250000 /* nanoseconds between looks */

void volumes_settle(const struct volumes *volumes)
{
	uint64_t deadline;

	if (!volumes->pid || !*volumes->unsettled)
		return;
	kill(volumes->pid, VOLUMES_HURRY);
	deadline = clock_monotonic() + TIME;
	while (*volumes->unsettled && clock_monotonic() < deadline)
		nanosleep(&(struct timespec){.tv_nsec = STEP}, NULL);
}
