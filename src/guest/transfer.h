/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET, PUT, READ, WRITE, STAT, LIST and UPPER as streams: between the port and the process that does the work
 * (worker.h), with the windows of the stream, and never waiting for it.
 *
 * The stream ends when all that the process has written is with the host and it has said DONE or ERROR, or
 * has died. Called off by the host, or by a SHUTDOWN, the process finds its pipes closed: it removes what is
 * half written and ends; one that only reads is killed at once, another after a while.
 */
#pragma once

#include "codec/message.h"
#include "guest/agent.h"

/* Starts the process and opens the stream. LIMIT: TRANSFERS_MAX processes are at work. */
int transfer_start(
	struct agent *a, uint32_t id, uint16_t type, const struct message_request *m, struct error *err);

/* A child of the agent has ended. */
void transfer_reaped(struct agent *a, pid_t pid);

/* Called each turn of the loop: kills processes that do not end although they were called off. True: there
 * are some whose time has not come yet. */
bool transfers_step(struct agent *a);

/* Ends all with BUSY. */
void transfers_stop(struct agent *a);
