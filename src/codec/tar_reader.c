/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader is a machine that is in one of these states and moves when bytes come:
 *
 *   HEADER      the next block is a header, the first zero block, or (behind `skip` bytes) not there yet
 *   EXTENSION   collects the data of an 'x', 'g', 'L' or 'K' header
 *   BLOCKS      collects blocks of an old GNU sparse map
 *   LINES       collects blocks of a GNU 1.0 sparse map
 *   EITHER      looks at the block behind a hard link that gives a size: it may be data or a header
 *   DATA        hands out the parts of an entry
 *   LAST        has seen one zero block and wants the second
 *   END         swallows what follows
 *   FAILED      repeats that the archive is damaged
 *
 * An entry is told only when its sparse map is complete and has been judged. A block that had to be kept
 * to look at it (EITHER) is "held" and comes again before further input.
 */
#include "codec/tar.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/tar_block.h"
#include "codec/tar_member.h"

enum state {
	STATE_HEADER,
	STATE_EXTENSION,
	STATE_BLOCKS,
	STATE_LINES,
	STATE_EITHER,
	STATE_DATA,
	STATE_LAST,
	STATE_END,
	STATE_FAILED
};

/* What a state does: tells an event, or one of these. */
enum { AGAIN = 100, STARVED };

struct tar_reader {
	struct tar_limits limits;
	enum state state;
	enum error_code failure;
	uint64_t at;        /* bytes of the archive that were used up */
	uint64_t header_at; /* where the current header began */
	uint8_t block[TAR_BLOCK];
	size_t filled; /* bytes of a block that came in pieces */
	size_t held;   /* bytes at the end of `block` that are still to be used up */
	uint64_t skip; /* bytes of padding, or of data that nobody wants, before the next header */
	uint8_t extension;
	uint64_t extension_left;
	struct buffer extension_bytes;
	struct tar_extensions extensions;
	struct tar_member member;
	struct tar_map_lines lines;
	struct tar_part whole;        /* the one part of a file that is not sparse */
	const struct tar_part *parts; /* what DATA hands out */
	size_t parts_left;
	uint64_t part_done;
	struct tar_data data;
};

struct input {
	const uint8_t **at;
	size_t *n;
};

struct tar_reader *tar_reader_new(const struct tar_limits *limits, struct error *err)
{
	struct tar_reader *r = calloc(1, sizeof *r);

	if (!r) {
		error_no_memory(err, "read a tar archive");
		return NULL;
	}
	if (limits)
		r->limits = *limits;
	if (!r->limits.path)
		r->limits.path = 4096;
	if (!r->limits.extended)
		r->limits.extended = 1 << 20;
	if (!r->limits.sparse_parts)
		r->limits.sparse_parts = 1000000;
	return r;
}

void tar_reader_free(struct tar_reader *r)
{
	if (!r)
		return;
	buffer_free(&r->extension_bytes);
	tar_extensions_reset(&r->extensions);
	tar_pax_free(&r->extensions.global);
	tar_member_free(&r->member);
	free(r);
}

const struct tar_entry *tar_reader_entry(const struct tar_reader *r)
{
	return &r->member.entry;
}

const struct tar_data *tar_reader_data(const struct tar_reader *r)
{
	return &r->data;
}

/* Up to `most` bytes in one piece, used up; *n is 0 where there are none. */
static const uint8_t *take_bytes(struct tar_reader *r, struct input in, uint64_t most, size_t *n)
{
	const uint8_t *at;

	if (r->held) {
		at = r->block + TAR_BLOCK - r->held;
		*n = r->held < most ? r->held : (size_t)most;
		r->held -= *n;
	} else {
		at = *in.at;
		*n = *in.n < most ? *in.n : (size_t)most;
		*in.at += *n;
		*in.n -= *n;
	}
	r->at += *n;
	return at;
}

/* One block; NULL: not all of it is there. Holds until the next call. */
static const uint8_t *take_block(struct tar_reader *r, struct input in)
{
	const uint8_t *piece;
	size_t n;

	if (r->held == TAR_BLOCK || (!r->filled && *in.n >= TAR_BLOCK))
		return take_bytes(r, in, TAR_BLOCK, &n);
	piece = take_bytes(r, in, TAR_BLOCK - r->filled, &n);
	if (n)
		memcpy(r->block + r->filled, piece, n);
	r->filled += n;
	if (r->filled < TAR_BLOCK)
		return NULL;
	r->filled = 0;
	return r->block;
}

static bool skip_bytes(struct tar_reader *r, struct input in)
{
	size_t n = 1;

	for (; r->skip && n; r->skip -= n)
		take_bytes(r, in, r->skip, &n);
	return r->skip == 0;
}

/* Sets up DATA and tells the entry, whose map is complete. */
static int tell_entry(struct tar_reader *r, bool sparse)
{
	struct tar_member *m = &r->member;

	r->whole = (struct tar_part){0, m->layout == TAR_LAYOUT_NONE ? 0 : m->stored};
	r->parts = sparse ? m->map.parts : &r->whole;
	r->parts_left = sparse ? m->map.count : r->whole.size != 0;
	r->part_done = 0;
	r->skip = tar_padding(m->stored);
	if (m->layout == TAR_LAYOUT_NONE)
		r->skip += m->stored;
	r->state = STATE_DATA;
	return TAR_ENTRY;
}

static int step_blocks(struct tar_reader *r, struct input in, struct error *err)
{
	const uint8_t *block = take_block(r, in);
	struct tar_member *m = &r->member;
	bool ended = false, more;
	int result;

	if (!block)
		return STARVED;
	more = block[504];
	if ((result = tar_map_add_slots(&m->map, block, 21, &ended, err)) < 0)
		return result;
	if (more && ended)
		return error_set(err, ERROR_INVALID,
			"the map of the sparse file '%s' ends before its last block", m->entry.path);
	if (more)
		return AGAIN;
	result = tar_map_check(&m->map, m->entry.size, m->stored, err);
	return result < 0 ? result : tell_entry(r, true);
}

static int step_lines(struct tar_reader *r, struct input in, struct error *err)
{
	struct tar_member *m = &r->member;
	const uint8_t *block;
	int result;

	if (m->stored < TAR_BLOCK)
		return error_set(err, ERROR_INVALID, "the map of the sparse file '%s' is cut", m->entry.path);
	block = take_block(r, in);
	if (!block)
		return STARVED;
	m->stored -= TAR_BLOCK;
	if ((result = tar_map_add_lines(&m->map, &r->lines, block, err)) < 0)
		return result;
	if (!result)
		return AGAIN;
	result = tar_map_check(&m->map, m->entry.size, m->stored, err);
	return result < 0 ? result : tell_entry(r, true);
}

/*
 * POSIX lets pax store a file's data with each of its hard links (linkdata); older tars, Go and Python give
 * a size and store none. A block that is a header, or (without an extended header, so in none of pax's
 * archives) the archive's end, is no data.
 */
static int step_either(struct tar_reader *r, struct input in)
{
	const uint8_t *block = take_block(r, in);
	struct tar_member *m = &r->member;

	if (!block)
		return STARVED;
	if (block != r->block)
		memcpy(r->block, block, TAR_BLOCK);
	r->held = TAR_BLOCK;
	r->at -= TAR_BLOCK;
	if (tar_block_sum_matches(block) || (!r->extensions.extended && tar_block_is_zero(block)))
		m->entry.size = m->stored = 0;
	m->layout = TAR_LAYOUT_PLAIN;
	r->extensions.extended = false;
	return tell_entry(r, false);
}

static int step_data(struct tar_reader *r, struct input in)
{
	const struct tar_part *part = r->parts;
	size_t n;

	if (!r->parts_left) {
		r->state = STATE_HEADER;
		return TAR_ENTRY_END;
	}
	r->data.bytes = take_bytes(r, in, part->size - r->part_done, &n);
	if (!n)
		return STARVED;
	r->data.size = n;
	r->data.offset = part->offset + r->part_done;
	r->part_done += n;
	if (r->part_done == part->size) {
		r->parts++;
		r->parts_left--;
		r->part_done = 0;
	}
	return TAR_DATA;
}

static int begin_extension(struct tar_reader *r, const uint8_t *block, struct error *err)
{
	struct tar_extensions *x = &r->extensions;
	uint8_t type = block[TAR_AT_TYPE];
	int64_t size;
	int result = tar_block_number(block, TAR_FIELD_SIZE, 0, INT64_MAX, &size, err);

	if (result < 0)
		return result;
	if ((type == 'x' && x->extended) || (type == 'L' && x->long_path) || (type == 'K' && x->long_link))
		return error_set(err, ERROR_INVALID, "an entry has two extension headers of type '%c'", type);
	if ((uint64_t)size > r->limits.extended)
		return error_set(err, ERROR_LIMIT,
			"an extension header of %lld bytes is over the limit of %zu", (long long)size,
			r->limits.extended);
	r->extension = type;
	r->extension_left = (uint64_t)size;
	buffer_clear(&r->extension_bytes);
	r->state = STATE_EXTENSION;
	return AGAIN;
}

/* GNU's long name: text, ended by a NUL or by the data's end. */
static int read_long_name(const struct buffer *bytes, char **name, struct error *err)
{
	size_t n = bytes->size ? strnlen((const char *)bytes->data, bytes->size) : 0;

	for (size_t i = n; i < bytes->size; i++)
		if (bytes->data[i])
			return error_set(err, ERROR_INVALID, "a long name holds a NUL byte");
	if (!n)
		return error_set(err, ERROR_INVALID, "a long name is empty");
	*name = text_copy_bytes(bytes->data, n, err);
	return *name ? 0 : -ERROR_NO_MEMORY;
}

static int end_extension(struct tar_reader *r, struct error *err)
{
	const struct buffer *bytes = &r->extension_bytes;
	struct tar_extensions *x = &r->extensions;
	bool global = r->extension == 'g';

	if (r->extension == 'L')
		return read_long_name(bytes, &x->long_path, err);
	if (r->extension == 'K')
		return read_long_name(bytes, &x->long_link, err);
	if (!global)
		x->extended = true;
	return tar_pax_read(global ? &x->global : &x->local, bytes->data, bytes->size, global,
		r->limits.sparse_parts, err);
}

static int step_extension(struct tar_reader *r, struct input in, struct error *err)
{
	const uint8_t *piece;
	size_t n;
	int result;

	while (r->extension_left) {
		piece = take_bytes(r, in, r->extension_left, &n);
		if (!n)
			return STARVED;
		if (!buffer_append(&r->extension_bytes, piece, n))
			return error_no_memory(err, "read an extension header");
		r->extension_left -= n;
	}
	r->skip = tar_padding(r->extension_bytes.size);
	r->state = STATE_HEADER;
	result = end_extension(r, err);
	return result < 0 ? result : AGAIN;
}

static int begin_member(struct tar_reader *r, const uint8_t *block, struct error *err)
{
	struct tar_member *m = &r->member;
	bool extended = r->extensions.extended;
	int result;

	result = tar_member_read(m, block, &r->extensions, &r->limits, err);
	if (result < 0)
		return result;
	tar_extensions_reset(&r->extensions);
	r->extensions.extended = extended && m->layout == TAR_LAYOUT_EITHER;
	if (m->hidden) {
		r->skip = m->stored + tar_padding(m->stored);
		return AGAIN;
	}
	switch (m->layout) {
	case TAR_LAYOUT_BLOCKS:
		r->state = STATE_BLOCKS;
		return AGAIN;
	case TAR_LAYOUT_LINES:
		r->lines = (struct tar_map_lines){0};
		r->state = STATE_LINES;
		return AGAIN;
	case TAR_LAYOUT_EITHER:
		r->state = STATE_EITHER;
		return AGAIN;
	default:
		return tell_entry(r, m->layout == TAR_LAYOUT_SPARSE);
	}
}

static int step_header(struct tar_reader *r, struct input in, struct error *err)
{
	const uint8_t *block;

	if (!skip_bytes(r, in))
		return STARVED;
	if (!r->filled) {
		r->header_at = r->at;
		tar_member_free(&r->member);
	}
	block = take_block(r, in);
	if (!block)
		return STARVED;
	if (tar_block_is_zero(block)) {
		if (tar_extensions_wait(&r->extensions))
			return error_set(err, ERROR_INVALID, "the archive ends where an entry must follow");
		r->state = STATE_LAST;
		return AGAIN;
	}
	if (!tar_block_sum_matches(block))
		return error_set(err, ERROR_INVALID,
			r->header_at ? "the header's checksum is wrong" : "this is no tar archive");
	if (block[TAR_AT_TYPE] && strchr("xgLK", block[TAR_AT_TYPE]))
		return begin_extension(r, block, err);
	return begin_member(r, block, err);
}

static int step_last(struct tar_reader *r, struct input in, struct error *err)
{
	const uint8_t *block = take_block(r, in);

	if (!block)
		return STARVED;
	if (!tar_block_is_zero(block))
		return error_set(err, ERROR_INVALID, "a zero block stands amid the archive");
	r->state = STATE_END;
	return TAR_END;
}

static int step_once(struct tar_reader *r, struct input in, struct error *err)
{
	switch (r->state) {
	case STATE_HEADER:
		return step_header(r, in, err);
	case STATE_EXTENSION:
		return step_extension(r, in, err);
	case STATE_BLOCKS:
		return step_blocks(r, in, err);
	case STATE_LINES:
		return step_lines(r, in, err);
	case STATE_EITHER:
		return step_either(r, in);
	case STATE_DATA:
		return step_data(r, in);
	case STATE_LAST:
		return step_last(r, in, err);
	case STATE_END:
		*in.at += *in.n;
		*in.n = 0;
		return STARVED;
	default:
		return error_set(err, r->failure, "the archive is damaged before");
	}
}

static int fail(struct tar_reader *r, int code, struct error *err)
{
	r->failure = (enum error_code) - code;
	r->state = STATE_FAILED;
	error_prefix(err, "tar archive, byte %llu", (unsigned long long)r->header_at);
	return code;
}

int tar_reader_step(
	struct tar_reader *r, const uint8_t **in, size_t *n, enum tar_event *event, struct error *err)
{
	int result;

	do
		result = step_once(r, (struct input){in, n}, err);
	while (result == AGAIN);
	if (result < 0)
		return fail(r, result, err);
	*event = result == STARVED ? TAR_MORE : (enum tar_event)result;
	return 0;
}

int tar_reader_finish(struct tar_reader *r, struct error *err)
{
	if (r->state == STATE_FAILED)
		return fail(r, error_set(err, r->failure, "the archive is damaged before"), err);
	if (r->state == STATE_END || (r->state == STATE_LAST && !r->filled))
		return 0;
	if (r->state == STATE_HEADER && !r->filled && !r->skip && !tar_extensions_wait(&r->extensions))
		return 0;
	return fail(r, error_set(err, ERROR_INVALID, "the archive is cut"), err);
}
