/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/output_format.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/fs.h"

static void put_integer(uint8_t *at, uint64_t v, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(v >> (8 * i));
}

void output_header_write(uint8_t header[OUTPUT_HEADER_SIZE], uint64_t time, uint32_t stream, uint32_t size)
{
	put_integer(header, size, 4);
	put_integer(header + 4, stream, 4);
	put_integer(header + 8, time, 8);
}

void output_state_write(uint8_t data[OUTPUT_STATE_SIZE], const struct output_open *open)
{
	for (size_t i = 0; i < OUTPUT_STREAMS; i++)
		put_integer(data + 4 * i, open->bytes[i], 4);
}

bool output_state_read(const struct output_record *r, struct output_open *open)
{
	struct cursor c = cursor_of(r->data, r->size);

	for (size_t i = 0; i < OUTPUT_STREAMS; i++)
		if ((open->bytes[i] = cursor_u32(&c)) >= OUTPUT_LINE_MAX)
			return false;
	return cursor_done(&c);
}

int output_record_next(struct cursor *c, struct output_record *r)
{
	struct cursor in = *c;

	r->size = cursor_u32(&in);
	r->stream = cursor_u32(&in);
	r->time = cursor_u64(&in);
	if (in.failed)
		return 0;
	if (r->size > OUTPUT_RECORD_MAX || r->stream > OUTPUT_STATE)
		return -1;
	r->data = cursor_take(&in, r->size);
	if (in.failed)
		return 0;
	*c = in;
	return 1;
}

void output_open_after(struct output_open *open, const struct output_record *r)
{
	const uint8_t *newline;
	struct output_open told;

	if (r->stream == OUTPUT_STATE) {
		if (output_state_read(r, &told))
			*open = told;
		return;
	}
	newline = r->size ? memrchr(r->data, '\n', r->size) : NULL;
	if (newline)
		open->bytes[r->stream] = 0;
	open->bytes[r->stream] += r->size - (newline ? (uint32_t)(newline - r->data) + 1 : 0);
	open->bytes[r->stream] %= OUTPUT_LINE_MAX;
}

const char *output_segment_name(uint32_t number, bool packed, char name[OUTPUT_NAME_SIZE])
{
	snprintf(name, OUTPUT_NAME_SIZE, "%08u%s", number % 100000000, packed ? OUTPUT_PACKED : "");
	return name;
}

int output_segments(int directory, uint32_t *oldest, uint32_t *newest, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	int r = fs_list_open(directory, ".", &list, err);

	*oldest = *newest = 0;
	for (const char *name; (name = fs_list_next(list));) {
		uint32_t number;

		if (strspn(name, "0123456789") != 8 || (name[8] && strcmp(name + 8, OUTPUT_PACKED)))
			continue;
		number = (uint32_t)strtoul(name, NULL, 10);
		if (!*oldest || number < *oldest)
			*oldest = number;
		if (number > *newest)
			*newest = number;
	}
	return r;
}
