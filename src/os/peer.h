/* SPDX-License-Identifier: Apache-2.0 */
/* One end of a connection that carries frames: the agent's port, a control client, or mcrun seen from one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "codec/frame.h"

struct peer {
	int fd; /* owned; -1: gone */
	struct frame_reader in;
	struct buffer out; /* not yet written */
	bool held;         /* only held_left bytes of it are, for now */
	size_t held_left;
};
#define PEER_NONE \
	{ \
		.fd = -1 \
	}

void peer_close(struct peer *p);

/* Queues a frame and writes what the socket takes now. False: the peer is gone, or memory is out. */
bool peer_send(
	struct peer *p, uint32_t stream, uint16_t type, uint16_t channel, const void *payload, size_t n);
bool peer_send_u32(struct peer *p, uint32_t stream, uint16_t type, uint16_t channel, uint32_t value);
bool peer_send_error(struct peer *p, uint32_t stream, const struct error *why);

/* What is queued from here on waits until peer_release(), after which peer_flush() writes it. */
void peer_hold(struct peer *p);
void peer_release(struct peer *p);

/* Writes what is queued, as far as the socket takes it. Negative: the peer is gone. */
int peer_flush(struct peer *p, struct error *err);
bool peer_has_output(const struct peer *p);

/* Reads once. 1: bytes came; 0: none just now; negative: the peer is gone (CLOSED). */
int peer_receive(struct peer *p, struct error *err);

/* The other end has closed the connection, and all that it had sent has been read. */
bool peer_is_gone(const struct peer *p);

/* The next whole frame: 1, 0 (more bytes are needed), or negative (malformed). */
int peer_next(struct peer *p, struct frame *frame, struct error *err);

/* For blocking use: flushes, then waits for the next frame until clock_monotonic() deadline (UINT64_MAX:
 * none). */
int peer_wait(struct peer *p, struct frame *frame, uint64_t deadline, struct error *err);
