/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/erofs_reader.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/erofs.h"
#include "disk/erofs_format.h"

static int damaged(struct error *err, const char *what, uint64_t nid)
{
	return error_set(
		err, ERROR_CORRUPT, "EROFS image: bad %s at node %llu", what, (unsigned long long)nid);
}

static int read_at(const struct erofs_reader *r, uint64_t at, void *out, size_t n, struct error *err)
{
	uint8_t *to = out;

	if (at > r->size || n > r->size - at)
		return error_set(
			err, ERROR_CORRUPT, "EROFS image: it ends before byte %llu", (unsigned long long)at);
	while (n > 0) {
		ssize_t got = pread(r->fd, to, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, errno, "read an EROFS image");
		if (got == 0)
			return error_set(err, ERROR_CORRUPT, "EROFS image: it became shorter");
		to += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

int erofs_reader_open(int fd, struct erofs_reader *r, struct error *err)
{
	uint8_t block[EROFS_BLOCK], *super = block + EROFS_SUPER_OFFSET;
	uint32_t sum;
	struct stat s;
	int done;

	if (fstat(fd, &s) < 0)
		return error_errno(err, errno, "read an EROFS image");
	*r = (struct erofs_reader){.fd = fd, .size = (uint64_t)s.st_size};
	done = read_at(r, 0, block, sizeof block, err);
	if (done < 0)
		return done;
	sum = get32(super + EROFS_SUPER_CHECKSUM);
	put32(super + EROFS_SUPER_CHECKSUM, 0);
	if (get32(super) != EROFS_MAGIC || super[EROFS_SUPER_BLOCK_BITS] != EROFS_BLOCK_BITS ||
		erofs_checksum(super, EROFS_BLOCK - EROFS_SUPER_OFFSET) != sum ||
		get32(super + EROFS_SUPER_INCOMPAT) & ~EROFS_INCOMPAT_CHUNKED)
		return error_set(
			err, ERROR_CORRUPT, "not an EROFS image of ours, or its superblock is damaged");
	if ((uint64_t)get32(super + EROFS_SUPER_BLOCKS) * EROFS_BLOCK != r->size)
		return error_set(err, ERROR_CORRUPT, "EROFS image: its size is not what its superblock says");
	r->meta = (uint64_t)get32(super + EROFS_SUPER_META) * EROFS_BLOCK;
	r->root = get16(super + EROFS_SUPER_ROOT);
	r->inodes = get64(super + EROFS_SUPER_INODES);
	memcpy(r->uuid, super + EROFS_SUPER_UUID, sizeof r->uuid);
	return 0;
}

static int decode_layout(struct erofs_stat *s, uint16_t format, uint32_t word, struct error *err)
{
	s->layout = format >> 1;
	if (!(format & 1) || (s->layout != EROFS_LAYOUT_PLAIN && s->layout != EROFS_LAYOUT_INLINE &&
				     s->layout != EROFS_LAYOUT_CHUNKS))
		return damaged(err, "format", s->nid);
	if (s->layout == EROFS_LAYOUT_CHUNKS) {
		if (!S_ISREG(s->mode) || word & ~0x1fu)
			return damaged(err, "chunk format", s->nid);
		s->chunk_bits = word;
	} else if (S_ISCHR(s->mode) || S_ISBLK(s->mode)) {
		s->device_major = word >> 8 & 0xfff;
		s->device_minor = (word & 0xff) | (word >> 12 & 0xfff00);
	} else {
		s->start = (uint64_t)word * EROFS_BLOCK;
	}
	if (s->layout == EROFS_LAYOUT_INLINE && (s->tail % EROFS_BLOCK) + s->size % EROFS_BLOCK > EROFS_BLOCK)
		return damaged(err, "inline data", s->nid);
	return 0;
}

int erofs_reader_stat(const struct erofs_reader *r, uint64_t nid, struct erofs_stat *s, struct error *err)
{
	uint8_t b[EROFS_INODE_SIZE];
	uint64_t at;
	uint16_t words;
	int done;

	if (__builtin_mul_overflow(nid, (uint64_t)EROFS_SLOT, &at) ||
		__builtin_add_overflow(at, r->meta, &at))
		return damaged(err, "number", nid);
	done = read_at(r, at, b, sizeof b, err);
	if (done < 0)
		return done;
	words = get16(b + EROFS_INODE_XATTRS);
	*s = (struct erofs_stat){.nid = nid,
		.mode = get16(b + EROFS_INODE_MODE),
		.uid = get32(b + EROFS_INODE_UID),
		.gid = get32(b + EROFS_INODE_GID),
		.links = get32(b + EROFS_INODE_LINKS),
		.size = get64(b + EROFS_INODE_BYTES),
		.mtime = (int64_t)get64(b + EROFS_INODE_MTIME),
		.mtime_nanoseconds = get32(b + EROFS_INODE_MTIME_NS),
		.xattrs = at + EROFS_INODE_SIZE,
		.xattrs_size = words ? EROFS_XATTR_HEADER + (words - 1u) * 4u : 0};
	s->tail = s->xattrs + s->xattrs_size;
	if (s->size > INT64_MAX)
		return damaged(err, "size", nid);
	return decode_layout(s, get16(b + EROFS_INODE_FORMAT), get32(b + EROFS_INODE_UNION), err);
}

/* Where the bytes at `offset` lie: *at in the image, *run of them together; *hole: they are zeroes. */
static int map_offset(const struct erofs_reader *r, const struct erofs_stat *s, uint64_t offset, uint64_t *at,
	uint64_t *run, bool *hole, struct error *err)
{
	uint64_t left = s->size - offset, chunk, whole = s->size & ~(uint64_t)(EROFS_BLOCK - 1);
	uint8_t word[4];
	int done;

	*hole = false;
	if (s->layout != EROFS_LAYOUT_CHUNKS) {
		bool tail = s->layout == EROFS_LAYOUT_INLINE && offset >= whole;

		*run = s->layout == EROFS_LAYOUT_INLINE && !tail ? whole - offset : left;
		*at = tail ? s->tail + offset - whole : s->start + offset;
		return 0;
	}
	chunk = (uint64_t)EROFS_BLOCK << s->chunk_bits;
	done = read_at(r, s->tail + offset / chunk * 4, word, sizeof word, err);
	*run = chunk - offset % chunk;
	*run = *run < left ? *run : left;
	*hole = get32(word) == EROFS_HOLE;
	*at = (uint64_t)get32(word) * EROFS_BLOCK + offset % chunk;
	return done;
}

int64_t erofs_reader_read(const struct erofs_reader *r, const struct erofs_stat *s, uint64_t offset,
	void *out, size_t n, struct error *err)
{
	size_t done = 0;

	if (offset >= s->size)
		return 0;
	n = n < s->size - offset ? n : (size_t)(s->size - offset);
	while (done < n) {
		uint64_t at = 0, run = 0;
		bool hole = false;
		int result = map_offset(r, s, offset + done, &at, &run, &hole, err);
		size_t part = run < n - done ? (size_t)run : n - done;

		if (result < 0)
			return result;
		if (hole)
			memset((uint8_t *)out + done, 0, part);
		else
			result = read_at(r, at, (uint8_t *)out + done, part, err);
		if (result < 0)
			return result;
		done += part;
	}
	return (int64_t)done;
}

int erofs_reader_data(const struct erofs_reader *r, const struct erofs_stat *s, uint64_t *start,
	uint64_t *end, struct error *err)
{
	uint64_t offset = *start, at, run;
	bool hole;

	*start = *end = s->size;
	for (; offset < s->size; offset += run) {
		int done = map_offset(r, s, offset, &at, &run, &hole, err);

		if (done < 0)
			return done;
		if (!hole && *start == s->size)
			*start = offset;
		if (hole && *start < s->size) {
			*end = offset;
			break;
		}
	}
	return 0;
}

static int list_block(const uint8_t *block, size_t n, uint64_t nid, erofs_entry_call entry, void *context,
	struct error *err)
{
	size_t first = n >= EROFS_DIRENT_SIZE ? get16(block + 8) : 0, count = first / EROFS_DIRENT_SIZE;

	if (count == 0 || first % EROFS_DIRENT_SIZE || first >= n)
		return damaged(err, "directory", nid);
	for (size_t i = 0; i < count; i++) {
		const uint8_t *dirent = block + i * EROFS_DIRENT_SIZE;
		size_t from = get16(dirent + 8),
		       to = i + 1 < count ? get16(dirent + EROFS_DIRENT_SIZE + 8) : n;
		int r;

		if (from < first || to > n || to <= from)
			return damaged(err, "name", nid);
		if (i + 1 == count)
			to = from + strnlen((const char *)block + from, n - from);
		if (to == from || to - from > EROFS_NAME_MAX)
			return damaged(err, "name", nid);
		r = entry(context, (const char *)block + from, to - from, get64(dirent), dirent[10]);
		if (r)
			return r;
	}
	return 0;
}

int erofs_reader_list(const struct erofs_reader *r, const struct erofs_stat *directory,
	erofs_entry_call entry, void *context, struct error *err)
{
	uint8_t block[EROFS_BLOCK];

	if (!S_ISDIR(directory->mode))
		return damaged(err, "directory", directory->nid);
	for (uint64_t at = 0; at < directory->size; at += EROFS_BLOCK) {
		int64_t n = erofs_reader_read(r, directory, at, block, sizeof block, err);
		int done = n < 0 ? (int)n : list_block(block, (size_t)n, directory->nid, entry, context, err);

		if (done)
			return done;
	}
	return 0;
}

struct search {
	const char *name;
	size_t size;
	uint64_t nid;
};

static int compare_entry(void *context, const char *name, size_t n, uint64_t nid, uint8_t type)
{
	struct search *s = context;

	(void)type;
	if (n != s->size || memcmp(name, s->name, n) != 0)
		return 0;
	s->nid = nid;
	return 1;
}

int erofs_reader_find(const struct erofs_reader *r, const char *path, struct erofs_stat *s, struct error *err)
{
	int done = erofs_reader_stat(r, r->root, s, err);

	while (done >= 0) {
		struct search search = {.name = path + strspn(path, "/")};

		search.size = strcspn(search.name, "/");
		if (!search.size)
			return 0;
		path = search.name + search.size;
		if (!S_ISDIR(s->mode))
			return error_set(err, ERROR_NOT_FOUND, "%.*s: not in the image", (int)search.size,
				search.name);
		done = erofs_reader_list(r, s, compare_entry, &search, err);
		if (done == 0)
			return error_set(err, ERROR_NOT_FOUND, "%.*s: not in the image", (int)search.size,
				search.name);
		if (done > 0)
			done = erofs_reader_stat(r, search.nid, s, err);
	}
	return done;
}

static const char *prefix_of(uint8_t index)
{
	for (size_t i = 0; i < sizeof erofs_xattr_prefixes / sizeof *erofs_xattr_prefixes; i++)
		if (erofs_xattr_prefixes[i].index == index)
			return erofs_xattr_prefixes[i].text;
	return NULL;
}

int erofs_reader_xattrs(const struct erofs_reader *r, const struct erofs_stat *s, erofs_xattr_call xattr,
	void *context, struct error *err)
{
	_cleanup_buffer_ struct buffer b = {0};
	size_t at = EROFS_XATTR_HEADER;
	int done;

	if (!s->xattrs_size)
		return 0;
	if (!buffer_reserve(&b, s->xattrs_size))
		return error_no_memory(err, "extended attributes");
	done = read_at(r, s->xattrs, b.data, s->xattrs_size, err);
	if (done < 0)
		return done;
	if (b.data[4])
		return damaged(err, "shared attribute", s->nid);
	while (at < s->xattrs_size) {
		char name[sizeof "system.posix_acl_default" + EROFS_NAME_MAX];
		size_t left = s->xattrs_size - at, name_size = b.data[at], size = get16(b.data + at + 2);
		const char *prefix = prefix_of(b.data[at + 1]);

		if (!prefix || 4 + name_size + size > left)
			return damaged(err, "attribute", s->nid);
		memset(name, 0, sizeof name);
		memcpy(name, prefix, strlen(prefix));
		memcpy(name + strlen(prefix), b.data + at + 4, name_size);
		done = xattr(context, name, b.data + at + 4 + name_size, size);
		if (done)
			return done;
		at += (4 + name_size + size + 3) & ~(size_t)3;
	}
	return 0;
}
