/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "monocore.h"
#include "os/peer.h"

/* A process in a sandbox, seen through its stream of a control connection. */
struct monocore_process {
	struct peer peer;
	uint32_t stream;
	bool owner; /* the sandbox ends with it: freeing waits until the supervisor has cleaned up */
	bool exited;
	int exit_status;
	uint64_t input_window;       /* bytes that may be sent now */
	bool input_closed;           /* either side is done with standard input */
	uint64_t taken[3];           /* bytes of an output that are not credited yet */
	bool closed[3];              /* outputs that nobody wants any more */
	enum monocore_channel given; /* what the last event gave out and the next call credits */
	size_t given_size;
};

/* Takes the connection; the process has STARTED on `stream`. NULL: out of memory, *err set. */
struct monocore_process *process_new(struct peer *peer, uint32_t stream, bool owner, struct error *err);

/* As monocore_process_next(), but data count as taken only with process_credit(). */
int process_event(struct monocore_process *p, struct monocore_event *event, struct error *err);
void process_credit(struct monocore_process *p, enum monocore_channel channel, size_t n);
int process_write(struct monocore_process *p, const void *data, size_t n, size_t *taken, struct error *err);
int process_close(struct monocore_process *p, enum monocore_channel channel, struct error *err);
int process_signal(struct monocore_process *p, int signal, struct error *err);
int process_resize(struct monocore_process *p, uint16_t rows, uint16_t columns, struct error *err);
