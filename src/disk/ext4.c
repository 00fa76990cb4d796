/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ext4 in a fresh sparse file, empty or with a few files in its root directory.
 *
 * libext2fs lays it out and writes through a channel of ours (ext4_channel.c), so that what is zero costs
 * nothing. Groups are marked as zeroed, so that the guest's kernel starts no thread to do it; there are no
 * backups of the superblock, no checksums of metadata, no room to grow: each would cost the guest time, and
 * the disk lives as long as one sandbox.
 */
#include "disk/ext4.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "disk/ext4_parts.h"

#define BYTES_PER_INODE 16384u
#define INODE_BYTES     256u
#define GROUPS_TOGETHER 4u /* log2: bitmaps and tables of 16 groups lie side by side */
#define JOURNAL_BYTES \
	16 /* where the superblock has its size, of the words of its inode that are kept there */
#define JOURNAL_MIN   1024u  /* blocks: the least that the kernel takes */
#define JOURNAL_MAX   16384u /* 64 MiB */
#define JOURNAL_SHARE 64u    /* of the disk, one part in so many */

/* ---- the shape -------------------------------------------------------------------------------------- */

/* libext2fs passes errno on; its own codes are large. */
int ext4_error(struct error *err, errcode_t code)
{
	if (code == EXT2_ET_NO_MEMORY)
		return error_no_memory(err, "make an ext4 file system");
	if (code < 4096)
		return error_errno(err, (int)code, "make an ext4 file system");
	return error_set(err, ERROR_SYSTEM, "make an ext4 file system: libext2fs: error %ld", (long)code);
}

static struct ext2_super_block parameters(const struct ext4_shape *shape)
{
	struct ext2_super_block s = {.s_blocks_count = (uint32_t)(shape->size / EXT4_BLOCK),
		.s_log_block_size = 2,
		.s_log_cluster_size = 2,
		.s_rev_level = EXT2_DYNAMIC_REV,
		.s_inode_size = INODE_BYTES,
		.s_min_extra_isize = EXT4_EXTRA_BYTES,
		.s_want_extra_isize = EXT4_EXTRA_BYTES,
		.s_log_groups_per_flex = GROUPS_TOGETHER,
		.s_inodes_count = shape->inodes,
		.s_feature_compat = EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_DIR_INDEX |
				    EXT4_FEATURE_COMPAT_SPARSE_SUPER2,
		.s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS |
				      EXT4_FEATURE_INCOMPAT_FLEX_BG,
		.s_feature_ro_compat = EXT2_FEATURE_RO_COMPAT_LARGE_FILE | EXT4_FEATURE_RO_COMPAT_HUGE_FILE |
				       EXT4_FEATURE_RO_COMPAT_GDT_CSUM | EXT4_FEATURE_RO_COMPAT_DIR_NLINK |
				       EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE};

	if (shape->journal)
		s.s_feature_compat |= EXT3_FEATURE_COMPAT_HAS_JOURNAL;
	return s;
}

static int random_names(struct ext2_super_block *s, struct error *err)
{
	if (getrandom(s->s_uuid, sizeof s->s_uuid, 0) < 0 ||
		getrandom(s->s_hash_seed, sizeof s->s_hash_seed, 0) < 0)
		return error_errno(err, errno, "get random bytes");
	s->s_uuid[6] = (uint8_t)((s->s_uuid[6] & 0x0f) | 0x40); /* RFC 9562: random */
	s->s_uuid[8] = (uint8_t)((s->s_uuid[8] & 0x3f) | 0x80);
	return 0;
}

/* So that the same input gives the same bytes. */
static void fixed_names(ext2_filsys fs, const uint8_t *uuid)
{
	struct ext2_super_block *s = fs->super;

	memcpy(s->s_uuid, uuid, sizeof s->s_uuid);
	memcpy(s->s_hash_seed, uuid, sizeof s->s_hash_seed);
	fs->now = 1; /* 0 would be the clock's */
	s->s_mkfs_time = s->s_wtime = s->s_lastcheck = 1;
}

static int fill_superblock(ext2_filsys fs, const uint8_t *uuid, struct error *err)
{
	struct ext2_super_block *s = fs->super;

	if (uuid)
		fixed_names(fs, uuid);
	else if (random_names(s, err) < 0)
		return -ERROR_SYSTEM;
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

int ext4_begin(struct ext4_channel *c, const struct ext4_shape *shape, ext2_filsys *out, struct error *err)
{
	struct ext2_super_block s = parameters(shape);
	_cleanup_(cleanup_filesystem) ext2_filsys fs = NULL;
	errcode_t r;

	if (ftruncate(c->fd, (off_t)shape->size) < 0)
		return error_errno(err, errno, "make an ext4 file system");
	r = ext2fs_initialize((const char *)c, EXT2_FLAG_64BITS, &s, &c->manager, &fs);
	if (r)
		return ext4_error(err, r);
	if (fill_superblock(fs, shape->uuid, err) < 0)
		return -ERROR_SYSTEM;
	r = ext2fs_allocate_tables(fs);
	if (r)
		return ext4_error(err, r);
	reserve_inodes(fs);
	*out = TAKE_PTR(fs);
	return 0;
}

/* As the kernel counts it (Linux, fs/ext4/super.c: count_overhead()), which else writes it as it mounts the
 * file system for the first time. */
static uint32_t overhead(ext2_filsys fs)
{
	uint32_t n = fs->super->s_first_data_block + fs->super->s_jnl_blocks[JOURNAL_BYTES] / EXT4_BLOCK;

	for (dgrp_t g = 0; g < fs->group_desc_count; g++)
		n += fs->inode_blocks_per_group + 2 +
		     (ext2fs_bg_has_super(fs, (int)g) ? 1 + (uint32_t)fs->desc_blocks : 0);
	return n;
}

static void mark_zeroed(ext2_filsys fs)
{
	for (dgrp_t g = 0; g < fs->group_desc_count; g++) {
		ext2fs_bg_flags_set(fs, g, EXT2_BG_INODE_ZEROED);
		ext2fs_group_desc_csum_set(fs, g);
	}
	fs->super->s_overhead_clusters = overhead(fs);
	ext2fs_mark_super_dirty(fs);
}

int ext4_end(struct ext4_channel *c, ext2_filsys *fs, struct error *err)
{
	errcode_t r;

	mark_zeroed(*fs);
	r = ext2fs_close_free(fs);
	r = r ? r : c->failed;
	return r ? ext4_error(err, r) : 0;
}

/* ---- a disk ----------------------------------------------------------------------------------------- */

static errcode_t make_root(ext2_filsys fs)
{
	struct ext2_inode inode;
	errcode_t r = ext2fs_mkdir(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, NULL);

	if (r == 0)
		r = ext2fs_read_inode(fs, EXT2_ROOT_INO, &inode);
	if (r)
		return r;
	inode.i_mode = S_IFDIR | 0755;
	inode.i_uid = inode.i_gid = 0;
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
	uint64_t blocks = size / EXT4_BLOCK / JOURNAL_SHARE;

	blocks = blocks < JOURNAL_MIN ? JOURNAL_MIN : blocks > JOURNAL_MAX ? JOURNAL_MAX : blocks;
	return ext2fs_add_journal_inode(
		fs, (blk_t)blocks, EXT2_MKJOURNAL_LAZYINIT | EXT2_MKJOURNAL_NO_MNT_CHECK);
}

int ext4_create(int fd, const struct ext4_options *options, struct error *err)
{
	const struct ext4_shape shape = {.size = options->size,
		.inodes = (uint32_t)(options->size / BYTES_PER_INODE),
		.journal = options->journal};
	_cleanup_(cleanup_filesystem) ext2_filsys fs = NULL;
	struct ext4_channel channel;
	char text[16];
	errcode_t failed;
	int r;

	if (options->size < EXT4_BYTES_MIN || options->size > EXT4_BYTES_MAX || options->size % EXT4_BLOCK)
		return error_set(err, ERROR_INVALID,
			"make an ext4 file system of %s: it must be 16 MiB to 8 TiB, in steps of 4 KiB",
			text_human_size(options->size, text, sizeof text));
	ext4_channel_init(&channel, fd);
	r = ext4_begin(&channel, &shape, &fs, err);
	if (r < 0)
		return r;
	failed = make_root(fs);
	if (failed == 0)
		failed = make_entries(fs, options);
	if (failed == 0 && options->journal)
		failed = make_journal(fs, options->size);
	return failed ? ext4_error(err, failed) : ext4_end(&channel, &fs, err);
}
