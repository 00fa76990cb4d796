/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/output_format.h"

#include <dirent.h>
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
	int fd = fs_open(directory, ".", O_RDONLY | O_DIRECTORY, 0, err);
	struct dirent *entry;
	DIR *list;

	*oldest = *newest = 0;
	if (fd < 0)
		return fd;
	list = fdopendir(fd);
	if (!list) {
		close(fd);
		return error_no_memory(err, "list the log");
	}
	while ((entry = readdir(list))) {
		uint32_t number;

		if (strlen(entry->d_name) != 8 || strspn(entry->d_name, "0123456789") != 8)
			continue;
		number = (uint32_t)strtoul(entry->d_name, NULL, 10);
		if (!*oldest || number < *oldest)
			*oldest = number;
		if (number > *newest)
			*newest = number;
	}
	closedir(list);
	return 0;
}
