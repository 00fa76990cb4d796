/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process behind a transfer. Files may block for as long as their file system likes (a network's, one
 * that a process of the sandbox serves, a slow disk), so the loop never touches them: a child of the agent
 * does, with three pipes. It has the agent's rights and of its descriptors only those that it is given, and
 * is not in the sandbox's cgroup, so that a sandbox which is full can still be looked at.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"
#include "codec/message.h"

/* Directories that the agent has open and a child may need; -1: none. */
struct worker_given {
	int upper;  /* of an overlay; for REMOVE the storage of staged volumes */
	int cgroup; /* the sandbox's */
};

/* The child's ends. */
struct worker {
	int in;     /* bytes of CHANNEL_IN */
	int out;    /* bytes for CHANNEL_OUT */
	int report; /* frames: ENTRY as often as there are, then DONE or ERROR */
	struct worker_given given;
};

/* The agent's ends, non-blocking; -1: closed. */
struct worker_ends {
	int in, out, report;
};

/* Does what `m` of message type `type` asks for; DONE or the error is reported by the caller. */
typedef int worker_task(struct worker *w, uint16_t type, const struct message_request *m, struct error *err);

int worker_start(worker_task *task, uint16_t type, const struct message_request *m,
	const struct worker_given *given, struct worker_ends *ends, pid_t *pid, struct error *err);

/* Closes the agent's ends, in the order by which the child tells being called off from the end of its input.
 */
void worker_ends_close(struct worker_ends *ends);

/* Sends all n bytes to CHANNEL_OUT. CLOSED: nobody wants them. */
int worker_send(struct worker *w, const void *bytes, size_t n, struct error *err);

/* Reads up to `room` bytes of CHANNEL_IN; *n is 0 at its end. CLOSED: the transfer was called off. */
int worker_receive(struct worker *w, void *bytes, size_t room, size_t *n, struct error *err);

/* Sends a message of the stream. */
int worker_tell(struct worker *w, uint16_t type, const struct buffer *payload, struct error *err);
