/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that grow (struct buffer) and bytes that are read with a bound (struct cursor).
 *
 * Both are sticky: after the first failure (no memory, over the limit, too few bytes) every further call
 * does nothing and returns zeroes, and the caller checks once, at the end. Integers are little-endian.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct buffer {
	uint8_t *data;
	size_t size;     /* bytes in use */
	size_t capacity; /* bytes allocated */
	size_t limit;    /* size never exceeds it; 0: no limit */
	bool failed;
};

void buffer_free(struct buffer *b); /* releases the bytes and zeroes *b; a zeroed buffer is empty */
static inline void cleanup_buffer(struct buffer *b)
{
	buffer_free(b);
}
#define _cleanup_buffer_ _cleanup_(cleanup_buffer)

bool buffer_reserve(struct buffer *b, size_t more); /* room for `more` bytes behind size; false: failed */
bool buffer_append(struct buffer *b, const void *data, size_t n);
bool buffer_append_text(struct buffer *b, const char *text); /* without its NUL */
bool buffer_format(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buffer_u8(struct buffer *b, uint8_t v);
bool buffer_u16(struct buffer *b, uint16_t v);
bool buffer_u32(struct buffer *b, uint32_t v);
bool buffer_u64(struct buffer *b, uint64_t v);
bool buffer_bytes(struct buffer *b, const void *data, size_t n); /* u32 length, then the bytes */
bool buffer_string(struct buffer *b, const char *text);          /* as buffer_bytes; NULL as "" */
void buffer_consume(struct buffer *b, size_t n);                 /* drops n bytes from the front */
void buffer_clear(struct buffer *b);                             /* size 0, not failed; keeps the memory */
char *buffer_take_text(struct buffer *b); /* NUL-terminated, caller frees; NULL if failed; leaves *b empty */
/* The same bytes, or none in both. */
bool buffer_equal(const struct buffer *a, const struct buffer *b);

struct cursor {
	const uint8_t *data;
	size_t left;
	bool failed;
};

static inline struct cursor cursor_of(const void *data, size_t n)
{
	return (struct cursor){.data = data, .left = n};
}

const uint8_t *cursor_take(struct cursor *c, size_t n); /* n bytes, or NULL (and failed) */
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
const uint8_t *cursor_bytes(struct cursor *c, size_t *n); /* written by buffer_bytes; points into the input */
/* Written by buffer_string; NULL and failed where it holds a NUL byte, is cut, or memory is out. The
 * caller frees. */
char *cursor_string(struct cursor *c);
static inline bool cursor_done(const struct cursor *c) /* all read, nothing failed */
{
	return !c->failed && c->left == 0;
}
