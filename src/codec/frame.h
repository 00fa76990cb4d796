/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames: what travels between host and agent over virtio-serial, and between clients and mcrun over a
 * unix socket. docs/formats/agent.md describes the bytes; all integers are little-endian.
 *
 *   u32 length   bytes that follow this field: 8 to 8 + FRAME_PAYLOAD_MAX
 *   u32 stream   0: the connection itself; otherwise a stream opened by the host (or the client)
 *   u16 type     enum message_type (message.h)
 *   u16 channel  enum frame_channel for DATA, CREDIT, END and CLOSE; otherwise 0; bit 15: FRAME_MORE
 *   payload
 *
 * A payload larger than one frame (an EXEC with a large environment) travels as several: each but the last
 * carries FRAME_MORE and exactly FRAME_PAYLOAD_MAX bytes, the last carries the rest (1 byte at least), and
 * all follow each other at once with the same stream, type and channel. frame_write() is the one place that
 * splits, frame_reader_next() the one that joins: who uses them sees whole payloads of at most
 * FRAME_MESSAGE_MAX bytes.
 *
 * This is a pure core: bytes in, frames out. The peer is hostile; a frame that breaks the format is an
 * INVALID error, after which the connection must be dropped.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

#define FRAME_HEADER_SIZE 12
#define FRAME_PAYLOAD_MAX 65536
#define FRAME_MESSAGE_MAX (2 * 1024 * 1024) /* bytes of a joined payload */
#define FRAME_MORE        0x8000            /* in the channel: the next frame continues this payload */

enum frame_channel { CHANNEL_IN = 0, CHANNEL_OUT = 1, CHANNEL_ERR = 2, CHANNEL_COUNT };

struct frame {
	uint32_t stream;
	uint16_t type;
	uint16_t channel;
	const uint8_t *payload; /* points into the reader's buffer; valid until the next frame_* call on it */
	size_t size;
};

/* Appends one message to out, in as many frames as it needs (one up to FRAME_PAYLOAD_MAX bytes). Out fails
 * where the payload is over FRAME_MESSAGE_MAX or the channel over 0x7fff. */
bool frame_write(struct buffer *out, uint32_t stream, uint16_t type, uint16_t channel, const void *payload,
	size_t size);

/* Collects bytes and yields frames. Memory is bounded by one frame and what one frame_reader_space() call
 * hands out, and FRAME_MESSAGE_MAX while a message comes in parts. A zeroed reader is ready. */
struct frame_reader {
	struct buffer bytes;
	size_t at;            /* bytes of `bytes` that earlier frames took */
	struct buffer joined; /* the parts so far of a message in several frames */
	struct frame part;    /* stream, type and channel of these */
	bool joining;
};

void frame_reader_free(struct frame_reader *r);

/* Room for at least FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX bytes to read(2) into; *n is its size. After
 * reading, tell how many came with frame_reader_filled(). NULL: out of memory. */
uint8_t *frame_reader_space(struct frame_reader *r, size_t *n);
void frame_reader_filled(struct frame_reader *r, size_t n);

/* 1: *frame is the next frame; 0: more bytes are needed; negative: malformed, *err says why. */
int frame_reader_next(struct frame_reader *r, struct frame *frame, struct error *err);
