/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer's first half: a stream of zero-copy-where-possible writes, and the data of files in it.
 *
 * A file is written as if it had no hole until a hole covers a whole chunk. Then it gets a list of chunks;
 * the chunks so far follow each other, so the list can be filled in afterwards. Holes within a chunk, and
 * the fill up to the next block, are zeroes; long ones are skipped, so they are holes in the image's file.
 */
#include "disk/erofs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "disk/erofs_writer.h"

#define PAGE_BYTES   65536u
#define INLINE_BYTES (64u << 20)  /* memory for the data of small files; what is over it goes to blocks */
#define LISTS_BYTES  (256u << 20) /* memory for lists of chunks: 4,000 of the longest */
#define CHUNK_BITS   4u           /* 64 KiB at least, since the guest maps a chunk at a time, … */
#define CHUNKS_MAX   16384u       /* … and more in large files, to have at most so many */
#define BLOCKS_MAX   (UINT32_MAX - 1ull)

int erofs_writer_new(
	int fd, const struct erofs_options *options, struct erofs_writer **out, struct error *err)
{
	struct erofs_writer *w = calloc(1, sizeof *w);

	if (!w)
		return error_no_memory(err, "file system image");
	w->buffer = malloc(EROFS_BUFFER);
	if (!w->buffer) {
		free(w);
		return error_no_memory(err, "file system image");
	}
	w->fd = fd;
	w->name = options->name;
	w->limit = options->limit;
	w->inline_left = INLINE_BYTES;
	w->chunks_left = LISTS_BYTES;
	w->base = EROFS_BLOCK; /* block 0 is written last */
	memcpy(w->uuid, options->uuid, sizeof w->uuid);
	*out = w;
	return 0;
}

void erofs_writer_free(struct erofs_writer *w)
{
	if (!w)
		return;
	for (struct erofs_page *p = w->pages, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	free(w->file.chunks);
	free(w->buffer);
	free(w);
}

void *erofs_memory(struct erofs_writer *w, size_t n)
{
	struct erofs_page *page = w->pages;

	n = (n + 15) & ~(size_t)15;
	if (!page || page->size - page->used < n) {
		size_t size = n > PAGE_BYTES ? n : PAGE_BYTES;

		page = malloc(sizeof *page + size);
		if (!page)
			return NULL;
		*page = (struct erofs_page){.next = w->pages, .size = size};
		w->pages = page;
	}
	page->used += n;
	return page->bytes + page->used - n;
}

uint64_t erofs_writer_bytes(const struct erofs_writer *w)
{
	return w->base + w->fill;
}

static int write_at(struct erofs_writer *w, const uint8_t *bytes, size_t n, struct error *err)
{
	while (n > 0) {
		ssize_t wrote = pwrite(w->fd, bytes, n, (off_t)w->base);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return error_errno(err, errno, "write %s", w->name);
		bytes += wrote;
		n -= (size_t)wrote;
		w->base += (uint64_t)wrote;
	}
	return 0;
}

int erofs_flush(struct erofs_writer *w, struct error *err)
{
	size_t n = w->fill;

	w->fill = 0;
	return write_at(w, w->buffer, n, err);
}

static int grows_by(struct erofs_writer *w, uint64_t n, struct error *err)
{
	uint64_t end;
	char text[16];

	if (__builtin_add_overflow(erofs_writer_bytes(w), n, &end) || end / EROFS_BLOCK >= BLOCKS_MAX)
		return error_set(err, ERROR_LIMIT, "%s: over 16 TiB, the most that EROFS holds", w->name);
	if (w->limit && end > w->limit)
		return error_set(err, ERROR_LIMIT,
			"%s: over the limit of %s for a root file system: raise root_bytes in "
			"MONOCORE_IMAGE_LIMITS",
			w->name, text_human_size(w->limit, text, sizeof text));
	return 0;
}

int erofs_put(struct erofs_writer *w, const uint8_t *bytes, size_t n, struct error *err)
{
	int r = grows_by(w, n, err);

	while (r == 0 && n > 0) {
		size_t part = EROFS_BUFFER - w->fill;

		if (w->fill == 0 && n >= EROFS_BUFFER / 4) {
			/* Large enough to go straight to the kernel, whole blocks of it. */
			part = n & ~(size_t)(EROFS_BLOCK - 1);
			r = write_at(w, bytes, part, err);
		} else {
			if (n >= EROFS_BUFFER / 4 && w->fill % EROFS_BLOCK == 0)
				part = 0;
			part = part < n ? part : n;
			memcpy(w->buffer + w->fill, bytes, part);
			w->fill += part;
			if (w->fill == EROFS_BUFFER || part == 0)
				r = erofs_flush(w, err);
		}
		bytes += part;
		n -= part;
	}
	return r;
}

int erofs_skip(struct erofs_writer *w, uint64_t n, struct error *err)
{
	int r = grows_by(w, n, err);

	if (r < 0)
		return r;
	if (n > EROFS_BUFFER - w->fill || n >= 16 * EROFS_BLOCK) {
		r = erofs_flush(w, err);
		w->base += n;
		return r;
	}
	memset(w->buffer + w->fill, 0, (size_t)n);
	w->fill += (size_t)n;
	return w->fill == EROFS_BUFFER ? erofs_flush(w, err) : 0;
}

int erofs_align(struct erofs_writer *w, struct error *err)
{
	uint64_t over = erofs_writer_bytes(w) % EROFS_BLOCK;

	return over ? erofs_skip(w, EROFS_BLOCK - over, err) : 0;
}

int erofs_file_begin(struct erofs_writer *w, uint64_t size, struct error *err)
{
	struct erofs_file *f = &w->file;

	if (size > INT64_MAX)
		return error_set(
			err, ERROR_LIMIT, "%s: a file of %llu bytes", w->name, (unsigned long long)size);
	free(f->chunks);
	f->chunks = NULL;
	f->open = true;
	f->size = size;
	f->at = 0;
	f->start = erofs_writer_bytes(w);
	f->small = size <= EROFS_INLINE_MAX && w->inline_left >= size;
	f->chunk_bits = CHUNK_BITS;
	while (size >> (12 + f->chunk_bits) >= CHUNKS_MAX)
		f->chunk_bits++;
	if (f->small)
		memset(f->bytes, 0, (size_t)size);
	return 0;
}

static uint64_t chunk_bytes(const struct erofs_file *f)
{
	return (uint64_t)EROFS_BLOCK << f->chunk_bits;
}

static uint32_t block_of(uint64_t output)
{
	return (uint32_t)(output / EROFS_BLOCK);
}

/* The list of chunks of a file that had none, the first `done` of which follow each other from f->start. */
static int begin_chunks(struct erofs_writer *w, uint64_t done, struct error *err)
{
	struct erofs_file *f = &w->file;

	f->chunk_count = (uint32_t)((f->size + chunk_bytes(f) - 1) >> (12 + f->chunk_bits));
	f->chunks = malloc(f->chunk_count * sizeof *f->chunks);
	if (!f->chunks)
		return error_no_memory(err, "file with holes");
	for (uint32_t i = 0; i < f->chunk_count; i++)
		f->chunks[i] = i < done ? block_of(f->start + i * chunk_bytes(f)) : EROFS_HOLE;
	return 0;
}

/* A chunk is about to get its first byte. */
static void open_chunk(struct erofs_writer *w)
{
	struct erofs_file *f = &w->file;

	if (f->chunks && f->at % chunk_bytes(f) == 0)
		f->chunks[f->at / chunk_bytes(f)] = block_of(erofs_writer_bytes(w));
}

static int put_zeroes(struct erofs_writer *w, uint64_t end, struct error *err)
{
	int r;

	if (end <= w->file.at)
		return 0;
	open_chunk(w);
	r = erofs_skip(w, end - w->file.at, err);
	w->file.at = end;
	return r;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Moves on to `offset`: zeroes in the chunks that hold data, nothing for those that are all hole. */
static int skip_hole(struct erofs_writer *w, uint64_t offset, struct error *err)
{
	struct erofs_file *f = &w->file;
	uint64_t size = chunk_bytes(f), first, last;
	int r = 0;

	if (f->at % size)
		r = put_zeroes(w, lesser(lesser((f->at / size + 1) * size, f->size), offset), err);
	if (r < 0 || f->at == offset)
		return r;
	first = f->at / size;
	last = offset == f->size ? (f->size + size - 1) / size : offset / size;
	if (last > first) {
		r = f->chunks ? 0 : begin_chunks(w, first, err);
		f->at = lesser(last * size, f->size);
	}
	return r < 0 ? r : put_zeroes(w, offset, err);
}

int erofs_file_data(
	struct erofs_writer *w, uint64_t offset, const uint8_t *bytes, size_t n, struct error *err)
{
	struct erofs_file *f = &w->file;
	int r = 0;

	if (!f->open || offset < f->at || offset > f->size || n > f->size - offset)
		return error_set(err, ERROR_INVALID, "%s: data of a file out of order", w->name);
	if (f->small) {
		memcpy(f->bytes + offset, bytes, n);
		f->at = offset + n;
		return 0;
	}
	if (offset > f->at && n > 0)
		r = skip_hole(w, offset, err);
	while (r == 0 && n > 0) {
		size_t part = n;

		if (f->chunks)
			part = (size_t)lesser(n, chunk_bytes(f) - f->at % chunk_bytes(f));
		open_chunk(w);
		r = erofs_put(w, bytes, part, err);
		f->at += part;
		bytes += part;
		n -= part;
	}
	return r;
}

static int end_small(struct erofs_writer *w, struct erofs_inode *inode, struct error *err)
{
	struct erofs_file *f = &w->file;
	uint8_t *bytes;

	if (f->size == 0)
		return 0;
	bytes = erofs_memory(w, (size_t)f->size);
	if (!bytes)
		return error_no_memory(err, "small file");
	memcpy(bytes, f->bytes, (size_t)f->size);
	w->inline_left -= (size_t)f->size;
	inode->data = EROFS_DATA_INLINE;
	inode->bytes = bytes;
	return 0;
}

static int end_chunks(struct erofs_writer *w, struct erofs_inode *inode, struct error *err)
{
	struct erofs_file *f = &w->file;
	size_t n = f->chunk_count * sizeof *f->chunks;
	uint32_t *chunks;

	if (n > w->chunks_left)
		return error_set(err, ERROR_LIMIT, "%s: too many large files with holes", w->name);
	w->chunks_left -= n;
	chunks = erofs_memory(w, n);
	if (!chunks)
		return error_no_memory(err, "file with holes");
	memcpy(chunks, f->chunks, n);
	inode->data = EROFS_DATA_CHUNKS;
	inode->chunks = chunks;
	inode->chunk_count = f->chunk_count;
	inode->chunk_bits = f->chunk_bits;
	w->chunked = true;
	return 0;
}

int erofs_file_end(struct erofs_writer *w, struct erofs_inode *inode, struct error *err)
{
	struct erofs_file *f = &w->file;
	int r = 0;

	f->open = false;
	inode->size = f->size;
	inode->data = EROFS_DATA_NONE;
	if (f->small)
		return end_small(w, inode, err);
	if (f->at < f->size)
		r = skip_hole(w, f->size, err);
	if (r == 0)
		r = erofs_align(w, err);
	if (r < 0)
		return r;
	if (f->chunks)
		return end_chunks(w, inode, err);
	inode->data = EROFS_DATA_BLOCKS;
	inode->start = block_of(f->start);
	return 0;
}

void erofs_file_cancel(struct erofs_writer *w)
{
	w->file.open = false;
}
