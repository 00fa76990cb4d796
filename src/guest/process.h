/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of the sandbox as a stream: STARTED when the command runs, DATA both ways, EXITED at the end.
 *
 * States: spawned (the child has not yet become the command; its outputs wait), started, exited (its outputs
 * are drained of what was in them at that moment, however many descendants still hold them), over.
 */
#pragma once

#include "codec/message.h"
#include "guest/agent.h"

/* Starts the process and opens its stream. On failure there is no stream. */
int process_start(struct agent *a, uint32_t id, const struct message_exec *m, struct error *err);

/* A child of the agent has ended: `status` is waitpid's. Children that are no stream's are orphans of the
 * sandbox, and nothing is to be done. */
void process_reaped(struct agent *a, pid_t pid, int status);
