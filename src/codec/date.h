/* SPDX-License-Identifier: Apache-2.0 */
/* Dates as protocols write them, into seconds since 1970-01-01 UTC. Years from 1970 to 9999. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* HTTP's three forms (RFC 9110 §5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT"
 * (two digits of a year mean one that is at most 50 years after `now`) and "Sun Nov  6 08:49:37 1994". The
 * name of the weekday is not compared with the date. */
bool date_parse_http(const char *text, size_t n, uint64_t now, uint64_t *seconds);

/* "2026-01-31T23:59:59.5+02:00" (RFC 3339); fractions are dropped. */
bool date_parse_rfc3339(const char *text, size_t n, uint64_t *seconds);
