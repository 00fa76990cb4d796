/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of the bytes: reader → checks → writer → plain (in blocks of one size, since how deflate cuts its
 * input should be nobody's choice) → hash, deflate → hash, taker.
 */
#include "oci/layer_writer.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "codec/sha256.h"
#include "codec/tar.h"
#include "oci/layer_path.h"

#define LAYER_BYTES_DEFAULT (UINT64_C(32) << 30)
#define ENTRIES_DEFAULT     4000000u
#define PLAIN_BLOCK         65536
#define PACKED_BLOCK        65536
#define GZIP_LEVEL          6
#define GZIP_WINDOW         (15 + 16) /* zlib: 32 KiB, in gzip's format */
#define GZIP_MEMORY         8
#define GZIP_OS_UNKNOWN     255
#define DEVICE_MAJOR_MOST   0xfffu
#define DEVICE_MINOR_MOST   0xfffffu

struct layer_writer {
	layer_taker *take;
	void *context;
	uint64_t bytes_most, entries_most;
	int64_t latest;
	struct tar_reader *reader;
	z_stream deflate;
	gz_header header;
	bool deflating;
	struct sha256 plain_hash, packed_hash;
	struct buffer plain; /* not yet compressed, up to PLAIN_BLOCK */
	struct buffer path, link, last;
	bool any, last_is_directory;
	bool wanted;       /* the data of the entry at hand */
	uint64_t size, at; /* of it: how long, how much is written */
	struct layer result;
	uint8_t packed[PACKED_BLOCK];
};

void layer_writer_free(struct layer_writer *w)
{
	if (!w)
		return;
	tar_reader_free(w->reader);
	if (w->deflating)
		deflateEnd(&w->deflate);
	sha256_free(&w->plain_hash);
	sha256_free(&w->packed_hash);
	buffer_free(&w->plain);
	buffer_free(&w->path);
	buffer_free(&w->link);
	buffer_free(&w->last);
	free(w);
}

static int start(struct layer_writer *w, struct error *err)
{
	int r = sha256_init(&w->plain_hash, err);

	if (r == 0)
		r = sha256_init(&w->packed_hash, err);
	if (r < 0)
		return r;
	w->reader = tar_reader_new(NULL, err);
	if (!w->reader)
		return -ERROR_NO_MEMORY;
	if (deflateInit2(&w->deflate, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) !=
		Z_OK)
		return error_no_memory(err, "write a layer");
	w->deflating = true;
	w->header.os = GZIP_OS_UNKNOWN;
	deflateSetHeader(&w->deflate, &w->header);
	return 0;
}

int layer_writer_new(const struct image_limits *limits, layer_taker *take, void *context,
	struct layer_writer **writer, struct error *err)
{
	struct layer_writer *w = calloc(1, sizeof *w);
	int r;

	if (!w)
		return error_no_memory(err, "write a layer");
	w->take = take;
	w->context = context;
	w->bytes_most = limits && limits->layer_bytes ? limits->layer_bytes : LAYER_BYTES_DEFAULT;
	w->entries_most = limits && limits->entries ? limits->entries : ENTRIES_DEFAULT;
	w->result.newest = INT64_MIN;
	w->latest = INT64_MAX;
	r = start(w, err);
	if (r < 0) {
		layer_writer_free(w);
		return r;
	}
	*writer = w;
	return 0;
}

void layer_writer_date(struct layer_writer *w, int64_t latest)
{
	w->latest = latest;
}

/* ---- bytes ------------------------------------------------------------------------------------------- */

static int pack(struct layer_writer *w, int flush, struct error *err)
{
	int done, r = 0;

	sha256_update(&w->plain_hash, w->plain.data, w->plain.size);
	w->deflate.next_in = w->plain.data;
	w->deflate.avail_in = (uInt)w->plain.size;
	do {
		size_t n;

		w->deflate.next_out = w->packed;
		w->deflate.avail_out = sizeof w->packed;
		done = deflate(&w->deflate, flush);
		if (done == Z_STREAM_ERROR)
			return error_set(err, ERROR_SYSTEM, "compress a layer: zlib failed");
		n = sizeof w->packed - w->deflate.avail_out;
		w->result.size += n;
		sha256_update(&w->packed_hash, w->packed, n);
		r = n ? w->take(w->context, w->packed, n, err) : 0;
	} while (r == 0 && (flush == Z_FINISH ? done != Z_STREAM_END : w->deflate.avail_out == 0));
	buffer_clear(&w->plain);
	return r;
}

/* `bytes` NULL: zeroes. */
static int write_plain(struct layer_writer *w, const uint8_t *bytes, uint64_t n, struct error *err)
{
	int r = 0;

	if (n > w->bytes_most - w->result.plain_size)
		return error_set(
			err, ERROR_LIMIT, "the layer is over %llu bytes", (unsigned long long)w->bytes_most);
	w->result.plain_size += n;
	while (r == 0 && n) {
		size_t part = PLAIN_BLOCK - w->plain.size;

		part = n < part ? (size_t)n : part;
		if (!buffer_reserve(&w->plain, part))
			return error_no_memory(err, "write a layer");
		if (bytes)
			memcpy(w->plain.data + w->plain.size, bytes, part);
		else
			memset(w->plain.data + w->plain.size, 0, part);
		w->plain.size += part;
		bytes = bytes ? bytes + part : NULL;
		n -= part;
		if (w->plain.size == PLAIN_BLOCK)
			r = pack(w, Z_NO_FLUSH, err);
	}
	return r;
}

/* ---- entries ----------------------------------------------------------------------------------------- */

static int compare_attributes(const void *a, const void *b)
{
	const struct tar_xattr *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* A sorted copy of the list, whose members stay the entry's. */
static int sort_attributes(const struct tar_entry *e, struct tar_xattr **list, struct error *err)
{
	*list = calloc(e->xattr_count ? e->xattr_count : 1, sizeof **list);
	if (!*list)
		return error_no_memory(err, "read a layer");
	for (size_t i = 0; i < e->xattr_count; i++)
		(*list)[i] = e->xattrs[i];
	qsort(*list, e->xattr_count, sizeof **list, compare_attributes);
	for (size_t i = 0; i < e->xattr_count; i++) {
		if (text_starts((*list)[i].name, "trusted.overlay."))
			return error_set(err, ERROR_INVALID,
				"entry '%s': an attribute that is the overlay's own, %s", e->path,
				(*list)[i].name);
		if (i && !strcmp((*list)[i - 1].name, (*list)[i].name))
			return error_set(err, ERROR_INVALID, "entry '%s': the attribute %s comes twice",
				e->path, (*list)[i].name);
	}
	return 0;
}

/* Where it stands: behind all others, and beneath nothing but directories. */
static int check_place(struct layer_writer *w, const struct tar_entry *e, struct error *err)
{
	const char *path = (const char *)w->path.data, *last = (const char *)w->last.data;

	if (w->result.entries == w->entries_most)
		return error_set(err, ERROR_LIMIT, "the layer has over %llu entries",
			(unsigned long long)w->entries_most);
	if (!*path && e->type != TAR_DIRECTORY)
		return error_set(err, ERROR_INVALID, "entry '%s': the root is not a directory", e->path);
	if (w->any && layer_path_compare(last, path) >= 0)
		return error_set(
			err, ERROR_INVALID, "entry '%s': it comes twice, or behind '%s'", e->path, last);
	if (w->any && !w->last_is_directory && layer_path_is_beneath(path, last))
		return error_set(err, ERROR_INVALID, "entry '%s': it is beneath '%s', which is no directory",
			e->path, last);
	return 0;
}

static int check_link(struct layer_writer *w, const struct tar_entry *e, struct error *err)
{
	enum layer_name kind;
	int r = layer_path(e->link, &w->link, &kind, err);

	if (r == 0 &&
		(kind != LAYER_NAME_PLAIN || w->link.size == 1 ||
			layer_path_compare((const char *)w->link.data, (const char *)w->path.data) >= 0))
		return error_set(err, ERROR_INVALID,
			"entry '%s': a hard link to '%s', which did not come before", e->path, e->link);
	return r;
}

static int check_device(const struct tar_entry *e, struct error *err)
{
	if (e->device_major > DEVICE_MAJOR_MOST || e->device_minor > DEVICE_MINOR_MOST)
		return error_set(err, ERROR_INVALID, "entry '%s': device number %u:%u is out of range",
			e->path, e->device_major, e->device_minor);
	if (e->type == TAR_CHARACTER_DEVICE && !e->device_major && !e->device_minor)
		return error_set(err, ERROR_INVALID, "entry '%s': a character device 0:0", e->path);
	return 0;
}

static int check_sign(const struct tar_entry *e, struct error *err)
{
	if (e->type != TAR_FILE || e->size || e->xattr_count)
		return error_set(
			err, ERROR_INVALID, "entry '%s': a whiteout that is more than a name", e->path);
	return 0;
}

/* The entry as it is written: a whiteout is nothing but its name. */
static struct tar_entry canonical(
	const struct layer_writer *w, const struct tar_entry *e, enum layer_name kind)
{
	struct tar_entry out = *e;

	if (kind != LAYER_NAME_PLAIN)
		out = (struct tar_entry){.type = TAR_FILE, .mode = 0600};
	out.path = w->path.size == 1 ? (char *)(uintptr_t) "." : (char *)w->path.data;
	if (e->type == TAR_HARD_LINK)
		out.link = (char *)w->link.data;
	if (out.mtime >= w->latest) {
		out.mtime = w->latest;
		out.mtime_nanoseconds = 0;
	}
	out.size = e->type == TAR_FILE ? e->size : 0;
	return out;
}

static int write_header(
	struct layer_writer *w, const struct tar_entry *e, enum layer_name kind, struct error *err)
{
	_cleanup_free_ struct tar_xattr *attributes = NULL;
	_cleanup_buffer_ struct buffer header = {0};
	struct tar_entry out = canonical(w, e, kind);
	int r = sort_attributes(e, &attributes, err);

	out.xattrs = attributes;
	if (r == 0)
		r = tar_write_entry(&header, &out, err);
	if (r == 0 && out.size > w->bytes_most)
		return error_set(
			err, ERROR_LIMIT, "the layer is over %llu bytes", (unsigned long long)w->bytes_most);
	return r < 0 ? r : write_plain(w, header.data, header.size, err);
}

static int check_entry(
	struct layer_writer *w, const struct tar_entry *e, enum layer_name *kind, struct error *err)
{
	int r = layer_path(e->path, &w->path, kind, err);

	if (r == 0)
		r = check_place(w, e, err);
	if (r == 0 && *kind != LAYER_NAME_PLAIN)
		r = check_sign(e, err);
	if (r == 0 && e->type == TAR_HARD_LINK)
		r = check_link(w, e, err);
	if (r == 0 && (e->type == TAR_CHARACTER_DEVICE || e->type == TAR_BLOCK_DEVICE))
		r = check_device(e, err);
	return r;
}

static int begin_entry(struct layer_writer *w, const struct tar_entry *e, struct error *err)
{
	enum layer_name kind;
	int r = check_entry(w, e, &kind, err);

	if (r == 0)
		r = write_header(w, e, kind, err);
	if (r < 0)
		return r;
	buffer_clear(&w->last);
	if (!buffer_append(&w->last, w->path.data, w->path.size))
		return error_no_memory(err, "read a layer");
	w->any = true;
	w->last_is_directory = e->type == TAR_DIRECTORY;
	w->result.entries++;
	if (kind == LAYER_NAME_PLAIN && e->mtime > w->result.newest)
		w->result.newest = e->mtime < w->latest ? e->mtime : w->latest;
	w->wanted = e->type == TAR_FILE;
	w->size = w->wanted ? e->size : 0;
	w->at = 0;
	return 0;
}

/* A hole before the piece, and the piece. */
static int take_data(struct layer_writer *w, const struct tar_data *d, struct error *err)
{
	int r;

	if (!w->wanted)
		return 0;
	r = write_plain(w, NULL, d->offset - w->at, err);
	w->at = d->offset + d->size;
	return r < 0 ? r : write_plain(w, d->bytes, d->size, err);
}

static int end_entry(struct layer_writer *w, struct error *err)
{
	int r = write_plain(w, NULL, w->size - w->at, err);

	return r < 0 ? r : write_plain(w, NULL, tar_padding(w->size), err);
}

int layer_writer_feed(struct layer_writer *w, const void *bytes, size_t n, struct error *err)
{
	const uint8_t *in = bytes;

	for (;;) {
		enum tar_event event;
		int r = tar_reader_step(w->reader, &in, &n, &event, err);

		if (r == 0 && event == TAR_ENTRY)
			r = begin_entry(w, tar_reader_entry(w->reader), err);
		else if (r == 0 && event == TAR_DATA)
			r = take_data(w, tar_reader_data(w->reader), err);
		else if (r == 0 && event == TAR_ENTRY_END)
			r = end_entry(w, err);
		if (r < 0)
			return r;
		if (event == TAR_MORE || (event == TAR_END && !n))
			return 0;
	}
}

static int digest(struct sha256 *hash, char out[OCI_DIGEST_SIZE], struct error *err)
{
	uint8_t bytes[SHA256_SIZE];
	int r = sha256_final(hash, bytes, err);

	if (r == 0)
		sha256_digest(bytes, out);
	return r;
}

int layer_writer_finish(struct layer_writer *w, struct layer *layer, struct error *err)
{
	_cleanup_buffer_ struct buffer end = {0};
	int r = tar_reader_finish(w->reader, err);

	if (r == 0 && !tar_write_end(&end))
		r = error_no_memory(err, "write a layer");
	if (r == 0)
		r = write_plain(w, end.data, end.size, err);
	if (r == 0)
		r = pack(w, Z_FINISH, err);
	if (r == 0)
		r = digest(&w->plain_hash, w->result.diff_id, err);
	if (r == 0)
		r = digest(&w->packed_hash, w->result.digest, err);
	if (r == 0)
		*layer = w->result;
	return r;
}
