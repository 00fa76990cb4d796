/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "codec/message.h"
#include "guest/boot.h"

/* Makes this VM the sandbox that SETUP describes, in an order that matters: entropy before anything that may
 * draw random bytes, the clock before any file is made. The error names the step. */
int setup(struct boot *b, const struct message_setup *m, struct error *err);

/* What makes a copy of the machine a sandbox of its own, from all that SETUP describes; the rest is as it
 * was. */
int setup_wake(struct boot *b, const struct message_setup *m, struct error *err);
