/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/tar_sparse.h"

#include <stdlib.h>
#include <string.h>

#include "codec/tar_block.h"

#define SLOT 24

void tar_map_free(struct tar_map *m)
{
	free(m->parts);
	*m = (struct tar_map){0};
}

static bool map_grow(struct tar_map *m)
{
	size_t capacity = m->capacity ? m->capacity * 2 : 16;
	struct tar_part *parts;

	if (m->count < m->capacity)
		return true;
	parts = reallocarray(m->parts, capacity, sizeof *parts);
	if (!parts)
		return false;
	m->parts = parts;
	m->capacity = capacity;
	return true;
}

int tar_map_add(struct tar_map *m, uint64_t offset, uint64_t size, struct error *err)
{
	uint64_t end;

	if (m->given == m->limit)
		return error_set(err, ERROR_LIMIT, "a sparse file has more than %zu parts", m->limit);
	if (__builtin_add_overflow(offset, size, &end) || end > INT64_MAX)
		return error_set(err, ERROR_INVALID, "a part of a sparse file is out of range");
	if (offset < m->end)
		return error_set(
			err, ERROR_INVALID, "the parts of a sparse file overlap or are out of order");
	m->given++;
	m->end = end;
	if (!size)
		return 0;
	if (!map_grow(m))
		return error_no_memory(err, "read the map of a sparse file");
	m->parts[m->count++] = (struct tar_part){offset, size};
	m->bytes += size;
	return 0;
}

int tar_map_check(const struct tar_map *m, uint64_t real, uint64_t stored, struct error *err)
{
	if (m->end > real)
		return error_set(err, ERROR_INVALID, "a part of a sparse file reaches beyond its %llu bytes",
			(unsigned long long)real);
	if (m->bytes != stored)
		return error_set(err, ERROR_INVALID,
			"the parts of a sparse file hold %llu bytes, but the archive has %llu",
			(unsigned long long)m->bytes, (unsigned long long)stored);
	return 0;
}

bool tar_decimal(const uint8_t *text, size_t n, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v))
			return false;
	*value = v;
	return n && v <= max;
}

int tar_map_add_list(struct tar_map *m, const uint8_t *text, size_t n, struct error *err)
{
	uint64_t values[2];
	size_t which = 0;
	int r;

	while (n) {
		const uint8_t *comma = memchr(text, ',', n);
		size_t digits = comma ? (size_t)(comma - text) : n;

		if (!tar_decimal(text, digits, INT64_MAX, &values[which]) || (comma && digits + 1 == n))
			return error_set(err, ERROR_INVALID, "the map of a sparse file is malformed");
		if (which && (r = tar_map_add(m, values[0], values[1], err)) < 0)
			return r;
		which = !which;
		text += digits + (comma != NULL);
		n -= digits + (comma != NULL);
	}
	if (which)
		return error_set(err, ERROR_INVALID, "the map of a sparse file ends within a part");
	return 0;
}

int tar_map_add_slots(struct tar_map *m, const uint8_t *slots, size_t count, bool *ended, struct error *err)
{
	static const struct tar_field offset_field = {0, 12, "sparse offset"};
	static const struct tar_field size_field = {12, 12, "sparse size"};
	int64_t offset, size;
	int r;

	for (size_t i = 0; i < count; i++, slots += SLOT) {
		*ended = slots[size_field.at] == 0;
		if (*ended)
			return 0;
		if ((r = tar_block_number(slots, offset_field, 0, INT64_MAX, &offset, err)) < 0 ||
			(r = tar_block_number(slots, size_field, 0, INT64_MAX, &size, err)) < 0 ||
			(r = tar_map_add(m, (uint64_t)offset, (uint64_t)size, err)) < 0)
			return r;
	}
	return 0;
}

/* One line's number is complete: 1 when it was the last one that the map needs. */
static int take_line(struct tar_map *m, struct tar_map_lines *lines, struct error *err)
{
	int r;

	if (!lines->counted) {
		if (lines->number > m->limit)
			return error_set(err, ERROR_LIMIT, "a sparse file has more than %zu parts", m->limit);
		lines->counted = true;
		lines->left = lines->number;
	} else if (!lines->halfway) {
		lines->halfway = true;
		lines->offset = lines->number;
	} else {
		if ((r = tar_map_add(m, lines->offset, lines->number, err)) < 0)
			return r;
		lines->halfway = false;
		lines->left--;
	}
	return lines->left == 0;
}

int tar_map_add_lines(struct tar_map *m, struct tar_map_lines *lines, const uint8_t *block, struct error *err)
{
	int r;

	for (size_t i = 0; i < TAR_BLOCK; i++) {
		uint8_t byte = block[i];

		if (byte >= '0' && byte <= '9') {
			lines->digits = true;
			if (!__builtin_mul_overflow(lines->number, 10, &lines->number) &&
				!__builtin_add_overflow(
					lines->number, (uint64_t)(byte - '0'), &lines->number))
				continue;
		}
		if (byte != '\n' || !lines->digits)
			return error_set(err, ERROR_INVALID, "the map of a sparse file is malformed");
		if ((r = take_line(m, lines, err)) != 0)
			return r;
		lines->number = 0;
		lines->digits = false;
	}
	return 0;
}
