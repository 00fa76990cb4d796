/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads EROFS images of the form that our writer makes: blocks of 4,096 bytes, extended inodes, nothing
 * compressed. The image may be hostile: every number is checked, and no call takes more memory than what
 * it returns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

struct erofs_reader {
	int fd; /* borrowed */
	uint64_t size;
	uint64_t meta; /* byte where the metadata area starts */
	uint64_t root;
	uint64_t inodes;
	uint8_t uuid[16];
};

struct erofs_stat {
	uint64_t nid;
	uint32_t mode, uid, gid, links;
	uint64_t size;
	int64_t mtime;
	uint32_t mtime_nanoseconds;
	uint32_t device_major, device_minor;
	/* how the data lie */
	unsigned layout, chunk_bits;
	uint64_t start, tail; /* bytes: of the first block, of what stands behind the inode */
	uint64_t xattrs;      /* byte of the attributes */
	uint32_t xattrs_size;
};

int erofs_reader_open(int fd, struct erofs_reader *r, struct error *err); /* checks the superblock */
int erofs_reader_stat(const struct erofs_reader *r, uint64_t nid, struct erofs_stat *s, struct error *err);

/* At most n bytes at `offset`; less only at the end of the file. Returns the number, or an error. */
int64_t erofs_reader_read(const struct erofs_reader *r, const struct erofs_stat *s, uint64_t offset,
	void *out, size_t n, struct error *err);

/* The first data at or behind *start, which gets where they begin; *end: where they end. Both become the
 * file's size where there are none: all else are holes. */
int erofs_reader_data(const struct erofs_reader *r, const struct erofs_stat *s, uint64_t *start,
	uint64_t *end, struct error *err);

/* Calls `entry` for every name of a directory, "." and ".." too, in the order on disk, until it returns
 * something but 0, which is returned. */
typedef int (*erofs_entry_call)(void *context, const char *name, size_t n, uint64_t nid, uint8_t type);
int erofs_reader_list(const struct erofs_reader *r, const struct erofs_stat *directory,
	erofs_entry_call entry, void *context, struct error *err);

/* The file at `path` from the root on; links are not followed. */
int erofs_reader_find(
	const struct erofs_reader *r, const char *path, struct erofs_stat *s, struct error *err);

/* Calls `xattr` for every attribute with its full name. */
typedef int (*erofs_xattr_call)(void *context, const char *name, const uint8_t *value, size_t n);
int erofs_reader_xattrs(const struct erofs_reader *r, const struct erofs_stat *s, erofs_xattr_call xattr,
	void *context, struct error *err);
