/* SPDX-License-Identifier: Apache-2.0 */
/* SHUTDOWN: TERM to all, after a while KILL, then the disk is made clean and the VM resets. */
#pragma once

#include "codec/message.h"
#include "guest/agent.h"

void shutdown_begin(struct agent *a, const struct message_shutdown *m);

/* Called each turn of the loop: goes on where processes have ended or time has passed. */
void shutdown_step(struct agent *a);
