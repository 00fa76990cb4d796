/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-serial port: frames in, frames out, never blocking.
 *
 * What is sent is queued and written once a turn of the loop. The queue has no hard bound, because every
 * producer asks port_full() first: outputs of processes and transfers stop there, and what remains (answers,
 * ends, credits) is small and bounded by what the host asks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "codec/frame.h"

#define PORT_FULL (256 * 1024) /* bytes queued from which on producers wait */

struct port {
	int fd;
	struct frame_reader reader;
	struct buffer out;
	size_t out_at; /* bytes of out that are written */
	bool held;     /* only held_left bytes more are written */
	size_t held_left;
	bool readable; /* read(2) has not yet said EAGAIN */
	bool writable;
	bool talked; /* the host has sent something since it connected */
	bool gone;   /* the host has closed its end after that: what is sent is for nobody */
	bool broken; /* the host's bytes were no frames: nothing more is read until it reconnects */
};

/* Queues one message; where memory is out the VM ends, since the host would wait for ever. */
void port_send(
	struct port *p, uint32_t stream, uint16_t type, uint16_t channel, const void *payload, size_t size);
void port_send_buffer(struct port *p, uint32_t stream, uint16_t type, const struct buffer *payload);
void port_send_error(struct port *p, uint32_t stream, const struct error *err);

/* Queues it in front of all that waits while it is held. */
void port_send_first(struct port *p, uint32_t stream, uint16_t type, const struct buffer *payload);

/* What is queued from here on waits until port_release(). */
void port_hold(struct port *p);
void port_release(struct port *p);

bool port_full(const struct port *p);
bool port_empty(const struct port *p);
void port_flush(struct port *p);

/* Reads once. 1: bytes came; 0: nothing now; -1: the host has gone. */
int port_fill(struct port *p);

/* Forgets what is half read and what waits to be written. */
void port_forget(struct port *p);
