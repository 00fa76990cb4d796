/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine is about to be copied. All processes of the sandbox stand still, and once they do, DONE is the
 * last that is said: between host and guest nothing is on its way then. GO_ON lets all go on; in a copy WAKE
 * does, once the copy has an identity of its own, so that no process ever runs with another's random numbers.
 */
#pragma once

#include "guest/agent.h"

/* BUSY: it is quiet already. */
int quiet_begin(struct agent *a, uint32_t stream, struct error *err);
void quiet_end(struct agent *a);
