/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a sandbox is well, from checks that come out good or bad: what docker makes of HEALTHCHECK. Pure.
 *
 * It is STARTING until a check is good (HEALTHY), or `retries` in a row are bad (UNHEALTHY). Checks count
 * that begin `interval` after the last one that did; bad ones not before `start_period` is over, unless one
 * was good. While it is starting, checks are made between these, too, at first soon after each other: they
 * only count where they are good, so that what waits for it waits no longer than it must.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define HEALTH_INTERVAL (30 * NANOSECONDS_PER_SECOND)
#define HEALTH_TIMEOUT  (30 * NANOSECONDS_PER_SECOND)
#define HEALTH_RETRIES  3
#define HEALTH_LEAST    MILLISECONDS(1) /* of an interval and a timeout */
#define HEALTH_EARLY    MILLISECONDS(250)

enum health_state { HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };

struct health {
	uint64_t interval, start_period; /* nanoseconds */
	uint64_t retries;
	enum health_state state;
	uint64_t failures; /* that count, in a row */
	uint64_t started;  /* clock_monotonic() */
	uint64_t due;      /* of the next check that counts */
	uint64_t next;     /* of the next check */
	uint64_t early;    /* between those that do not count; 0: there are none any more */
};

/* Sets all but the settings: the main process has just started. */
void health_start(struct health *h, uint64_t now);

/* A check that began at `began` has come out. True: the state is another one. */
bool health_result(struct health *h, bool good, uint64_t began, uint64_t now);

const char *health_name(enum health_state state); /* "starting", "healthy", "unhealthy" */
