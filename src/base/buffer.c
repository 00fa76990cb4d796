/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_free(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){0};
}

bool buffer_reserve(struct buffer *b, size_t more)
{
	size_t need, capacity = b->capacity ? b->capacity : 64;
	uint8_t *data;

	if (b->failed)
		return false;
	if (__builtin_add_overflow(b->size, more, &need) || (b->limit && need > b->limit)) {
		b->failed = true;
		return false;
	}
	if (need <= b->capacity)
		return true;
	while (capacity < need)
		if (__builtin_mul_overflow(capacity, 2, &capacity))
			capacity = need;
	data = realloc(b->data, capacity);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->capacity = capacity;
	return true;
}

bool buffer_append(struct buffer *b, const void *data, size_t n)
{
	if (!buffer_reserve(b, n))
		return false;
	if (n)
		memcpy(b->data + b->size, data, n);
	b->size += n;
	return true;
}

bool buffer_append_text(struct buffer *b, const char *text)
{
	return buffer_append(b, text, strlen(text));
}

bool buffer_format(struct buffer *b, const char *format, ...)
{
	va_list args, again;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		b->failed = true;
	else if (buffer_reserve(b, (size_t)n + 1)) {
		vsnprintf((char *)b->data + b->size, (size_t)n + 1, format, again);
		b->size += (size_t)n;
	}
	va_end(again);
	return !b->failed;
}

static bool append_integer(struct buffer *b, uint64_t v, size_t bytes)
{
	uint8_t raw[8];

	for (size_t i = 0; i < bytes; i++)
		raw[i] = (uint8_t)(v >> (8 * i));
	return buffer_append(b, raw, bytes);
}

bool buffer_u8(struct buffer *b, uint8_t v)
{
	return append_integer(b, v, 1);
}

bool buffer_u16(struct buffer *b, uint16_t v)
{
	return append_integer(b, v, 2);
}

bool buffer_u32(struct buffer *b, uint32_t v)
{
	return append_integer(b, v, 4);
}

bool buffer_u64(struct buffer *b, uint64_t v)
{
	return append_integer(b, v, 8);
}

bool buffer_bytes(struct buffer *b, const void *data, size_t n)
{
	if (n > UINT32_MAX)
		b->failed = true;
	return buffer_u32(b, (uint32_t)n) && buffer_append(b, data, n);
}

bool buffer_string(struct buffer *b, const char *text)
{
	return buffer_bytes(b, text ? text : "", text ? strlen(text) : 0);
}

void buffer_consume(struct buffer *b, size_t n)
{
	if (n > b->size)
		n = b->size;
	if (n) {
		memmove(b->data, b->data + n, b->size - n);
		b->size -= n;
	}
}

void buffer_clear(struct buffer *b)
{
	b->size = 0;
	b->failed = false;
}

char *buffer_take_text(struct buffer *b)
{
	char *text = NULL;

	if (buffer_u8(b, 0)) {
		text = (char *)b->data;
		b->data = NULL;
	}
	buffer_free(b);
	return text;
}

bool buffer_equal(const struct buffer *a, const struct buffer *b)
{
	return a->size == b->size && (!a->size || !memcmp(a->data, b->data, a->size));
}

const uint8_t *cursor_take(struct cursor *c, size_t n)
{
	const uint8_t *at = c->data;

	if (c->failed || n > c->left) {
		c->failed = true;
		return NULL;
	}
	c->data += n;
	c->left -= n;
	return at;
}

static uint64_t take_integer(struct cursor *c, size_t bytes)
{
	const uint8_t *raw = cursor_take(c, bytes);
	uint64_t v = 0;

	for (size_t i = 0; raw && i < bytes; i++)
		v |= (uint64_t)raw[i] << (8 * i);
	return v;
}

uint8_t cursor_u8(struct cursor *c)
{
	return (uint8_t)take_integer(c, 1);
}

uint16_t cursor_u16(struct cursor *c)
{
	return (uint16_t)take_integer(c, 2);
}

uint32_t cursor_u32(struct cursor *c)
{
	return (uint32_t)take_integer(c, 4);
}

uint64_t cursor_u64(struct cursor *c)
{
	return take_integer(c, 8);
}

const uint8_t *cursor_bytes(struct cursor *c, size_t *n)
{
	size_t size = cursor_u32(c);
	const uint8_t *at = cursor_take(c, size);

	*n = at ? size : 0;
	return at;
}

char *cursor_string(struct cursor *c)
{
	size_t n;
	const uint8_t *at = cursor_bytes(c, &n);
	char *text;

	if (!at || memchr(at, 0, n)) {
		c->failed = true;
		return NULL;
	}
	text = malloc(n + 1);
	if (!text) {
		c->failed = true;
		return NULL;
	}
	memcpy(text, at, n);
	text[n] = 0;
	return text;
}
