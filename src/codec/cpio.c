/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/cpio.h"

#include <limits.h>
#include <string.h>

#define TRAILER "TRAILER!!!"

/* The order of the header's fields, each 8 hex digits behind the magic. */
enum field {
	FIELD_INODE,
	FIELD_MODE,
	FIELD_UID,
	FIELD_GID,
	FIELD_LINKS,
	FIELD_MTIME,
	FIELD_SIZE,
	FIELD_MAJOR,
	FIELD_MINOR,
	FIELD_DEVICE_MAJOR,
	FIELD_DEVICE_MINOR,
	FIELD_NAME_SIZE,
	FIELD_CHECKSUM, /* 0 in this format */
	FIELD_COUNT
};

static void align(struct buffer *out)
{
	static const uint8_t zeroes[4];

	buffer_append(out, zeroes, -out->size & 3);
}

static int write_entry(struct buffer *out, const char *name, uint32_t fields[FIELD_COUNT], const void *data,
	size_t n, struct error *err)
{
	size_t name_size = strlen(name) + 1;

	if (name_size == 1 || name_size > PATH_MAX || name[0] == '/')
		return error_set(err, ERROR_INVALID,
			"write a cpio archive: '%s' is no relative name of 1 to %d bytes", name,
			PATH_MAX - 1);
	if (n > UINT32_MAX)
		return error_set(err, ERROR_LIMIT, "write a cpio archive: '%s' is 4 GiB or larger", name);
	fields[FIELD_SIZE] = (uint32_t)n;
	fields[FIELD_NAME_SIZE] = (uint32_t)name_size;
	align(out);
	buffer_append_text(out, "070701");
	for (size_t i = 0; i < FIELD_COUNT; i++)
		buffer_format(out, "%08X", fields[i]);
	buffer_append(out, name, name_size);
	align(out);
	buffer_append(out, data, n);
	align(out);
	return out->failed ? error_no_memory(err, "write a cpio archive") : 0;
}

int cpio_write(
	struct buffer *out, const char *name, uint32_t mode, const void *data, size_t n, struct error *err)
{
	uint32_t fields[FIELD_COUNT] = {[FIELD_MODE] = mode, [FIELD_LINKS] = 1};

	return write_entry(out, name, fields, data, n, err);
}

int cpio_write_device(struct buffer *out, const char *name, uint32_t mode, uint32_t major, uint32_t minor,
	struct error *err)
{
	uint32_t fields[FIELD_COUNT] = {[FIELD_MODE] = mode,
		[FIELD_LINKS] = 1,
		[FIELD_DEVICE_MAJOR] = major,
		[FIELD_DEVICE_MINOR] = minor};

	return write_entry(out, name, fields, NULL, 0, err);
}

int cpio_write_end(struct buffer *out, struct error *err)
{
	uint32_t fields[FIELD_COUNT] = {[FIELD_LINKS] = 1};

	return write_entry(out, TRAILER, fields, NULL, 0, err);
}
