/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/format.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "monofs/checked.h"

int format_write(int directory, const struct format *f, struct error *err)
{
	_cleanup_buffer_ struct buffer lines = {0};
	char id[2 * FORMAT_ID_SIZE + 1];

	sodium_bin2hex(id, sizeof id, f->id, sizeof f->id);
	buffer_format(&lines, "monofs 1\nid %s\nchunks %u %u %u\nencrypted %s\n", id, f->sizes.min,
		f->sizes.average, f->sizes.max, f->encrypted ? "yes" : "no");
	return checked_write(directory, "format", &lines, err);
}

/* The version stands in the first line whatever else a newer program writes. */
static int check_version(const struct buffer *lines, struct error *err)
{
	uint64_t version;
	int r = checked_number(lines, "monofs", UINT32_MAX, &version, err);

	if (r == 0 && version != 1)
		r = error_set(err, ERROR_UNAVAILABLE,
			"it has the format %llu, and this program knows 1: use a newer monofs",
			(unsigned long long)version);
	return r;
}

static int parse(const struct buffer *lines, struct format *f, struct error *err)
{
	char text[64], end;
	int r = check_version(lines, err);

	if (r == 0)
		r = checked_bytes(lines, "id", f->id, sizeof f->id, err);
	if (r == 0)
		r = checked_text(lines, "chunks", text, sizeof text, err);
	if (r == 0 && sscanf(text, "%u %u %u%c", &f->sizes.min, &f->sizes.average, &f->sizes.max, &end) != 3)
		r = error_set(err, ERROR_CORRUPT, "'%s' are no sizes of chunks", text);
	if (r == 0)
		r = checked_text(lines, "encrypted", text, sizeof text, err);
	if (r == 0 && strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		r = error_set(err, ERROR_CORRUPT, "'%s' does not say whether it is encrypted", text);
	f->encrypted = r == 0 && strcmp(text, "yes") == 0;
	return r;
}

int format_read(int directory, struct format *f, struct error *err)
{
	_cleanup_buffer_ struct buffer lines = {0};
	int r = checked_read(directory, "format", &lines, err);

	*f = (struct format){0};
	if (r < 0)
		return r;
	r = parse(&lines, f, err);
	return r < 0 ? error_prefix(err, "the file 'format'") : 0;
}

/* ---- the replica ------------------------------------------------------------------------------------ */

static int write_replica(int directory, uint64_t replica, const char *place, struct error *err)
{
	_cleanup_buffer_ struct buffer lines = {0};

	buffer_format(&lines, "monofs-replica 1\nnumber %016llx\ndirectory %s\n", (unsigned long long)replica,
		place);
	return checked_write(directory, "replica", &lines, err);
}

int format_replica(int directory, bool write, uint64_t *replica, struct error *err)
{
	_cleanup_buffer_ struct buffer lines = {0};
	uint8_t number[8];
	char here[64], there[64];
	struct stat s;
	int r;

	if (fstat(directory, &s) < 0)
		return error_set(err, ERROR_SYSTEM, "look at the repository's directory");
	snprintf(here, sizeof here, "%llu %llu", (unsigned long long)s.st_dev, (unsigned long long)s.st_ino);
	r = checked_read(directory, "replica", &lines, err);
	if (r == 0)
		r = checked_bytes(&lines, "number", number, sizeof number, err);
	if (r == 0)
		r = checked_text(&lines, "directory", there, sizeof there, err);
	if (r < 0 && r != -ERROR_NOT_FOUND && r != -ERROR_CORRUPT)
		return r;
	if (r < 0 || strcmp(here, there) != 0)
		randombytes_buf(number, sizeof number);
	*replica = 0;
	for (unsigned i = 0; i < sizeof number; i++)
		*replica = *replica << 8 | number[i];
	if ((r < 0 || strcmp(here, there) != 0) && write)
		return write_replica(directory, *replica, here, err);
	return 0;
}
