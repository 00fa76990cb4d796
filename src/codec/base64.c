/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/base64.h"

#include <stdlib.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t n, struct error *err)
{
	const uint8_t *p = data;
	char *text = n < SIZE_MAX / 4 ? malloc(BASE64_SIZE(n) + 1) : NULL, *out = text;

	if (!text) {
		error_no_memory(err, "encode base64");
		return NULL;
	}
	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t group = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
				 (left > 2 ? p[i + 2] : 0);

		*out++ = letters[group >> 18];
		*out++ = letters[group >> 12 & 63];
		*out++ = '=';
		*out++ = '=';
		if (left > 1)
			out[-2] = letters[group >> 6 & 63];
		if (left > 2)
			out[-1] = letters[group & 63];
	}
	*out = 0;
	return text;
}

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(const char *text, size_t n, uint8_t *out, size_t *size)
{
	size_t padding = n >= 4 && text[n - 1] == '=' ? 1 + (text[n - 2] == '=') : 0;
	uint32_t group = 0;

	*size = 0;
	if (n % 4 != 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		int value = i >= n - padding ? 0 : value_of(text[i]);

		if (value < 0)
			return false;
		group = (i % 4 ? group << 6 : 0) | (uint32_t)value;
		if (i % 4 != 3)
			continue;
		out[(*size)++] = (uint8_t)(group >> 16);
		out[(*size)++] = (uint8_t)(group >> 8);
		out[(*size)++] = (uint8_t)group;
	}
	*size -= padding;
	return padding == 0 || (group & (padding == 1 ? 0xffu : 0xffffu)) == 0;
}
