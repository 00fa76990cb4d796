/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/output_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "os/fs.h"

#define LEVEL          3
#define ENTRY_SIZE     36
#define TRAILER_SIZE   16
#define SKIPPABLE_SIZE 8                     /* its magic and its size */
#define SKIPPABLE      0x184d2a5bu           /* one of those that RFC 8878, 3.1.2 leaves to the user */
#define MAGIC          0x31786469676f6c6dULL /* "mlogidx1" */
#define UNPACKED       "packing"             /* half made: of the one who holds the sandbox's lock */

/* ---- pack ------------------------------------------------------------------------------------------- */

struct packing {
	const struct buffer *records;
	int file;
	ZSTD_CCtx *context;
	struct buffer packed, index;
	uint32_t count;
	struct output_open open;
};

/* The frame that begins at c: as many records as come to its size. False: there is none left. */
static bool measure(struct packing *p, struct cursor *c, struct output_frame *f)
{
	const struct cursor start = *c;
	struct output_record r;

	*f = (struct output_frame){.open = p->open, .earliest = UINT64_MAX};
	while (start.left - c->left < OUTPUT_FRAME_SIZE && output_record_next(c, &r) > 0) {
		if (r.stream != OUTPUT_STATE) {
			f->earliest = r.time < f->earliest ? r.time : f->earliest;
			f->latest = r.time > f->latest ? r.time : f->latest;
		}
		output_open_after(&p->open, &r);
	}
	f->size = (uint32_t)(start.left - c->left);
	return f->size > 0;
}

static void index_add(struct packing *p, const struct output_frame *f)
{
	buffer_u32(&p->index, f->packed);
	buffer_u32(&p->index, f->size);
	buffer_u64(&p->index, f->earliest);
	buffer_u64(&p->index, f->latest);
	for (size_t i = 0; i < OUTPUT_STREAMS; i++)
		buffer_u32(&p->index, f->open.bytes[i]);
	p->count++;
}

static int pack_frame(struct packing *p, const uint8_t *data, struct output_frame *f, struct error *err)
{
	size_t bound = ZSTD_compressBound(f->size), n;

	buffer_clear(&p->packed);
	if (!buffer_reserve(&p->packed, bound))
		return error_no_memory(err, "pack the log");
	n = ZSTD_compressCCtx(p->context, p->packed.data, bound, data, f->size, LEVEL);
	if (ZSTD_isError(n))
		return error_set(err, ERROR_SYSTEM, "pack the log: %s", ZSTD_getErrorName(n));
	f->packed = (uint32_t)n;
	index_add(p, f);
	return fs_write_all(p->file, p->packed.data, n, "the packed log", err);
}

static int write_index(struct packing *p, struct error *err)
{
	_cleanup_buffer_ struct buffer head = {0};

	buffer_u32(&p->index, p->count);
	buffer_u32(&p->index, 0);
	buffer_u64(&p->index, MAGIC);
	buffer_u32(&head, SKIPPABLE);
	buffer_u32(&head, (uint32_t)p->index.size);
	if (p->index.failed || head.failed)
		return error_no_memory(err, "pack the log");
	return fs_write_all(p->file, head.data, head.size, "the packed log", err) < 0
		       ? -(int)err->code
		       : fs_write_all(p->file, p->index.data, p->index.size, "the packed log", err);
}

/* All of a segment, 8 MiB at most, is in memory meanwhile. */
static int pack(struct packing *p, struct error *err)
{
	struct cursor c = cursor_of(p->records->data, p->records->size);
	struct output_frame f;
	int r = 0;

	while (r == 0) {
		const uint8_t *data = c.data;

		if (!measure(p, &c, &f))
			break;
		r = pack_frame(p, data, &f, err);
	}
	return r == 0 ? write_index(p, err) : r;
}

int output_pack(int directory, uint32_t number, struct error *err)
{
	char name[OUTPUT_NAME_SIZE], packed[OUTPUT_NAME_SIZE];
	_cleanup_buffer_ struct buffer records = {0};
	_cleanup_fd_ int file = -1;
	struct packing p = {.records = &records};
	int r;

	output_segment_name(number, false, name);
	output_segment_name(number, true, packed);
	r = fs_read_file(directory, name, OUTPUT_SEGMENT, &records, err);
	if (r == 0)
		r = file = fs_open(directory, UNPACKED, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600, err);
	if (r < 0)
		return r;
	p.file = file;
	p.context = ZSTD_createCCtx();
	r = p.context ? pack(&p, err) : error_no_memory(err, "pack the log");
	if (r == 0 && renameat(directory, UNPACKED, directory, packed) < 0)
		r = error_errno(err, errno, "pack the log");
	unlinkat(directory, r == 0 ? name : UNPACKED, 0);
	ZSTD_freeCCtx(p.context);
	buffer_free(&p.packed);
	buffer_free(&p.index);
	return r;
}

/* ---- read ------------------------------------------------------------------------------------------- */

static int corrupt(struct error *err)
{
	return error_set(err, ERROR_CORRUPT, "a packed segment of the log is damaged");
}

static int read_at(int fd, uint64_t offset, size_t n, struct buffer *out, struct error *err)
{
	buffer_clear(out);
	if (!buffer_reserve(out, n))
		return error_no_memory(err, "read the log");
	if (pread(fd, out->data, n, (off_t)offset) != (ssize_t)n)
		return corrupt(err);
	out->size = n;
	return 0;
}

/* How many frames there are, and where the index begins. */
static int read_trailer(int fd, uint32_t *count, uint64_t *index, struct error *err)
{
	_cleanup_buffer_ struct buffer b = {0};
	uint64_t size, whole, magic;
	struct cursor c;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "examine the log");
	size = (uint64_t)st.st_size;
	if (size < TRAILER_SIZE)
		return corrupt(err);
	r = read_at(fd, size - TRAILER_SIZE, TRAILER_SIZE, &b, err);
	if (r < 0)
		return r;
	c = cursor_of(b.data, b.size);
	*count = cursor_u32(&c);
	cursor_u32(&c);
	magic = cursor_u64(&c);
	whole = SKIPPABLE_SIZE + TRAILER_SIZE + (uint64_t)*count * ENTRY_SIZE;
	if (magic != MAGIC || *count > OUTPUT_FRAMES_MAX || whole > size)
		return corrupt(err);
	*index = size - whole;
	return 0;
}

static bool read_entry(struct cursor *c, uint64_t offset, struct output_frame *f)
{
	bool good = true;

	f->offset = offset;
	f->packed = cursor_u32(c);
	f->size = cursor_u32(c);
	f->earliest = cursor_u64(c);
	f->latest = cursor_u64(c);
	for (size_t i = 0; i < OUTPUT_STREAMS; i++)
		good &= (f->open.bytes[i] = cursor_u32(c)) < OUTPUT_LINE_MAX;
	return good && f->size && f->size <= OUTPUT_FRAME_MAX && f->packed <= ZSTD_compressBound(f->size);
}

int output_index_read(int fd, struct output_frame **out, size_t *frames, struct error *err)
{
	_cleanup_free_ struct output_frame *list = NULL;
	_cleanup_buffer_ struct buffer b = {0};
	uint64_t index = 0, offset = 0;
	struct cursor c;
	uint32_t count = 0;
	int r = read_trailer(fd, &count, &index, err);

	if (r == 0)
		r = read_at(fd, index + SKIPPABLE_SIZE, (size_t)count * ENTRY_SIZE, &b, err);
	if (r < 0)
		return r;
	list = calloc(count + 1, sizeof *list);
	if (!list)
		return error_no_memory(err, "read the log");
	c = cursor_of(b.data, b.size);
	for (uint32_t i = 0; i < count; i++) {
		if (!read_entry(&c, offset, &list[i]))
			return corrupt(err);
		offset += list[i].packed;
	}
	if (offset != index)
		return corrupt(err);
	*out = TAKE_PTR(list);
	*frames = count;
	return 0;
}

int output_frame_read(int fd, const struct output_frame *f, struct buffer *out, struct error *err)
{
	_cleanup_buffer_ struct buffer packed = {0};
	int r = read_at(fd, f->offset, f->packed, &packed, err);
	size_t n;

	buffer_clear(out);
	if (r < 0)
		return r;
	if (!buffer_reserve(out, f->size))
		return error_no_memory(err, "read the log");
	n = ZSTD_decompress(out->data, f->size, packed.data, packed.size);
	if (ZSTD_isError(n) || n != f->size)
		return corrupt(err);
	out->size = n;
	return 0;
}
