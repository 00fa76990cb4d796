/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EROFS, the read-only file system of an image's disk: what the writer and the reader share.
 *
 * The writer makes the file front to back: block 0 for the superblock, then the data of files as they come,
 * then the blocks of large directories, then the inodes (the "metadata area", to which node numbers are
 * relative, so that the root's fits the superblock's 16 bits). Only the tree is held in memory. Inodes are
 * of the extended form (nanoseconds, 32-bit owners, times before 1970), nothing is compressed. Data of up
 * to EROFS_INLINE_MAX bytes lies behind its inode; files with holes are chunk-based, so that holes cost
 * nothing. docs/formats/rootfs.md says the rest.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define EROFS_BLOCK      4096u
#define EROFS_NAME_MAX   255u
#define EROFS_INLINE_MAX 1024u /* measured: more makes the inodes too sparse for lookups in the guest */

struct erofs_inode;

/* A name in a directory. The writer wants the list sorted by bytes, without "." and "..". */
struct erofs_entry {
	struct erofs_entry *next;
	struct erofs_inode *inode;
	const char *name; /* no NUL behind it */
	uint16_t name_size;
};

enum erofs_data {
	EROFS_DATA_NONE,   /* devices, fifos, empty files */
	EROFS_DATA_BLOCKS, /* from block `start` on, without a hole */
	EROFS_DATA_CHUNKS, /* chunks[i]: first block of chunk i, or EROFS_HOLE */
	EROFS_DATA_INLINE  /* `bytes`: small files and the targets of symbolic links */
};

#define EROFS_HOLE UINT32_MAX

/* What the writer needs of one file. The memory behind the pointers is the caller's, but `chunks` and
 * `bytes` as erofs_file_end() sets them, which live as long as the writer. */
struct erofs_inode {
	uint32_t mode; /* with the type's bits (S_IFREG, …) */
	uint32_t uid, gid;
	uint32_t mtime_nanoseconds;
	int64_t mtime;                       /* seconds since 1970, may be negative */
	uint32_t device_major, device_minor; /* at most 4,095 and 1,048,575 */
	uint64_t size;                       /* of files and symbolic links */
	enum erofs_data data;
	uint8_t chunk_bits; /* a chunk is EROFS_BLOCK << chunk_bits bytes */
	uint32_t start;
	uint32_t chunk_count;
	uint32_t *chunks;
	const uint8_t *bytes;
	const uint8_t *xattrs; /* by erofs_xattrs_encode(), or NULL */
	uint32_t xattrs_size;

	struct erofs_entry *entries; /* of a directory */

	/* Set by erofs_writer_finish(). */
	struct erofs_inode *parent, *next;
	uint64_t nid;
	uint32_t links, number;
	bool inline_data;
};

struct erofs_xattr {
	const char *name;
	const uint8_t *value;
	size_t size;
};

/* The on-disk form of extended attributes into `out` (room for erofs_xattrs_room() bytes). Attributes that
 * EROFS has no index for (only user., trusted., security. and POSIX ACLs have one, and Linux takes no
 * others) are left out. Returns the bytes written, 0 where nothing is left; LIMIT where a value is over
 * 65,535 bytes or all of them are over 256 KiB. */
size_t erofs_xattrs_room(const struct erofs_xattr *list, size_t count);
int erofs_xattrs_encode(
	const struct erofs_xattr *list, size_t count, uint8_t *out, size_t *size, struct error *err);

struct erofs_writer;

struct erofs_options {
	const char *name; /* of the file, for messages */
	uint64_t limit;   /* bytes of the whole; 0: none but the format's 16 TiB */
	uint8_t uuid[16];
};

/* Writes to fd, an empty regular file open for writing; fd stays the caller's. */
int erofs_writer_new(int fd, const struct erofs_options *options, struct erofs_writer **w, struct error *err);
void erofs_writer_free(struct erofs_writer *w);

/* The data of one file: begin, data in rising order of offset (what is left out is a hole), end, which sets
 * size, data and what belongs to it in *inode. */
int erofs_file_begin(struct erofs_writer *w, uint64_t size, struct error *err);
int erofs_file_data(
	struct erofs_writer *w, uint64_t offset, const uint8_t *bytes, size_t n, struct error *err);
int erofs_file_end(struct erofs_writer *w, struct erofs_inode *inode, struct error *err);

/* Gives up the file begun: what was written of it stays as unused blocks. */
void erofs_file_cancel(struct erofs_writer *w);

uint64_t erofs_writer_bytes(const struct erofs_writer *w); /* size of the file so far */

/* Writes directories, inodes and the superblock. The tree is changed (see struct erofs_inode) and must not
 * have grown a circle. The caller syncs. */
int erofs_writer_finish(struct erofs_writer *w, struct erofs_inode *root, struct error *err);
