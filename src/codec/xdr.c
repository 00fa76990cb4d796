/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/xdr.h"

#include <string.h>

void xdr_fail(struct xdr *x)
{
	if (x->out)
		x->out->failed = true;
	else
		x->in.failed = true;
}

bool xdr_failed(const struct xdr *x)
{
	return x->out ? x->out->failed : x->in.failed;
}

static void put_u32(struct buffer *out, uint32_t v)
{
	const uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

	buffer_append(out, bytes, sizeof bytes);
}

static void put_u64(struct buffer *out, uint64_t v)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(v >> (56 - 8 * i));
	buffer_append(out, bytes, sizeof bytes);
}

static uint64_t get(struct cursor *in, size_t bytes)
{
	const uint8_t *raw = cursor_take(in, bytes);
	uint64_t v = 0;

	for (size_t i = 0; raw && i < bytes; i++)
		v = v << 8 | raw[i];
	return v;
}

void xdr_u32(struct xdr *x, uint32_t *v)
{
	if (x->out)
		put_u32(x->out, *v);
	else
		*v = (uint32_t)get(&x->in, 4);
}

void xdr_u64(struct xdr *x, uint64_t *v)
{
	if (x->out)
		put_u64(x->out, *v);
	else
		*v = get(&x->in, 8);
}

void xdr_enum(struct xdr *x, uint32_t *v, uint32_t most)
{
	xdr_u32(x, v);
	if (*v > most) {
		xdr_fail(x);
		*v = x->out ? *v : 0;
	}
}

void xdr_bool(struct xdr *x, bool *v)
{
	uint32_t n = x->out ? *v : 0;

	xdr_enum(x, &n, 1);
	*v = n;
}

static size_t padding(size_t n)
{
	return -n & 3;
}

static void put_padding(struct buffer *out, size_t n)
{
	buffer_append(out, "\0\0", padding(n));
}

void xdr_fixed(struct xdr *x, void *bytes, size_t n)
{
	const uint8_t *at;

	if (x->out) {
		buffer_append(x->out, bytes, n);
		put_padding(x->out, n);
		return;
	}
	at = cursor_take(&x->in, n);
	if (at && cursor_take(&x->in, padding(n)))
		memcpy(bytes, at, n);
	else
		memset(bytes, 0, n);
}

static void put_bytes(struct buffer *out, const struct xdr_bytes *v)
{
	put_u32(out, v->size);
	if (!buffer_reserve(out, (size_t)v->size + 3))
		return;
	if (v->size && v->data != out->data + out->size)
		memcpy(out->data + out->size, v->data, v->size);
	out->size += v->size;
	put_padding(out, v->size);
}

void xdr_bytes(struct xdr *x, struct xdr_bytes *v, uint32_t most)
{
	if (x->out) {
		if (v->size > most)
			xdr_fail(x);
		put_bytes(x->out, v);
		return;
	}
	xdr_enum(x, &v->size, most);
	v->data = cursor_take(&x->in, v->size);
	if (!v->data || !cursor_take(&x->in, padding(v->size)))
		*v = (struct xdr_bytes){0};
}
