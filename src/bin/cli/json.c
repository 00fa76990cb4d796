/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/cli/json.h"

#include <string.h>

#include "base/clock.h"

static void separate(struct buffer *b)
{
	if (b->size && !strchr("[{:\n", b->data[b->size - 1]))
		buffer_u8(b, ',');
}

void json_put_open(struct buffer *b, char bracket)
{
	separate(b);
	buffer_u8(b, (uint8_t)bracket);
}

void json_put_close(struct buffer *b, char bracket)
{
	buffer_u8(b, (uint8_t)bracket);
}

void json_put_key(struct buffer *b, const char *key)
{
	json_put_string(b, key);
	buffer_u8(b, ':');
}

/* Bytes of the UTF-8 character (RFC 3629) at p, or 0 where there is none: overlong forms, surrogates and
 * what is above U+10FFFF are none. */
static size_t utf8_size(const unsigned char *p, size_t left)
{
	size_t n = p[0] < 0x80   ? 1
		   : p[0] < 0xc2 ? 0
		   : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3
		   : p[0] < 0xf5 ? 4
				 : 0;

	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
		(p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

static void escape(struct buffer *b, unsigned char c)
{
	static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";

	for (const char *p = named; *p; p += 2)
		if (c == (unsigned char)p[0]) {
			buffer_u8(b, '\\');
			buffer_u8(b, (uint8_t)p[1]);
			return;
		}
	if (c < 0x20 || c == 0x7f)
		buffer_format(b, "\\u%04x", c);
	else
		buffer_u8(b, c);
}

void json_put_text(struct buffer *b, const char *text, size_t size)
{
	const unsigned char *p = (const unsigned char *)text;

	separate(b);
	if (!text) {
		buffer_append_text(b, "null");
		return;
	}
	buffer_u8(b, '"');
	while (size) {
		size_t n = utf8_size(p, size);

		if (n == 1)
			escape(b, *p);
		else if (n)
			buffer_append(b, p, n);
		else
			buffer_append_text(b, "\\ufffd");
		n += !n;
		p += n;
		size -= n;
	}
	buffer_u8(b, '"');
}

void json_put_string(struct buffer *b, const char *text)
{
	json_put_text(b, text, text ? strlen(text) : 0);
}

void json_put_list(struct buffer *b, char *const *list)
{
	json_put_open(b, '[');
	for (; list && *list; list++)
		json_put_string(b, *list);
	json_put_close(b, ']');
}

void json_put_number(struct buffer *b, int64_t number)
{
	separate(b);
	buffer_format(b, "%lld", (long long)number);
}

void json_put_bool(struct buffer *b, bool value)
{
	separate(b);
	buffer_append_text(b, value ? "true" : "false");
}

void json_put_raw(struct buffer *b, const char *json)
{
	separate(b);
	buffer_append_text(b, json);
}

void json_put_time(struct buffer *b, uint64_t time)
{
	char text[31];

	json_put_string(b, time ? clock_rfc3339(time, text) : NULL);
}
