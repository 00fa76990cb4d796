/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's clock follows the host's. */
#pragma once

#include <stdint.h>

#include "base/error.h"

/* Sets the clock (nanoseconds since 1970) at once. */
int clock_set(uint64_t realtime, struct error *err);

/* Brings it there: slewed (adjtimex(2)), so that it never goes backwards, where it is near; set where it is
 * not. */
int clock_correct(uint64_t realtime, struct error *err);
