/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict tar reader and a writer, both pure: bytes in, entries out, and the other way round.
 *
 * Formats: POSIX.1-1988 ustar, POSIX.1-2001 PAX (path, linkpath, size, uid, gid, mtime with fractions and
 * before 1970, SCHILY.xattr.*, SCHILY.devmajor and devminor, GNU.sparse 0.0, 0.1 and 1.0, global headers),
 * GNU (long name 'L', long link 'K', base-256 numbers, old sparse 'S', directory lists 'D', volume labels
 * 'V'), v7. A bad checksum, a cut archive, unknown types of entry, numbers out of range and ids over 32
 * bits are errors; bytes behind the two zero blocks are ignored. The archive is hostile: memory is bounded
 * by struct tar_limits.
 *
 * A hard link may carry data (PAX's linkdata): then its size is not 0, and the bytes are those of its target
 * once more, so that they may be left unread. All entries but files and hard links have size 0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum tar_type {
	TAR_FILE,
	TAR_HARD_LINK,
	TAR_SYMBOLIC_LINK,
	TAR_CHARACTER_DEVICE,
	TAR_BLOCK_DEVICE,
	TAR_DIRECTORY,
	TAR_FIFO
};

struct tar_xattr {
	char *name; /* "user.x", "security.capability", … */
	uint8_t *value;
	size_t size;
};

struct tar_entry {
	enum tar_type type;
	/* As written, but without trailing slashes ("/" alone stays), never empty, without NUL; may be
	 * absolute or hold ".." or "./": the user of the reader judges. The writer adds a directory's slash.
	 */
	char *path;
	char *link;    /* target of a link, or NULL */
	uint32_t mode; /* permission bits, 07777 */
	uint32_t uid, gid;
	uint64_t size;              /* bytes of the file as a reader of it sees them, holes included */
	int64_t mtime;              /* seconds, may be negative */
	uint32_t mtime_nanoseconds; /* 0 to 999,999,999, counted forward from mtime */
	uint32_t device_major, device_minor;
	struct tar_xattr *xattrs;
	size_t xattr_count;
};
void tar_entry_free(struct tar_entry *e);

struct tar_limits {
	size_t path;         /* bytes of a path or link target; 0: 4,096 */
	size_t extended;     /* bytes of one PAX or GNU extension header; 0: 1 MiB */
	size_t sparse_parts; /* parts of one sparse file; 0: 1,000,000 */
};

enum tar_event {
	TAR_MORE,  /* all input is used up: give more (or, at the end of it, call tar_reader_finish) */
	TAR_ENTRY, /* reader's entry is the next entry; its data follow as TAR_DATA, then TAR_ENTRY_END */
	TAR_DATA,  /* bytes of the entry at `offset`; between parts are holes */
	TAR_ENTRY_END,
	TAR_END /* the two zero blocks were seen */
};

struct tar_data {
	const uint8_t *bytes; /* points into the input, or into the reader; valid until the next step */
	size_t size;
	uint64_t offset;
};

struct tar_reader;

struct tar_reader *tar_reader_new(
	const struct tar_limits *limits, struct error *err); /* limits may be NULL */
void tar_reader_free(struct tar_reader *r);

/* Takes bytes from *in (advancing *in and *n) until there is something to tell. Errors: INVALID, LIMIT,
 * NO_MEMORY; after one the reader only repeats it. After TAR_END it swallows what follows. */
int tar_reader_step(
	struct tar_reader *r, const uint8_t **in, size_t *n, enum tar_event *event, struct error *err);
const struct tar_entry *tar_reader_entry(const struct tar_reader *r); /* until its TAR_ENTRY_END */
const struct tar_data *tar_reader_data(const struct tar_reader *r);   /* after TAR_DATA */

/* After the last byte of input: an error when the archive is cut within an entry. An archive that ends on
 * an entry's boundary without zero blocks is accepted, as GNU tar and docker do. */
int tar_reader_finish(struct tar_reader *r, struct error *err);

/* Appends the header blocks of e to out (PAX records where ustar cannot hold a value; deterministic bytes).
 * Behind a TAR_FILE the caller then writes e->size bytes and tar_padding(e->size) zero bytes; the size of
 * other entries is not used. Errors: INVALID (no name, no target, size or time out of range), NO_MEMORY. */
int tar_write_entry(struct buffer *out, const struct tar_entry *e, struct error *err);
size_t tar_padding(uint64_t size);

/* A part of a sparse file that the archive has. */
struct tar_part {
	uint64_t offset, size;
};

/* The same for a TAR_FILE with holes, as GNU tar has it in its format 1.0: parts are in order, apart, and
 * within e->size; a file that ends with a hole has an empty one at its end. Behind it the caller writes the
 * parts' bytes, one behind the other, and tar_padding() of their sum. */
int tar_write_sparse(struct buffer *out, const struct tar_entry *e, const struct tar_part *parts,
	size_t count, struct error *err);
bool tar_write_end(struct buffer *out); /* the two zero blocks */
