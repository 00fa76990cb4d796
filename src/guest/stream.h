/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: what all of them share, whatever they carry. The host opens one with the message that asks for
 * something (EXEC, GET, …); it is over with the answer that ends it (EXITED, DONE, USAGE or ERROR).
 *
 * Windows: `credit` is what we may still send on an output channel, `window` what the host may still send
 * on CHANNEL_IN. Both start at STREAM_WINDOW. Who takes bytes of CHANNEL_IN says so with stream_took().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "codec/frame.h"

#define STREAMS_MAX 1024

struct agent;
struct stream;

/* What a kind of stream does; all but release may be NULL. */
struct stream_type {
	void (*data)(struct stream *s, const uint8_t *bytes, size_t n); /* CHANNEL_IN */
	void (*end)(struct stream *s);                                  /* of CHANNEL_IN */
	void (*close)(struct stream *s, unsigned channel);  /* nobody wants this output any more */
	void (*credit)(struct stream *s, unsigned channel); /* there is some where there was none */
	/* A slice of work, called each turn of the loop while `runnable` and the port has room. */
	void (*step)(struct stream *s);
	void (*signal)(struct stream *s, int number);
	void (*resize)(struct stream *s, uint16_t rows, uint16_t columns);
	void (*release)(struct stream *s); /* frees all, and s */
};

struct stream {
	const struct stream_type *type;
	struct agent *agent;
	struct stream *next;
	uint32_t id;
	uint32_t credit[CHANNEL_COUNT];
	uint32_t window;
	uint32_t untold; /* bytes taken that no CREDIT has told yet */
	bool in_ended;
	bool runnable;
	bool over;
};

/* Puts a stream that its type has allocated into the agent's list. */
void stream_open(struct agent *a, struct stream *s, const struct stream_type *type, uint32_t id);
struct stream *stream_find(struct agent *a, uint32_t id); /* NULL: not there, or over */

/* Sends a message of the stream; stream_end() sends its last and ends it, stream_fail() ends it by ERROR. */
void stream_send(struct stream *s, uint16_t type, const struct buffer *payload); /* NULL: empty */
void stream_end(struct stream *s, uint16_t type, const struct buffer *payload);
void stream_fail(struct stream *s, const struct error *err);

/* Ends it without a word: the host has called it off. */
void stream_abort(struct stream *s);

/* Sends n bytes of output, n within the channel's credit. */
void stream_output(struct stream *s, unsigned channel, const void *bytes, size_t n);
/* How many bytes may be sent now in one piece, AGENT_SCRATCH_SIZE at most. */
size_t stream_room(const struct stream *s, unsigned channel);
void stream_channel_message(struct stream *s, uint16_t type, unsigned channel); /* END, CLOSE */

void stream_took(struct stream *s, size_t n);

/* Lets the runnable streams work, one slice each; true: there is more to do. */
bool streams_step(struct agent *a);
/* Frees what is over. */
void streams_collect(struct agent *a);
/* The host has gone: nothing is left of its streams. */
void streams_abort_all(struct agent *a);
