/* SPDX-License-Identifier: Apache-2.0 */
/* File requests to the agent: one a connection, on stream 1. */
#pragma once

#include "base/error.h"
#include "monocore.h"
#include "os/peer.h"

int files_connect(struct monocore *mc, const char *name, struct peer *peer, struct error *err);

/* Sends the request that opens the stream; `option` as message_request has it. */
int files_open(struct peer *peer, uint16_t type, const char *path, uint32_t option, struct error *err);

/* Gives all DATA to `take`, crediting it, until DONE. */
int files_receive(struct peer *peer,
	int (*take)(void *context, const void *data, size_t n, struct error *err), void *context,
	struct error *err);

/* Sends data within *window (which starts as STREAM_WINDOW), waiting for credit. */
int files_send(struct peer *peer, uint64_t *window, const void *data, size_t n, struct error *err);

/* The end of what was sent; waits for DONE. */
int files_finish(struct peer *peer, struct error *err);
