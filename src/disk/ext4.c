/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ext4 in a fresh sparse file, empty or with a few files in its root directory.
 *
 * libext2fs lays it out and writes through a channel of ours, which knows that the file began as zeroes:
 * zero blocks are left out and read back as such, so that inode tables, bitmaps and journal cost nothing.
 * Groups are marked as zeroed, so that the guest's kernel starts no thread to do it; there are no backups of
 * the superblock, no checksums of metadata, no room to grow: each would cost the guest time, and the disk
 * lives as long as one sandbox.
 */
#include "disk/ext4.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define BLOCK           4096u
#define BYTES_MIN       (16u << 20)
#define BYTES_MAX       ((uint64_t)1 << 43) /* far below what 32-bit block numbers reach */
#define BYTES_PER_INODE 16384u
#define INODE_BYTES     256u
#define GROUPS_TOGETHER 4u     /* log2: bitmaps and tables of 16 groups lie side by side */
#define JOURNAL_MIN     1024u  /* blocks: the least that the kernel takes */
#define JOURNAL_MAX     16384u /* 64 MiB */
#define JOURNAL_SHARE   64u    /* of the disk, one part in so many */

/* ---- the channel ------------------------------------------------------------------------------------ */

struct channel {
	struct struct_io_channel io;
	int fd;
	errcode_t *failed; /* the first error in writing: libext2fs swallows some */
};

static errcode_t channel_close(io_channel io)
{
	if (--io->refcount == 0)
		free(io);
	return 0;
}

static errcode_t channel_set_block(io_channel io, int size)
{
	io->block_size = size;
	return 0;
}

static errcode_t channel_flush(io_channel io)
{
	(void)io; /* the caller syncs where it wants that */
	return 0;
}

/* A negative count is one of bytes. */
static size_t channel_bytes(io_channel io, int count)
{
	return count < 0 ? (size_t) - (int64_t)count : (size_t)count * (size_t)io->block_size;
}

static off_t channel_offset(io_channel io, unsigned long long block)
{
	return (off_t)(block * (unsigned)io->block_size);
}

static errcode_t read_bytes(int fd, off_t at, char *to, size_t left)
{
	while (left > 0) {
		ssize_t n = pread(fd, to, left, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		to += n;
		at += n;
		left -= (size_t)n;
	}
	return 0;
}

static errcode_t write_bytes(int fd, off_t at, const char *from, size_t left)
{
	while (left > 0) {
		ssize_t n = pwrite(fd, from, left, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		from += n;
		at += n;
		left -= (size_t)n;
	}
	return 0;
}

static bool is_zero(const char *bytes, size_t n)
{
	return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

static errcode_t channel_read(io_channel io, unsigned long long block, int count, void *data)
{
	return read_bytes(
		((struct channel *)io)->fd, channel_offset(io, block), data, channel_bytes(io, count));
}

static errcode_t channel_noted(io_channel io, errcode_t r)
{
	struct channel *c = (struct channel *)io;

	if (r && !*c->failed)
		*c->failed = r;
	return r;
}

static errcode_t channel_write(io_channel io, unsigned long long block, int count, const void *data)
{
	int fd = ((struct channel *)io)->fd;
	size_t left = channel_bytes(io, count);
	off_t at = channel_offset(io, block);
	const char *from = data;
	char old[BLOCK];
	errcode_t r = 0;

	while (r == 0 && left > 0) {
		size_t part = left < BLOCK ? left : BLOCK;
		bool same = false;

		if (is_zero(from, part)) {
			r = read_bytes(fd, at, old, part);
			same = r == 0 && is_zero(old, part);
		}
		if (r == 0 && !same)
			r = write_bytes(fd, at, from, part);
		from += part;
		at += (off_t)part;
		left -= part;
	}
	return channel_noted(io, r);
}

static errcode_t channel_read32(io_channel io, unsigned long block, int count, void *data)
{
	return channel_read(io, block, count, data);
}

static errcode_t channel_write32(io_channel io, unsigned long block, int count, const void *data)
{
	return channel_write(io, block, count, data);
}

static errcode_t channel_write_byte(io_channel io, unsigned long offset, int count, const void *data)
{
	return channel_noted(io, write_bytes(((struct channel *)io)->fd, (off_t)offset, data, (size_t)count));
}

/* Nobody writes a block before he asks for it to be zeroed: it is. */
static errcode_t channel_zero(io_channel io, unsigned long long block, unsigned long long count)
{
	(void)io;
	(void)block;
	(void)count;
	return 0;
}

static errcode_t channel_open(const char *name, int flags, io_channel *out);

/* libext2fs wants a manager that it could change, so each file system has its own copy. */
static const struct struct_io_manager channel_manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "descriptor",
	.open = channel_open,
	.close = channel_close,
	.set_blksize = channel_set_block,
	.read_blk = channel_read32,
	.write_blk = channel_write32,
	.flush = channel_flush,
	.write_byte = channel_write_byte,
	.read_blk64 = channel_read,
	.write_blk64 = channel_write,
	.zeroout = channel_zero,
};

struct opened { /* the name that libext2fs is given points to a struct like this */
	char text[16];
	int fd;
	errcode_t *failed;
	struct struct_io_manager manager;
};

static errcode_t channel_open(const char *name, int flags, io_channel *out)
{
	const struct opened *o = (const void *)name;
	struct channel *c = calloc(1, sizeof *c);

	(void)flags;
	if (!c)
		return ENOMEM;
	c->fd = o->fd;
	c->failed = o->failed;
	c->io = (struct struct_io_channel){.magic = EXT2_ET_MAGIC_IO_CHANNEL,
		.manager = (io_manager)(uintptr_t)&o->manager,
		.block_size = 1024,
		.refcount = 1};
	*out = &c->io;
	return 0;
}

/* ---- the file system -------------------------------------------------------------------------------- */

CLEANUP_DEFINE(filesystem, struct struct_ext2_filsys, ext2fs_free);

/* libext2fs passes errno on; its own codes are large. */
static int library_error(struct error *err, errcode_t code)
{
	if (code == EXT2_ET_NO_MEMORY)
		return error_no_memory(err, "make an ext4 file system");
	if (code < 4096)
		return error_errno(err, (int)code, "make an ext4 file system");
	return error_set(err, ERROR_SYSTEM, "make an ext4 file system: libext2fs: error %ld", (long)code);
}

static struct ext2_super_block parameters(uint64_t size, bool journal)
{
	struct ext2_super_block s = {.s_blocks_count = (uint32_t)(size / BLOCK),
		.s_log_block_size = 2,
		.s_log_cluster_size = 2,
		.s_rev_level = EXT2_DYNAMIC_REV,
		.s_inode_size = INODE_BYTES,
		.s_min_extra_isize = 32,
		.s_want_extra_isize = 32,
		.s_log_groups_per_flex = GROUPS_TOGETHER,
		.s_inodes_count = (uint32_t)(size / BYTES_PER_INODE),
		.s_feature_compat = EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_DIR_INDEX |
				    EXT4_FEATURE_COMPAT_SPARSE_SUPER2,
		.s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS |
				      EXT4_FEATURE_INCOMPAT_FLEX_BG,
		.s_feature_ro_compat = EXT2_FEATURE_RO_COMPAT_LARGE_FILE | EXT4_FEATURE_RO_COMPAT_HUGE_FILE |
				       EXT4_FEATURE_RO_COMPAT_GDT_CSUM | EXT4_FEATURE_RO_COMPAT_DIR_NLINK |
				       EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE};

	if (journal)
		s.s_feature_compat |= EXT3_FEATURE_COMPAT_HAS_JOURNAL;
	return s;
}

static int fill_superblock(struct ext2_super_block *s, struct error *err)
{
	if (getrandom(s->s_uuid, sizeof s->s_uuid, 0) < 0 ||
		getrandom(s->s_hash_seed, sizeof s->s_hash_seed, 0) < 0)
		return error_errno(err, errno, "get random bytes");
	s->s_uuid[6] = (uint8_t)((s->s_uuid[6] & 0x0f) | 0x40); /* RFC 9562: random */
	s->s_uuid[8] = (uint8_t)((s->s_uuid[8] & 0x3f) | 0x80);
	s->s_def_hash_version = EXT2_HASH_HALF_MD4;
	s->s_flags |= EXT2_FLAGS_SIGNED_HASH;
	s->s_default_mount_opts = EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
	s->s_max_mnt_count = -1; /* never ask for a check */
	s->s_checkinterval = 0;
	return 0;
}

static void reserve_inodes(ext2_filsys fs)
{
	for (ext2_ino_t i = 1; i < EXT2_FIRST_INODE(fs->super); i++)
		if (i != EXT2_ROOT_INO)
			ext2fs_inode_alloc_stats2(fs, i, 1, 0);
}

static errcode_t make_directories(ext2_filsys fs)
{
	struct ext2_inode inode;
	errcode_t r = ext2fs_mkdir(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, NULL);

	if (r == 0)
		r = ext2fs_read_inode(fs, EXT2_ROOT_INO, &inode);
	if (r)
		return r;
	inode.i_mode = S_IFDIR | 0755;
	inode.i_uid = inode.i_gid = 0;
	reserve_inodes(fs);
	return ext2fs_write_inode(fs, EXT2_ROOT_INO, &inode);
}

static errcode_t write_bytes_of(ext2_filsys fs, ext2_ino_t number, const struct ext4_entry *e)
{
	ext2_file_t file;
	unsigned left = (unsigned)e->size, n;
	const uint8_t *from = e->bytes;
	errcode_t r = ext2fs_file_open(fs, number, EXT2_FILE_WRITE, &file), closed;

	if (r)
		return r;
	while (r == 0 && left > 0) {
		r = ext2fs_file_write(file, from, left, &n);
		from += n;
		left -= n;
	}
	closed = ext2fs_file_close(file);
	return r ? r : closed;
}

static errcode_t make_file(ext2_filsys fs, const struct ext4_entry *e)
{
	struct ext2_inode inode = {.i_mode = (uint16_t)e->mode, .i_links_count = 1};
	ext2_extent_handle_t handle;
	ext2_ino_t number;
	errcode_t r = ext2fs_new_inode(fs, EXT2_ROOT_INO, (int)e->mode, NULL, &number);

	if (r == 0)
		r = ext2fs_link(fs, EXT2_ROOT_INO, e->name, number, EXT2_FT_REG_FILE);
	if (r)
		return r;
	ext2fs_inode_alloc_stats2(fs, number, 1, 0);
	r = ext2fs_extent_open2(fs, number, &inode, &handle); /* makes it one with extents */
	if (r)
		return r;
	ext2fs_extent_free(handle);
	r = ext2fs_inode_size_set(fs, &inode, (ext2_off64_t)e->size);
	if (r == 0)
		r = ext2fs_write_new_inode(fs, number, &inode);
	return r ? r : write_bytes_of(fs, number, e);
}

static errcode_t make_entries(ext2_filsys fs, const struct ext4_options *options)
{
	errcode_t r = 0;

	for (size_t i = 0; r == 0 && i < options->entry_count; i++) {
		const struct ext4_entry *e = &options->entries[i];

		if ((e->mode & S_IFMT) == S_IFDIR)
			r = ext2fs_mkdir(fs, EXT2_ROOT_INO, 0, e->name);
		else
			r = e->size > UINT32_MAX ? EFBIG : make_file(fs, e);
	}
	return r;
}

static errcode_t make_journal(ext2_filsys fs, uint64_t size)
{
	uint64_t blocks = size / BLOCK / JOURNAL_SHARE;

	blocks = blocks < JOURNAL_MIN ? JOURNAL_MIN : blocks > JOURNAL_MAX ? JOURNAL_MAX : blocks;
	return ext2fs_add_journal_inode(
		fs, (blk_t)blocks, EXT2_MKJOURNAL_LAZYINIT | EXT2_MKJOURNAL_NO_MNT_CHECK);
}

static void mark_zeroed(ext2_filsys fs)
{
	for (dgrp_t g = 0; g < fs->group_desc_count; g++) {
		ext2fs_bg_flags_set(fs, g, EXT2_BG_INODE_ZEROED);
		ext2fs_group_desc_csum_set(fs, g);
	}
	ext2fs_mark_super_dirty(fs);
}

int ext4_create(int fd, const struct ext4_options *options, struct error *err)
{
	struct ext2_super_block s = parameters(options->size, options->journal);
	errcode_t failed = 0;
	struct opened opened = {.text = "disk", .fd = fd, .failed = &failed, .manager = channel_manager};
	_cleanup_(cleanup_filesystem) ext2_filsys fs = NULL;
	char text[16];
	errcode_t r;

	if (options->size < BYTES_MIN || options->size > BYTES_MAX || options->size % BLOCK)
		return error_set(err, ERROR_INVALID,
			"make an ext4 file system of %s: it must be 16 MiB to 8 TiB, in steps of 4 KiB",
			text_human_size(options->size, text, sizeof text));
	if (ftruncate(fd, (off_t)options->size) < 0)
		return error_errno(err, errno, "make an ext4 file system");
	r = ext2fs_initialize((const char *)&opened, EXT2_FLAG_64BITS, &s, &opened.manager, &fs);
	if (r)
		return library_error(err, r);
	if (fill_superblock(fs->super, err) < 0)
		return -ERROR_SYSTEM;
	r = ext2fs_allocate_tables(fs);
	if (r == 0)
		r = make_directories(fs);
	if (r == 0)
		r = make_entries(fs, options);
	if (r == 0 && options->journal)
		r = make_journal(fs, options->size);
	if (r)
		return library_error(err, r);
	mark_zeroed(fs);
	r = ext2fs_close_free(&fs);
	r = r ? r : failed;
	return r ? library_error(err, r) : 0;
}
