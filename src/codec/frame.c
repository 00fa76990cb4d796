/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames: one function that splits and writes, one reader that checks and joins. The length field is judged
 * before any payload is waited for, so a hostile length costs no memory.
 */
#include "codec/frame.h"

#include <string.h>

#define HEADER_BEHIND_LENGTH (FRAME_HEADER_SIZE - 4)
#define FRAME_MAX            (FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX)

static void write_one(struct buffer *out, const struct frame *f)
{
	buffer_u32(out, (uint32_t)(HEADER_BEHIND_LENGTH + f->size));
	buffer_u32(out, f->stream);
	buffer_u16(out, f->type);
	buffer_u16(out, f->channel);
	buffer_append(out, f->payload, f->size);
}

bool frame_write(struct buffer *out, uint32_t stream, uint16_t type, uint16_t channel, const void *payload,
	size_t size)
{
	struct frame f = {.stream = stream, .type = type, .payload = payload};

	if (size > FRAME_MESSAGE_MAX || channel & FRAME_MORE) {
		out->failed = true;
		return false;
	}
	f.channel = channel | FRAME_MORE;
	f.size = FRAME_PAYLOAD_MAX;
	for (; size > FRAME_PAYLOAD_MAX; size -= FRAME_PAYLOAD_MAX, f.payload += FRAME_PAYLOAD_MAX)
		write_one(out, &f);
	f.channel = channel;
	f.size = size;
	write_one(out, &f);
	return !out->failed;
}

void frame_reader_free(struct frame_reader *r)
{
	buffer_free(&r->bytes);
	buffer_free(&r->joined);
	*r = (struct frame_reader){0};
}

uint8_t *frame_reader_space(struct frame_reader *r, size_t *n)
{
	buffer_consume(&r->bytes, r->at);
	r->at = 0;
	if (!buffer_reserve(&r->bytes, FRAME_MAX))
		return NULL;
	*n = r->bytes.capacity - r->bytes.size;
	if (*n > 2 * FRAME_MAX)
		*n = 2 * FRAME_MAX;
	return r->bytes.data + r->bytes.size;
}

void frame_reader_filled(struct frame_reader *r, size_t n)
{
	r->bytes.size += n;
}

/* 1: *f is the next frame as it was sent, and taken; 0: it is not whole yet. */
static int take_one(struct frame_reader *r, struct frame *f, struct error *err)
{
	struct cursor in;
	uint32_t length;

	if (!r->bytes.data)
		return 0;
	in = cursor_of(r->bytes.data + r->at, r->bytes.size - r->at);
	if (in.left < 4)
		return 0;
	length = cursor_u32(&in);
	if (length < HEADER_BEHIND_LENGTH || length > HEADER_BEHIND_LENGTH + FRAME_PAYLOAD_MAX)
		return error_set(err, ERROR_INVALID, "frame: a length of %u bytes is not between %u and %u",
			length, HEADER_BEHIND_LENGTH, HEADER_BEHIND_LENGTH + FRAME_PAYLOAD_MAX);
	if (in.left < length)
		return 0;
	f->stream = cursor_u32(&in);
	f->type = cursor_u16(&in);
	f->channel = cursor_u16(&in);
	f->size = length - HEADER_BEHIND_LENGTH;
	f->payload = in.data;
	r->at += 4 + (size_t)length;
	return 1;
}

/* Adds a frame to the message that comes in parts. 1: *f is now the whole message; 0: more parts follow. */
static int join(struct frame_reader *r, struct frame *f, struct error *err)
{
	bool more = f->channel & FRAME_MORE;

	f->channel &= (uint16_t)~FRAME_MORE;
	if (r->joining &&
		(f->stream != r->part.stream || f->type != r->part.type || f->channel != r->part.channel))
		return error_set(err, ERROR_INVALID,
			"frame: stream %u, type %u stands between the parts of stream %u, type %u", f->stream,
			f->type, r->part.stream, r->part.type);
	if (more ? f->size != FRAME_PAYLOAD_MAX : f->size == 0)
		return error_set(err, ERROR_INVALID, "frame: a part of a message has %zu bytes", f->size);
	if (r->joined.size + f->size > FRAME_MESSAGE_MAX)
		return error_set(
			err, ERROR_INVALID, "frame: a message is over %u bytes", (unsigned)FRAME_MESSAGE_MAX);
	if (!buffer_append(&r->joined, f->payload, f->size))
		return error_no_memory(err, "join the parts of a message");
	r->part = *f;
	r->joining = more;
	f->payload = r->joined.data;
	f->size = r->joined.size;
	return !more;
}

int frame_reader_next(struct frame_reader *r, struct frame *frame, struct error *err)
{
	int got;

	if (!r->joining && r->joined.data)
		buffer_free(&r->joined);
	do {
		got = take_one(r, frame, err);
		if (got <= 0)
			return got;
		if (!r->joining && !(frame->channel & FRAME_MORE))
			return 1;
		got = join(r, frame, err);
	} while (got == 0);
	return got;
}
