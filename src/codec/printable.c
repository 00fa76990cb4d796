/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/printable.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"

/* Bytes of the character at the start of `p`, its number in *code; 0: no UTF-8. */
static size_t decode(const uint8_t *p, size_t n, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t size = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 0;

	if (size == 0 || size > n || p[0] > 0xf4)
		return 0;
	*code = size == 1 ? p[0] : p[0] & (0x7fu >> size);
	for (size_t i = 1; i < size; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (p[i] & 0x3f);
	}
	return *code < least[size] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000) ? 0 : size;
}

static bool is_space(uint32_t code)
{
	return code == ' ' || (code >= '\t' && code <= '\r') || code == 0xa0;
}

static bool is_harmful(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0, 0x1f}, {0x7f, 0x9f},                              /* controls */
		{0x061c, 0x061c}, {0x200b, 0x200f}, {0x2028, 0x202e}, /* marks, separators, overrides */
		{0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, /* isolates and what has no width */
		{0xe000, 0xf8ff}, {0xe0000, 0xe0fff}, {0xf0000, 0x10ffff}, /* tags and private use */
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	return false;
}

/* Replaces the end by "...", at the start of a character that leaves room. */
static void cut(char *out, size_t used, size_t size)
{
	while (used > 0 && (used + 4 > size || ((uint8_t)out[used] & 0xc0) == 0x80))
		used--;
	memcpy(out + used, "...", 4);
}

size_t printable_line(const void *bytes, size_t n, char *out, size_t size)
{
	const uint8_t *p = bytes, *end = n ? p + n : p;
	size_t used = 0, replaced = 0;
	bool space = false;

	out[0] = 0;
	while (p < end) {
		uint32_t code = 0;
		size_t taken = decode(p, (size_t)(end - p), &code);
		bool bad = taken == 0 || (!is_space(code) && is_harmful(code));
		const void *text = bad ? (const void *)"?" : p;
		size_t wanted = bad ? 1 : taken;

		p += taken ? taken : 1;
		if (!bad && is_space(code)) {
			space = used > 0;
			continue;
		}
		if (used + space + wanted + 1 > size) {
			cut(out, used, size);
			return replaced;
		}
		if (space)
			out[used++] = ' ';
		memcpy(out + used, text, wanted);
		used += wanted;
		out[used] = 0;
		space = false;
		replaced += bad;
	}
	return replaced;
}
