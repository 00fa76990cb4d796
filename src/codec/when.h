/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time as people write and read them. */
#pragma once

#include <stdint.h>

#include "base/error.h"

/* So long before `now`: "10m", "2 days ago", "yesterday"; or RFC 3339: "2026-01-31", "2026-01-31T23:59:59",
 * the seconds left out or with a fraction, and with "Z" or "+02:00" (UTC where there is none). All in
 * nanoseconds since 1970. */
int when_parse(const char *text, const char *what, uint64_t now, uint64_t *time, struct error *err);

/* A span as its largest unit: "12s", "5m", "3h", "8d". out: at least 16 bytes. Returns out. */
const char *when_span(uint64_t nanoseconds, char *out);
