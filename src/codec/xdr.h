/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XDR (RFC 4506): bytes on the wire from values, and values from bytes that a stranger sent. One description
 * of a type serves both ways: each function writes *v where the stream has an output, else reads into it.
 *
 * Sticky, as base/buffer.h: after the first failure (too few bytes, a value that is out of bounds, no memory)
 * every further call does nothing, reads give zeroes, and the caller asks once, at the end. Bytes of opaque
 * data that were read point into the input. What pads is written as zeroes and read as anything.
 */
#pragma once

#include "base/buffer.h"

struct xdr {
	struct buffer *out; /* NULL: reads */
	struct cursor in;
};

/* Variable-length opaque data or a string; not terminated. */
struct xdr_bytes {
	const uint8_t *data; /* read: in the input */
	uint32_t size;
};

static inline struct xdr xdr_writer(struct buffer *out)
{
	return (struct xdr){.out = out};
}

static inline struct xdr xdr_reader(const void *data, size_t n)
{
	return (struct xdr){.in = cursor_of(data, n)};
}

void xdr_fail(struct xdr *x); /* what was read is not allowed */
bool xdr_failed(const struct xdr *x);
static inline bool xdr_done(const struct xdr *x) /* all read, nothing failed */
{
	return !xdr_failed(x) && x->in.left == 0;
}

void xdr_u32(struct xdr *x, uint32_t *v);
void xdr_u64(struct xdr *x, uint64_t *v);
void xdr_bool(struct xdr *x, bool *v);                    /* anything but 0 and 1 fails */
void xdr_enum(struct xdr *x, uint32_t *v, uint32_t most); /* over `most` fails */
void xdr_fixed(struct xdr *x, void *bytes, size_t n);     /* n bytes and what pads them */

/* At most `most` bytes. Bytes to write that already stand in the output's memory where they belong, behind
 * the length, stay there: a file's data is read to its place. */
void xdr_bytes(struct xdr *x, struct xdr_bytes *v, uint32_t most);
