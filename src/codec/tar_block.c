/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/tar_block.h"

#include <string.h>

#include "codec/tar.h"

bool tar_block_is_zero(const uint8_t *block)
{
	return block[0] == 0 && memcmp(block, block + 1, TAR_BLOCK - 1) == 0;
}

bool tar_block_sum_matches(const uint8_t *block)
{
	const struct tar_field field = TAR_FIELD_CHECKSUM;
	int64_t stored, plain = 0, with_sign = 0;

	if (tar_block_text_size(block, field) == 0 ||
		tar_block_number(block, field, 0, INT32_MAX, &stored, NULL) < 0)
		return false;
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		bool in_field = i >= field.at && i < (size_t)field.at + field.size;

		plain += in_field ? ' ' : block[i];
		with_sign += in_field ? ' ' : (int8_t)block[i];
	}
	return stored == plain || stored == with_sign;
}

enum tar_dialect tar_block_dialect(const uint8_t *block)
{
	const uint8_t *magic = block + TAR_AT_MAGIC;

	if (!memcmp(magic, "ustar  ", 8))
		return TAR_DIALECT_GNU;
	if (memcmp(magic, "ustar", 6) != 0)
		return TAR_DIALECT_V7;
	return memcmp(block + TAR_AT_STAR, "tar", 4) ? TAR_DIALECT_USTAR : TAR_DIALECT_STAR;
}

size_t tar_block_text_size(const uint8_t *block, struct tar_field field)
{
	return strnlen((const char *)block + field.at, field.size);
}

/* Two's complement of 8 * size - 1 bits, most significant first. */
static bool read_base_256(const uint8_t *at, size_t size, int64_t *value)
{
	bool negative = at[0] & 0x40;
	uint64_t v = negative ? ~UINT64_C(0) : 0;
	uint64_t fill = negative ? 0xff : 0;

	for (size_t i = 0; i < size; i++) {
		uint8_t byte = i ? at[i] : (uint8_t)((at[0] & 0x7f) | (negative ? 0x80 : 0));

		if (v >> 56 != fill)
			return false;
		v = v << 8 | byte;
	}
	if ((v >> 63 != 0) != negative)
		return false;
	*value = (int64_t)v;
	return true;
}

static bool read_octal(const uint8_t *at, size_t size, int64_t *value)
{
	size_t i = 0;
	int64_t v = 0;

	while (i < size && at[i] == ' ')
		i++;
	for (; i < size && at[i] >= '0' && at[i] <= '7'; i++)
		if (__builtin_mul_overflow(v, 8, &v) || __builtin_add_overflow(v, at[i] - '0', &v))
			return false;
	if (i < size && at[i] != ' ' && at[i] != 0)
		return false;
	*value = v;
	return true;
}

int tar_block_number(const uint8_t *block, struct tar_field field, int64_t min, int64_t max, int64_t *value,
	struct error *err)
{
	const uint8_t *at = block + field.at;
	bool ok = at[0] & 0x80 ? read_base_256(at, field.size, value) : read_octal(at, field.size, value);

	if (!ok)
		return error_set(err, ERROR_INVALID, "the field '%s' holds no number", field.name);
	if (*value < min || *value > max)
		return error_set(err, ERROR_INVALID, "the field '%s' is %lld: out of range", field.name,
			(long long)*value);
	return 0;
}

size_t tar_padding(uint64_t size)
{
	return (size_t)(-size & (TAR_BLOCK - 1));
}
