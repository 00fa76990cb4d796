/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer puts into the ustar header what fits there and the rest into an extended header before it, so
 * that plain trees stay plain ustar. The same entry always gives the same bytes: no user names, no times but
 * the entry's own.
 */
#include "codec/tar.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "codec/tar_block.h"

#define LARGEST(digits) ((UINT64_C(1) << (3 * (digits))) - 1)

/* Octal digits with leading zeroes and a NUL behind them; a value that does not fit becomes 0. */
static void put_octal(uint8_t *block, struct tar_field field, uint64_t value)
{
	size_t digits = field.size - 1u;

	if (value > LARGEST(digits))
		value = 0;
	for (size_t i = digits; i-- > 0; value >>= 3)
		block[field.at + i] = (uint8_t)('0' + (value & 7));
}

static void put_checksum(uint8_t *block)
{
	const struct tar_field field = TAR_FIELD_CHECKSUM;
	unsigned sum = 0;

	memset(block + field.at, ' ', field.size);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += block[i];
	put_octal(block, (struct tar_field){field.at, 7, field.name}, sum);
	block[field.at + 6] = 0;
}

static void put_text(uint8_t *block, struct tar_field field, const char *text, size_t n)
{
	memcpy(block + field.at, text, n < field.size ? n : field.size);
}

/* Where to cut a path into prefix and name: the index of the slash between them; SIZE_MAX: nowhere. */
static size_t find_split(const char *path, size_t n)
{
	for (size_t i = 1; i + 1 < n && i <= 155; i++)
		if (path[i] == '/' && n - i - 1 <= 100)
			return i;
	return SIZE_MAX;
}

/* False: the path needs a record (what is in the header then is its beginning). */
static bool put_path(uint8_t *block, const char *path, size_t n)
{
	size_t split = n > 100 ? find_split(path, n) : SIZE_MAX;

	if (split == SIZE_MAX) {
		put_text(block, TAR_FIELD_NAME, path, n);
		return n <= 100;
	}
	put_text(block, TAR_FIELD_PREFIX, path, split);
	put_text(block, TAR_FIELD_NAME, path + split + 1, n - split - 1);
	return true;
}

/* The length counts its own digits. */
static void add_record(struct buffer *records, const char *key, const void *value, size_t n)
{
	size_t rest = strlen(key) + n + 3, length = rest + 1;
	char digits[24];

	while (rest + (size_t)snprintf(digits, sizeof digits, "%zu", length) != length)
		length = rest + strlen(digits);
	buffer_append_text(records, digits);
	buffer_u8(records, ' ');
	buffer_append_text(records, key);
	buffer_u8(records, '=');
	buffer_append(records, value, n);
	buffer_u8(records, '\n');
}

static void add_number(struct buffer *records, const char *key, uint64_t value)
{
	char digits[24];

	add_record(records, key, digits, (size_t)snprintf(digits, sizeof digits, "%" PRIu64, value));
}

/* Second -1 and 500,000,000 ns forward from it is written -0.5. */
static void add_time(struct buffer *records, int64_t seconds, uint32_t nanoseconds)
{
	bool negative = seconds < 0;
	char text[48];
	int n;

	if (negative && nanoseconds) {
		seconds++;
		nanoseconds = 1000000000 - nanoseconds;
	}
	n = snprintf(text, sizeof text, "%s%" PRIu64, negative ? "-" : "",
		negative ? -(uint64_t)seconds : (uint64_t)seconds);
	if (nanoseconds) {
		n += snprintf(text + n, sizeof text - (size_t)n, ".%09u", nanoseconds);
		while (text[n - 1] == '0')
			n--;
	}
	add_record(records, "mtime", text, (size_t)n);
}

/* One well-formed character at p (n bytes are left): its bytes, or 0 (RFC 3629). */
static size_t utf8_character(const uint8_t *p, size_t n)
{
	size_t size = p[0] < 0x80   ? 1
		      : p[0] < 0xc2 ? 0
		      : p[0] < 0xe0 ? 2
		      : p[0] < 0xf0 ? 3
		      : p[0] < 0xf5 ? 4
				    : 0;

	if (size > n)
		return 0;
	for (size_t i = 1; i < size; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if (size > 2 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
				(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)))
		return 0;
	return size;
}

static bool is_utf8(const char *text)
{
	size_t n = strlen(text), size;

	for (; n; text += size, n -= size)
		if ((size = utf8_character((const uint8_t *)text, n)) == 0)
			return false;
	return true;
}

/* A key ends at the first '=', so GNU tar writes '=' of a name as %3D, and '%' as %25. */
static void add_xattr(struct buffer *records, const struct tar_xattr *x)
{
	_cleanup_buffer_ struct buffer key = {0};

	buffer_append_text(&key, "SCHILY.xattr.");
	for (const char *p = x->name; *p; p++)
		if (*p == '=' || *p == '%')
			buffer_append_text(&key, *p == '=' ? "%3D" : "%25");
		else
			buffer_u8(&key, (uint8_t)*p);
	buffer_u8(&key, 0);
	if (key.failed)
		records->failed = true;
	else
		add_record(records, (const char *)key.data, x->value, x->size);
}

static bool has_link(const struct tar_entry *e)
{
	return e->type == TAR_HARD_LINK || e->type == TAR_SYMBOLIC_LINK;
}

static bool is_device(const struct tar_entry *e)
{
	return e->type == TAR_CHARACTER_DEVICE || e->type == TAR_BLOCK_DEVICE;
}

/* Fills the header and collects the records for what does not fit. */
static void put_names(uint8_t *block, struct buffer *records, const struct tar_entry *e, const char *path)
{
	bool path_fits = put_path(block, path, strlen(path)), link_fits = true;

	if (has_link(e)) {
		put_text(block, TAR_FIELD_LINK, e->link, strlen(e->link));
		link_fits = strlen(e->link) <= TAR_FIELD_LINK.size;
	}
	if ((!path_fits && !is_utf8(path)) || (!link_fits && !is_utf8(e->link)))
		add_record(records, "hdrcharset", "BINARY", 6);
	if (!path_fits)
		add_record(records, "path", path, strlen(path));
	if (!link_fits)
		add_record(records, "linkpath", e->link, strlen(e->link));
}

static void put_number(
	uint8_t *block, struct buffer *records, struct tar_field field, const char *key, uint64_t value)
{
	put_octal(block, field, value);
	if (value > LARGEST(field.size - 1))
		add_number(records, key, value);
}

/* Who does not know of sparse files gets the map and the parts under another name. */
static void put_sparse_names(uint8_t *block, struct buffer *records, const struct tar_entry *e)
{
	const char *slash = strrchr(e->path, '/');
	char name[101];

	snprintf(name, sizeof name, "GNUSparseFile.0/%s", slash ? slash + 1 : e->path);
	put_text(block, TAR_FIELD_NAME, name, strlen(name));
	if (!is_utf8(e->path))
		add_record(records, "hdrcharset", "BINARY", 6);
	add_record(records, "GNU.sparse.major", "1", 1);
	add_record(records, "GNU.sparse.minor", "0", 1);
	add_record(records, "GNU.sparse.name", e->path, strlen(e->path));
	add_number(records, "GNU.sparse.realsize", e->size);
}

/* size: bytes behind the header. */
static void put_numbers(uint8_t *block, struct buffer *records, const struct tar_entry *e, uint64_t size)
{
	bool late = e->mtime < 0 || (uint64_t)e->mtime > LARGEST(11);

	put_octal(block, TAR_FIELD_MODE, e->mode & 07777);
	put_number(block, records, TAR_FIELD_SIZE, "size", e->type == TAR_FILE ? size : 0);
	put_number(block, records, TAR_FIELD_UID, "uid", e->uid);
	put_number(block, records, TAR_FIELD_GID, "gid", e->gid);
	put_octal(block, TAR_FIELD_MTIME, late ? 0 : (uint64_t)e->mtime);
	if (late || e->mtime_nanoseconds)
		add_time(records, e->mtime, e->mtime_nanoseconds);
	put_number(block, records, TAR_FIELD_MAJOR, "SCHILY.devmajor", is_device(e) ? e->device_major : 0);
	put_number(block, records, TAR_FIELD_MINOR, "SCHILY.devminor", is_device(e) ? e->device_minor : 0);
}

static void put_magic(uint8_t *block, char type)
{
	block[TAR_AT_TYPE] = (uint8_t)type;
	memcpy(block + TAR_AT_MAGIC, "ustar\00000", 8);
}

static void write_records(struct buffer *out, const struct buffer *records)
{
	static const uint8_t zeroes[TAR_BLOCK];
	static const char name[] = "././@PaxHeader";
	uint8_t block[TAR_BLOCK] = {0};

	put_text(block, TAR_FIELD_NAME, name, sizeof name - 1);
	put_octal(block, TAR_FIELD_MODE, 0644);
	put_octal(block, TAR_FIELD_UID, 0);
	put_octal(block, TAR_FIELD_GID, 0);
	put_octal(block, TAR_FIELD_SIZE, records->size);
	put_octal(block, TAR_FIELD_MTIME, 0);
	put_magic(block, 'x');
	put_checksum(block);
	buffer_append(out, block, sizeof block);
	buffer_append(out, records->data, records->size);
	buffer_append(out, zeroes, tar_padding(records->size));
}

static int check_entry(const struct tar_entry *e, struct error *err)
{
	if (!e->path || !*e->path)
		return error_set(err, ERROR_INVALID, "write a tar archive: an entry has no name");
	if (has_link(e) && (!e->link || !*e->link))
		return error_set(
			err, ERROR_INVALID, "write a tar archive: the link '%s' has no target", e->path);
	if (e->size > INT64_MAX || e->mtime_nanoseconds > 999999999)
		return error_set(err, ERROR_INVALID,
			"write a tar archive: size or time of '%s' is out of range", e->path);
	for (size_t i = 0; i < e->xattr_count; i++)
		if (!e->xattrs[i].name || !*e->xattrs[i].name)
			return error_set(err, ERROR_INVALID,
				"write a tar archive: an attribute of '%s' has no name", e->path);
	return 0;
}

/* sparse: its map, and stored bytes of its parts; NULL: it is none. */
static int write_entry(struct buffer *out, const struct tar_entry *e, const struct buffer *sparse,
	uint64_t stored, struct error *err)
{
	static const char types[] = {[TAR_FILE] = '0',
		[TAR_HARD_LINK] = '1',
		[TAR_SYMBOLIC_LINK] = '2',
		[TAR_CHARACTER_DEVICE] = '3',
		[TAR_BLOCK_DEVICE] = '4',
		[TAR_DIRECTORY] = '5',
		[TAR_FIFO] = '6'};
	_cleanup_buffer_ struct buffer path = {0}, records = {0};
	uint8_t block[TAR_BLOCK] = {0};

	buffer_append_text(&path, e->path);
	if (e->type == TAR_DIRECTORY && e->path[strlen(e->path) - 1] != '/')
		buffer_u8(&path, '/');
	if (!buffer_u8(&path, 0))
		return error_no_memory(err, "write a tar archive");
	if (sparse)
		put_sparse_names(block, &records, e);
	else
		put_names(block, &records, e, (const char *)path.data);
	put_numbers(block, &records, e, sparse ? sparse->size + stored : e->size);
	for (size_t i = 0; i < e->xattr_count; i++)
		add_xattr(&records, &e->xattrs[i]);
	put_magic(block, types[e->type]);
	put_checksum(block);
	if (records.size && !records.failed)
		write_records(out, &records);
	buffer_append(out, block, sizeof block);
	if (sparse)
		buffer_append(out, sparse->data, sparse->size);
	if (records.failed || out->failed)
		return error_no_memory(err, "write a tar archive");
	return 0;
}

int tar_write_entry(struct buffer *out, const struct tar_entry *e, struct error *err)
{
	int r = check_entry(e, err);

	return r < 0 ? r : write_entry(out, e, NULL, 0, err);
}

static void add_line(struct buffer *map, uint64_t number)
{
	char digits[24];

	snprintf(digits, sizeof digits, "%" PRIu64 "\n", number);
	buffer_append_text(map, digits);
}

int tar_write_sparse(struct buffer *out, const struct tar_entry *e, const struct tar_part *parts,
	size_t count, struct error *err)
{
	static const uint8_t zeroes[TAR_BLOCK];
	_cleanup_buffer_ struct buffer map = {0};
	uint64_t end = 0, stored = 0;
	int r = check_entry(e, err);

	if (r < 0)
		return r;
	add_line(&map, count);
	for (size_t i = 0; i < count; i++) {
		if (parts[i].offset < end || parts[i].offset > e->size ||
			parts[i].size > e->size - parts[i].offset)
			return error_set(err, ERROR_INVALID,
				"write a tar archive: the parts of '%s' are out of order", e->path);
		end = parts[i].offset + parts[i].size;
		stored += parts[i].size;
		add_line(&map, parts[i].offset);
		add_line(&map, parts[i].size);
	}
	buffer_append(&map, zeroes, tar_padding(map.size));
	return map.failed ? error_no_memory(err, "write a tar archive")
			  : write_entry(out, e, &map, stored, err);
}

bool tar_write_end(struct buffer *out)
{
	static const uint8_t zeroes[2 * TAR_BLOCK];

	return buffer_append(out, zeroes, sizeof zeroes);
}
