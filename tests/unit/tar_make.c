/* SPDX-License-Identifier: Apache-2.0 */
#include "tar_make.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/tar.h"

#define BLOCK 512

void tar_make_sum(uint8_t *block)
{
	char digits[8];
	unsigned sum = 0;

	memset(block + 148, ' ', 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += block[i];
	snprintf(digits, sizeof digits, "%06o", sum & 0777777);
	memcpy(block + 148, digits, 7);
}

static void make_header(
	struct buffer *out, const char *name, uint64_t size, char type, const char *magic, tar_make_edit edit)
{
	uint8_t block[BLOCK] = {0};

	memcpy(block, name, strlen(name) < 100 ? strlen(name) : 100);
	memcpy(block + 100, "0000644", 8);
	memcpy(block + 108, "0000000", 8);
	memcpy(block + 116, "0000000", 8);
	snprintf((char *)block + 124, 12, "%011llo", (unsigned long long)size);
	memcpy(block + 136, "00000000001", 12);
	block[156] = (uint8_t)type;
	memcpy(block + 257, magic, 8);
	if (edit)
		edit(block);
	tar_make_sum(block);
	buffer_append(out, block, sizeof block);
}

void tar_make_header(struct buffer *out, const char *name, uint64_t size, char type, tar_make_edit edit)
{
	make_header(out, name, size, type, "ustar  ", edit);
}

void tar_make_ustar(struct buffer *out, const char *name, uint64_t size, char type, tar_make_edit edit)
{
	make_header(out, name, size, type, "ustar\00000", edit);
}

void tar_make_data(struct buffer *out, const void *data, size_t n)
{
	static const uint8_t zeroes[BLOCK];

	buffer_append(out, data, n);
	buffer_append(out, zeroes, tar_padding(n));
}

void tar_make_record(struct buffer *records, const char *key, const void *value, size_t n)
{
	size_t rest = strlen(key) + n + 3, length = rest;
	char digits[24];

	while ((size_t)snprintf(digits, sizeof digits, "%zu", length) + rest != length)
		length = strlen(digits) + rest;
	buffer_format(records, "%zu %s=", length, key);
	buffer_append(records, value, n);
	buffer_u8(records, '\n');
}

void tar_make_text_record(struct buffer *records, const char *key, const char *value)
{
	tar_make_record(records, key, value, strlen(value));
}

void tar_make_pax(struct buffer *out, char type, struct buffer *records)
{
	tar_make_ustar(out, "pax", records->size, type, NULL);
	tar_make_data(out, records->data, records->size);
	buffer_clear(records);
}

/* ---- as text ---------------------------------------------------------------------------------------- */

static void put_bytes(struct buffer *out, const void *bytes, size_t n)
{
	for (const uint8_t *p = bytes; n-- > 0; p++)
		if (*p > ' ' && *p < 0x7f && *p != '\\')
			buffer_u8(out, *p);
		else
			buffer_format(out, "\\x%02x", *p);
}

static void put_entry(struct buffer *out, const struct tar_entry *e)
{
	static const char *const types[] = {"file", "link", "symlink", "char", "block", "dir", "fifo"};

	buffer_format(out, "%s ", types[e->type]);
	put_bytes(out, e->path, strlen(e->path));
	if (e->link) {
		buffer_append_text(out, " > ");
		put_bytes(out, e->link, strlen(e->link));
	}
	if (e->type == TAR_CHARACTER_DEVICE || e->type == TAR_BLOCK_DEVICE)
		buffer_format(out, " %u:%u", e->device_major, e->device_minor);
	buffer_format(out, " %04o %u:%u %lld.%09u %llu", e->mode, e->uid, e->gid, (long long)e->mtime,
		e->mtime_nanoseconds, (unsigned long long)e->size);
	for (size_t i = 0; i < e->xattr_count; i++) {
		buffer_append_text(out, " xattr ");
		put_bytes(out, e->xattrs[i].name, strlen(e->xattrs[i].name));
		buffer_u8(out, '=');
		put_bytes(out, e->xattrs[i].value, e->xattrs[i].size);
	}
}

struct text {
	struct buffer out;
	uint64_t next; /* where data would go on */
};

static void put_event(struct text *t, const struct tar_reader *reader, enum tar_event event)
{
	const struct tar_data *d = tar_reader_data(reader);

	switch (event) {
	case TAR_ENTRY:
		put_entry(&t->out, tar_reader_entry(reader));
		t->next = UINT64_MAX;
		break;
	case TAR_DATA:
		if (d->offset != t->next)
			buffer_format(&t->out, " %llu:", (unsigned long long)d->offset);
		put_bytes(&t->out, d->bytes, d->size);
		t->next = d->offset + d->size;
		break;
	case TAR_ENTRY_END:
		buffer_u8(&t->out, '\n');
		break;
	case TAR_END:
		buffer_append_text(&t->out, "end\n");
		break;
	case TAR_MORE:
		break;
	}
}

char *tar_make_text(const void *archive, size_t n, size_t piece)
{
	struct error err = {0};
	struct tar_reader *reader = tar_reader_new(NULL, &err);
	struct text t = {0};
	int r = 0;

	for (size_t at = 0; r == 0 && at < n;) {
		size_t left = n - at < piece ? n - at : piece;
		const uint8_t *in = (const uint8_t *)archive + at;
		enum tar_event event;

		at += left;
		do {
			r = tar_reader_step(reader, &in, &left, &event, &err);
			if (r == 0)
				put_event(&t, reader, event);
		} while (r == 0 && event != TAR_MORE);
	}
	if (r == 0)
		r = tar_reader_finish(reader, &err);
	if (r < 0)
		buffer_format(&t.out, "error %s\n", error_name(r));
	tar_reader_free(reader);
	return buffer_take_text(&t.out);
}
