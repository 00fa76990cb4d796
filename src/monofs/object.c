/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/object.h"

const char *object_type_name(enum object_type type)
{
	switch (type) {
#define X(name, number, text, most) \
	case OBJECT_##name: \
		return text;
		OBJECT_TYPES(X)
#undef X
	}
	return "?";
}

uint32_t object_type_most(enum object_type type)
{
	switch (type) {
#define X(name, number, text, most) \
	case OBJECT_##name: \
		return most;
		OBJECT_TYPES(X)
#undef X
	}
	return 0;
}

const char *object_id_hex(const struct object_id *id, char out[OBJECT_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < OBJECT_ID_SIZE; i++) {
		out[2 * i] = digits[id->bytes[i] >> 4];
		out[2 * i + 1] = digits[id->bytes[i] & 15];
	}
	out[2 * OBJECT_ID_SIZE] = 0;
	return out;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool object_id_parse(const char *hex, struct object_id *id)
{
	struct object_id out;

	for (size_t i = 0; i < OBJECT_ID_SIZE; i++) {
		int high = digit(hex[2 * i]), low = high < 0 ? -1 : digit(hex[2 * i + 1]);

		if (low < 0)
			return false;
		out.bytes[i] = (uint8_t)(high << 4 | low);
	}
	if (hex[2 * OBJECT_ID_SIZE])
		return false;
	*id = out;
	return true;
}
