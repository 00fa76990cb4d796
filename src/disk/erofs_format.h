/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of the on-disk format (Linux: Documentation/filesystems/erofs.rst), and little-endian access. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define EROFS_MAGIC          0xe0f5e1e2u
#define EROFS_SUPER_OFFSET   1024u
#define EROFS_SUPER_SIZE     128u
#define EROFS_BLOCK_BITS     12u
#define EROFS_SLOT           32u /* node numbers count these from the start of the metadata area */
#define EROFS_INODE_SIZE     64u /* extended */
#define EROFS_DIRENT_SIZE    12u
#define EROFS_XATTR_HEADER   12u
#define EROFS_XATTR_SIZE_MAX (EROFS_XATTR_HEADER + 4u * 65534u)

#define EROFS_COMPAT_CHECKSUM  0x1u
#define EROFS_COMPAT_MTIME     0x2u
#define EROFS_INCOMPAT_CHUNKED 0x4u

/* Bits of an inode's format field: bit 0 extended, bits 1 to 3 the layout. */
#define EROFS_LAYOUT_PLAIN   0u
#define EROFS_LAYOUT_INLINE  2u
#define EROFS_LAYOUT_CHUNKS  4u
#define EROFS_FORMAT(layout) ((uint16_t)(1u | (layout) << 1))

/* Offsets in the superblock. */
enum erofs_super_field {
	EROFS_SUPER_MAGIC = 0,
	EROFS_SUPER_CHECKSUM = 4,
	EROFS_SUPER_COMPAT = 8,
	EROFS_SUPER_BLOCK_BITS = 12,
	EROFS_SUPER_ROOT = 14,
	EROFS_SUPER_INODES = 16,
	EROFS_SUPER_BLOCKS = 36,
	EROFS_SUPER_META = 40,
	EROFS_SUPER_UUID = 48,
	EROFS_SUPER_INCOMPAT = 80
};

/* Offsets in an extended inode. */
enum erofs_inode_field {
	EROFS_INODE_FORMAT = 0,
	EROFS_INODE_XATTRS = 2, /* 0, or 1 + the 4-byte words behind the header */
	EROFS_INODE_MODE = 4,
	EROFS_INODE_BYTES = 8,
	EROFS_INODE_UNION = 16, /* first block, device number or chunk format */
	EROFS_INODE_NUMBER = 20,
	EROFS_INODE_UID = 24,
	EROFS_INODE_GID = 28,
	EROFS_INODE_MTIME = 32,
	EROFS_INODE_MTIME_NS = 40,
	EROFS_INODE_LINKS = 44
};

enum erofs_xattr_index {
	EROFS_XATTR_USER = 1,
	EROFS_XATTR_ACL_ACCESS = 2,
	EROFS_XATTR_ACL_DEFAULT = 3,
	EROFS_XATTR_TRUSTED = 4,
	EROFS_XATTR_SECURITY = 6
};

static inline void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)v);
	put16(p + 2, (uint16_t)(v >> 16));
}

static inline void put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)(v >> 32));
}

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

static inline uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* Prefixes that the format abbreviates; an ACL's whole name is its prefix. */
struct erofs_xattr_prefix {
	const char *text;
	uint8_t index;
};
extern const struct erofs_xattr_prefix erofs_xattr_prefixes[5];

/* The superblock's checksum: CRC-32C (Castagnoli) of all from it to the end of block 0, its own field zero,
 * seeded with all ones and not inverted at the end. */
uint32_t erofs_checksum(const uint8_t *bytes, size_t n);
