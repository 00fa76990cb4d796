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

void output_header_write(
	uint8_t header[OUTPUT_HEADER_SIZE], uint64_t time, enum output_stream stream, uint32_t size)
{
	put_integer(header, size, 4);
	put_integer(header + 4, stream, 4);
	put_integer(header + 8, time, 8);
}

const char *output_segment_name(uint32_t number, char name[OUTPUT_NAME_SIZE])
{
	snprintf(name, OUTPUT_NAME_SIZE, "%08u", number % 100000000);
	return name;
}

int output_segments(int directory, uint32_t *oldest, uint32_t *newest, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	int r = fs_list_open(directory, ".", &list, err);

	*oldest = *newest = 0;
	for (const char *name; (name = fs_list_next(list));) {
		uint32_t number;

		if (strlen(name) != 8 || strspn(name, "0123456789") != 8)
			continue;
		number = (uint32_t)strtoul(name, NULL, 10);
		if (!*oldest || number < *oldest)
			*oldest = number;
		if (number > *newest)
			*newest = number;
	}
	return r;
}
