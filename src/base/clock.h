/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#define NANOSECONDS_PER_SECOND 1000000000ULL
#define MILLISECONDS(n)        ((uint64_t)(n)*1000000ULL) /* in nanoseconds */

uint64_t clock_monotonic(void); /* nanoseconds since an arbitrary start (CLOCK_MONOTONIC) */
uint64_t clock_realtime(void);  /* nanoseconds since 1970-01-01 UTC */

/* Milliseconds left until a clock_monotonic() deadline, for poll(2): 0 when passed, rounded up. */
int clock_poll_timeout(uint64_t deadline);

/* "2026-01-31T23:59:59.123456789Z" (RFC 3339) into out (at least 31 bytes). Returns out. */
const char *clock_rfc3339(uint64_t realtime, char *out);
