/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ext4 of all that an EROFS image holds, for guests whose kernel has no EROFS.
 *
 * The tree is walked twice, directory by directory, the same way: first to learn how large the file system
 * has to be, then to make it. In memory are the directories still to come and the numbers of files with
 * several names; data and directories go through a buffer of 64 KiB and of a block. Each run of data gets
 * blocks in a row, and what is a hole there is one here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "disk/erofs_format.h"
#include "disk/erofs_reader.h"
#include "disk/ext4.h"
#include "disk/ext4_parts.h"

#define PIECE             65536u
#define INODES_PER_BLOCK  16u
#define RUN_MAX           32768u /* blocks of one extent */
#define EXTENTS_PER_BLOCK 300u   /* at least; a split leaves nodes that are not full */
#define EXTENTS_IN_INODE  4u
#define FILE_MAX          ((uint64_t)UINT32_MAX * EXT4_BLOCK)
#define DIRECTORY_MAX     ((uint64_t)1 << 19) /* blocks: 2 GiB */
#define LINKS_MAX         65000u
#define XATTR_INODE_MIN   2048u /* a value of more than this has an inode of its own */
#define FAST_LINK         60u   /* a shorter target lies in the inode */
#define DOTS              24u   /* bytes of "." and ".." */
#define RECORD(name_size) (((unsigned)(name_size) + 8 + 3) & ~3u)
#define SECONDS_MIN       INT32_MIN
#define SECONDS_MAX       (((int64_t)1 << 34) + INT32_MIN - 1)
#define FIRST_INODE       11u
#define ACL_XATTR_VERSION 2u
#define SUPER_AT          1024 /* of the file; the offsets that follow are of the superblock */
#define SUPER_BYTES       64u
#define SUPER_BLOCKS      4u
#define SUPER_MAGIC       56u
#define ACL_DISK_VERSION  1u

struct folder { /* a directory still to be made */
	uint64_t nid;
	ext2_ino_t number, parent;
};

struct tree {
	const struct erofs_reader *from;
	ext2_filsys fs; /* NULL: it is being measured */
	struct error *err;
	struct map links; /* node numbers of files with several names, to inode numbers */
	struct folder *queue;
	size_t at, count, capacity;
	uint64_t seen; /* inodes of the image so far */
	ext2_ino_t next;
	uint64_t data;           /* bytes, when measured */
	uint64_t blocks, inodes; /* that the file system has to have room for */
	uint64_t goal;           /* where the next block may be */
	uint8_t piece[PIECE];
};

static int damaged(struct tree *t, const char *what)
{
	return error_set(t->err, ERROR_CORRUPT, "make an ext4 of an EROFS image: %s", what);
}

static int cannot_hold(struct tree *t, const char *what)
{
	return error_set(t->err, ERROR_LIMIT, "make an ext4 of an EROFS image: it cannot hold %s", what);
}

static int checked(struct tree *t, errcode_t r)
{
	if (r == EXT2_ET_EA_NO_SPACE)
		return cannot_hold(t, "so many extended attributes of one file");
	return r ? ext4_error(t->err, r) : 0;
}

static void tree_end(struct tree *t)
{
	map_free(&t->links);
	free(t->queue);
}

/* ---- runs of blocks --------------------------------------------------------------------------------- */

/* The blocks of one inode, in rising order. */
struct stream {
	struct tree *tree;
	ext2_ino_t number;
	struct ext2_inode *inode;
	ext2_extent_handle_t extents;
	uint64_t logical;            /* of the block that comes next */
	uint64_t expected;           /* blocks that follow it in a row */
	uint64_t physical, allotted; /* where it goes, and how many blocks are free for it there */
};

static void stream_close(struct stream *s)
{
	if (s->extents)
		ext2fs_extent_free(s->extents);
}

static int stream_open(struct stream *s, struct tree *t, ext2_ino_t number, struct ext2_inode *inode)
{
	*s = (struct stream){.tree = t, .number = number, .inode = inode};
	return checked(t, ext2fs_extent_open2(t->fs, number, inode, &s->extents));
}

/* `blocks` will be put from block `logical` of the file on. */
static void stream_expect(struct stream *s, uint64_t logical, uint64_t blocks)
{
	s->logical = logical;
	s->expected = blocks;
	s->allotted = 0;
}

static int stream_allot(struct stream *s)
{
	struct tree *t = s->tree;
	blk64_t start, n;
	errcode_t r = ext2fs_new_range(
		t->fs, 0, t->goal, s->expected < RUN_MAX ? s->expected : RUN_MAX, NULL, &start, &n);
	struct ext2fs_extent extent;

	if (r == 0) {
		n = n < s->expected ? n : s->expected;
		n = n < RUN_MAX ? n : RUN_MAX;
		extent = (struct ext2fs_extent){.e_pblk = start, .e_lblk = s->logical, .e_len = (uint32_t)n};
		ext2fs_block_alloc_stats_range(t->fs, start, (blk_t)n, 1);
		r = ext2fs_extent_insert(s->extents, EXT2_EXTENT_INSERT_AFTER, &extent);
	}
	if (r == 0)
		r = ext2fs_iblk_add_blocks(t->fs, s->inode, n);
	if (r)
		return checked(t, r);
	s->physical = start;
	s->allotted = n;
	t->goal = start + n;
	return 0;
}

static int stream_put(struct stream *s, const uint8_t *bytes, uint64_t blocks)
{
	int r = 0;

	while (r == 0 && blocks > 0) {
		uint64_t n;

		if (!s->allotted)
			r = stream_allot(s);
		if (r < 0)
			return r;
		n = blocks < s->allotted ? blocks : s->allotted;
		r = checked(s->tree, io_channel_write_blk64(s->tree->fs->io, s->physical, (int)n, bytes));
		bytes += n * EXT4_BLOCK;
		blocks -= n;
		s->logical += n;
		s->expected -= n;
		s->physical += n;
		s->allotted -= n;
	}
	return r;
}

/* ---- inodes ----------------------------------------------------------------------------------------- */

static void set_times(struct ext2_inode_large *i, const struct erofs_stat *s)
{
	int64_t at = s->mtime;
	uint32_t extra, nanoseconds = s->mtime_nanoseconds;

	if (at < SECONDS_MIN || at > SECONDS_MAX) {
		at = at < 0 ? SECONDS_MIN : SECONDS_MAX;
		nanoseconds = 0;
	}
	extra = (uint32_t)((at - (int32_t)at) >> 32 & 3) | nanoseconds << 2;
	i->i_atime = i->i_ctime = i->i_mtime = i->i_crtime = (uint32_t)at;
	i->i_atime_extra = i->i_ctime_extra = i->i_mtime_extra = i->i_crtime_extra = extra;
}

static void set_device(struct ext2_inode_large *i, const struct erofs_stat *s)
{
	uint32_t major = s->device_major, minor = s->device_minor;

	if (major < 256 && minor < 256)
		i->i_block[0] = major << 8 | minor;
	else
		i->i_block[1] = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

static struct ext2_inode_large describe(const struct erofs_stat *s)
{
	struct ext2_inode_large i = {.i_mode = (uint16_t)s->mode,
		.i_uid = (uint16_t)s->uid,
		.i_gid = (uint16_t)s->gid,
		.i_extra_isize = EXT4_EXTRA_BYTES,
		.i_links_count = (uint16_t)s->links};

	i.osd2.linux2.l_i_uid_high = (uint16_t)(s->uid >> 16);
	i.osd2.linux2.l_i_gid_high = (uint16_t)(s->gid >> 16);
	set_times(&i, s);
	if (S_ISCHR(s->mode) || S_ISBLK(s->mode))
		set_device(&i, s);
	if (S_ISDIR(s->mode) && s->links >= LINKS_MAX)
		i.i_links_count = 1; /* feature dir_nlink: more than can be said */
	return i;
}

static void set_size(struct ext2_inode_large *i, uint64_t size)
{
	i->i_size = (uint32_t)size;
	i->i_size_high = (uint32_t)(size >> 32);
}

/* ---- extended attributes ---------------------------------------------------------------------------- */

struct attributes {
	struct tree *tree;
	struct ext2_xattr_handle *handle;
};

/* From the form of the system calls, which EROFS keeps, to that of ext4, which leaves out ids where none is
 * meant. */
static int convert_acl(struct tree *t, const uint8_t *value, size_t n, struct buffer *out)
{
	struct cursor in = cursor_of(value, n);

	if (cursor_u32(&in) != ACL_XATTR_VERSION)
		return damaged(t, "an access control list of another version");
	buffer_u32(out, ACL_DISK_VERSION);
	while (in.left > 0) {
		uint16_t tag = cursor_u16(&in), permissions = cursor_u16(&in);
		uint32_t id = cursor_u32(&in);

		buffer_u16(out, tag);
		buffer_u16(out, permissions);
		if (tag == 2 || tag == 8) /* ACL_USER, ACL_GROUP */
			buffer_u32(out, id);
		else if (tag != 1 && tag != 4 && tag != 16 && tag != 32)
			return damaged(t, "an access control list with an unknown entry");
	}
	if (in.failed)
		return damaged(t, "an access control list that is cut off");
	return out->failed ? error_no_memory(t->err, "access control list") : 0;
}

static int add_attribute(void *context, const char *name, const uint8_t *value, size_t n)
{
	struct attributes *a = context;
	_cleanup_buffer_ struct buffer acl = {0};
	int r = 0;

	if (!strcmp(name, "system.posix_acl_access") || !strcmp(name, "system.posix_acl_default")) {
		r = convert_acl(a->tree, value, n, &acl);
		value = acl.data;
		n = acl.size;
	}
	return r < 0 ? r : checked(a->tree, ext2fs_xattr_set(a->handle, name, value, n));
}

static int set_attributes(struct tree *t, const struct erofs_stat *s, ext2_ino_t number)
{
	struct attributes a = {.tree = t};
	unsigned raw = XATTR_HANDLE_FLAG_RAW;
	int r = checked(t, ext2fs_xattrs_open(t->fs, number, &a.handle));

	if (r < 0)
		return r;
	r = checked(t, ext2fs_xattrs_flags(a.handle, &raw, NULL));
	if (r == 0)
		r = erofs_reader_xattrs(t->from, s, add_attribute, &a, t->err);
	if (r == 0)
		r = checked(t, ext2fs_xattrs_write(a.handle));
	ext2fs_xattrs_close(&a.handle);
	return r;
}

/* Blocks of values that have inodes of their own belong to this one as well: libext2fs forgets to count them.
 */
static int make_attributes(
	struct tree *t, const struct erofs_stat *s, ext2_ino_t number, struct ext2_inode_large *i)
{
	uint64_t sectors = ext2fs_get_stat_i_blocks(t->fs, EXT2_INODE(i));
	uint64_t before = ext2fs_free_blocks_count(t->fs->super);
	errcode_t failed;
	int r = s->xattrs_size ? set_attributes(t, s, number) : 0;

	before -= ext2fs_free_blocks_count(t->fs->super);
	if (r < 0 || before == 0)
		return r;
	failed = ext2fs_read_inode_full(t->fs, number, EXT2_INODE(i), sizeof *i);
	if (failed == 0)
		failed = ext2fs_iblk_set(t->fs, EXT2_INODE(i), sectors / (EXT4_BLOCK / 512) + before);
	return checked(t, failed ? failed : ext2fs_write_inode(t->fs, number, EXT2_INODE(i)));
}

static int write_inode(
	struct tree *t, const struct erofs_stat *s, ext2_ino_t number, struct ext2_inode_large *i)
{
	int r = checked(t, ext2fs_write_inode_full(t->fs, number, EXT2_INODE(i), sizeof *i));

	return r < 0 ? r : make_attributes(t, s, number, i);
}

/* ---- files ------------------------------------------------------------------------------------------ */

/* What lies between two holes; *start is at a block's boundary. */
static int copy_run(struct stream *to, const struct erofs_stat *s, uint64_t start, uint64_t end)
{
	struct tree *t = to->tree;

	stream_expect(to, start / EXT4_BLOCK, (end - start + EXT4_BLOCK - 1) / EXT4_BLOCK);
	while (start < end) {
		size_t n = end - start < PIECE ? (size_t)(end - start) : PIECE;
		size_t whole = (n + EXT4_BLOCK - 1) / EXT4_BLOCK * EXT4_BLOCK;
		int64_t got = erofs_reader_read(t->from, s, start, t->piece, n, t->err);
		int r;

		if (got < 0)
			return (int)got;
		memset(t->piece + n, 0, whole - n);
		r = stream_put(to, t->piece, whole / EXT4_BLOCK);
		if (r < 0)
			return r;
		start += n;
	}
	return 0;
}

static int copy_data(
	struct tree *t, const struct erofs_stat *s, ext2_ino_t number, struct ext2_inode_large *i)
{
	_cleanup_(stream_close) struct stream to = {0};
	uint64_t start = 0, end;
	int r = stream_open(&to, t, number, EXT2_INODE(i));

	while (r == 0 && start < s->size) {
		r = erofs_reader_data(t->from, s, &start, &end, t->err);
		if (r == 0 && start < s->size)
			r = copy_run(&to, s, start, end);
		start = end;
	}
	return r;
}

static int make_file(struct tree *t, const struct erofs_stat *s, ext2_ino_t number)
{
	struct ext2_inode_large i = describe(s);
	int64_t r = 0;

	if (S_ISREG(s->mode) || S_ISLNK(s->mode))
		set_size(&i, s->size);
	if (S_ISLNK(s->mode) && s->size < FAST_LINK)
		r = erofs_reader_read(t->from, s, 0, i.i_block, (size_t)s->size, t->err);
	else if (S_ISREG(s->mode) || S_ISLNK(s->mode))
		r = copy_data(t, s, number, &i);
	return r < 0 ? (int)r : write_inode(t, s, number, &i);
}

/* ---- the measure ------------------------------------------------------------------------------------ */

static int measure_data(struct tree *t, const struct erofs_stat *s)
{
	uint64_t start = 0, end, extents = 0;

	while (start < s->size) {
		int r = erofs_reader_data(t->from, s, &start, &end, t->err);

		if (r < 0)
			return r;
		t->data += end - start;
		if (t->data > t->from->size)
			return damaged(t, "data of files that overlap");
		t->blocks += (end - start + EXT4_BLOCK - 1) / EXT4_BLOCK;
		extents += start < end ? 1 + (end - start) / EXT4_BLOCK / RUN_MAX : 0;
		start = end;
	}
	if (extents > EXTENTS_IN_INODE)
		t->blocks += 2 + extents / (EXTENTS_PER_BLOCK / 2);
	return 0;
}

static int measure(struct tree *t, const struct erofs_stat *s)
{
	t->inodes += 1 + s->xattrs_size / XATTR_INODE_MIN;
	t->blocks += s->xattrs_size ? 1 + s->xattrs_size / XATTR_INODE_MIN : 0;
	if (S_ISREG(s->mode) && s->size > FILE_MAX)
		return cannot_hold(t, "a file of more than 16 TiB");
	if (S_ISLNK(s->mode) && (s->size == 0 || s->size >= EXT4_BLOCK))
		return cannot_hold(t, "the target of a symbolic link, which is empty or too long");
	if (!S_ISDIR(s->mode) && s->links > LINKS_MAX)
		return cannot_hold(t, "more than 65,000 links to a file");
	return S_ISREG(s->mode) || S_ISLNK(s->mode) ? measure_data(t, s) : 0;
}

/* ---- the tree --------------------------------------------------------------------------------------- */

/* A number for a file of the image; attributes may have taken the next one. */
static int take_number(struct tree *t, bool directory, ext2_ino_t *number)
{
	if (++t->seen > t->from->inodes)
		return damaged(t, "more files than its superblock says");
	if (t->fs) {
		while (t->next <= t->fs->super->s_inodes_count &&
			ext2fs_test_inode_bitmap2(t->fs->inode_map, t->next))
			t->next++;
		if (t->next > t->fs->super->s_inodes_count)
			return damaged(t, "it became larger");
		ext2fs_inode_alloc_stats2(t->fs, t->next, 1, directory);
	}
	*number = t->next++;
	return 0;
}

static int queue_add(struct tree *t, struct folder f)
{
	if (t->count == t->capacity) {
		size_t more = t->capacity ? t->capacity * 2 : 64;
		struct folder *queue = reallocarray(t->queue, more, sizeof *queue);

		if (!queue)
			return error_no_memory(t->err, "make an ext4 file system");
		t->queue = queue;
		t->capacity = more;
	}
	t->queue[t->count++] = f;
	return 0;
}

/* The number of the file behind a name; *fresh: it has not been met before. */
static int number_of(struct tree *t, const struct erofs_stat *s, ext2_ino_t *number, bool *fresh)
{
	bool linked = !S_ISDIR(s->mode) && s->links > 1;
	uintptr_t known = linked ? (uintptr_t)map_get(&t->links, &s->nid, sizeof s->nid) : 0;
	int r;

	*fresh = !known;
	*number = (ext2_ino_t)known;
	if (known)
		return 0;
	r = take_number(t, S_ISDIR(s->mode), number);
	if (r == 0 && linked)
		r = map_set(&t->links, &s->nid, sizeof s->nid, (void *)(uintptr_t)*number, NULL, t->err);
	return r;
}

/* What comes to a name of a directory: a number, and the file behind it where it is new. */
static int visit(struct tree *t, ext2_ino_t parent, uint64_t nid, ext2_ino_t *number, uint32_t *mode)
{
	struct erofs_stat s;
	bool fresh = false;
	int r = erofs_reader_stat(t->from, nid, &s, t->err);

	if (r == 0)
		r = number_of(t, &s, number, &fresh);
	if (r < 0)
		return r;
	*mode = s.mode;
	if (fresh && !t->fs)
		r = measure(t, &s);
	if (r < 0 || !fresh)
		return r;
	if (S_ISDIR(s.mode))
		return queue_add(t, (struct folder){.nid = nid, .number = *number, .parent = parent});
	return t->fs ? make_file(t, &s, *number) : 0;
}

/* The entries of one directory: counted into blocks, or written. */
struct listing {
	struct tree *tree;
	ext2_ino_t number;
	unsigned fill, last; /* of the block: bytes, and where its last entry is */
	uint64_t blocks;     /* full ones */
	struct stream *to;
	uint8_t block[EXT4_BLOCK];
};

static bool is_dots(const char *name, size_t n)
{
	return name[0] == '.' && (n == 1 || (n == 2 && name[1] == '.'));
}

static int count_entry(void *context, const char *name, size_t n, uint64_t nid, uint8_t type)
{
	struct listing *l = context;

	(void)nid;
	(void)type;
	if (is_dots(name, n))
		return 0;
	if (l->fill + RECORD(n) > EXT4_BLOCK) {
		l->blocks++;
		l->fill = 0;
	}
	l->fill += RECORD(n);
	return 0;
}

static int flush_entries(struct listing *l)
{
	int r;

	put16(l->block + l->last + 4, (uint16_t)(EXT4_BLOCK - l->last));
	r = stream_put(l->to, l->block, 1);
	memset(l->block, 0, sizeof l->block);
	l->fill = l->last = 0;
	return r;
}

static uint8_t type_of(uint32_t mode)
{
	static const uint8_t types[16] = {[S_IFREG >> 12] = EXT2_FT_REG_FILE,
		[S_IFDIR >> 12] = EXT2_FT_DIR,
		[S_IFCHR >> 12] = EXT2_FT_CHRDEV,
		[S_IFBLK >> 12] = EXT2_FT_BLKDEV,
		[S_IFIFO >> 12] = EXT2_FT_FIFO,
		[S_IFSOCK >> 12] = EXT2_FT_SOCK,
		[S_IFLNK >> 12] = EXT2_FT_SYMLINK};

	return types[mode >> 12 & 15];
}

static int put_entry(struct listing *l, const char *name, size_t n, ext2_ino_t number, uint32_t mode)
{
	int r = l->fill + RECORD(n) > EXT4_BLOCK ? flush_entries(l) : 0;
	uint8_t *at = l->block + l->fill;

	put32(at, number);
	put16(at + 4, (uint16_t)RECORD(n));
	at[6] = (uint8_t)n;
	at[7] = type_of(mode);
	memcpy(at + 8, name, n);
	l->last = l->fill;
	l->fill += RECORD(n);
	return r;
}

static int make_entry(void *context, const char *name, size_t n, uint64_t nid, uint8_t type)
{
	struct listing *l = context;
	ext2_ino_t number = 0;
	uint32_t mode = S_IFDIR;
	int r;

	(void)type;
	if (is_dots(name, n))
		return 0;
	r = visit(l->tree, l->number, nid, &number, &mode);
	return r == 0 && l->tree->fs ? put_entry(l, name, n, number, mode) : r;
}

static int make_listing(struct tree *t, const struct erofs_stat *s, const struct folder *f, uint64_t blocks)
{
	_cleanup_(stream_close) struct stream to = {0};
	struct ext2_inode_large inode = describe(s);
	struct listing l = {.tree = t, .number = f->number, .to = &to};
	int r;

	set_size(&inode, blocks * EXT4_BLOCK);
	r = stream_open(&to, t, f->number, EXT2_INODE(&inode));
	if (r < 0)
		return r;
	stream_expect(&to, 0, blocks);
	r = put_entry(&l, ".", 1, f->number, S_IFDIR);
	if (r == 0)
		r = put_entry(&l, "..", 2, f->parent, S_IFDIR);
	if (r == 0)
		r = erofs_reader_list(t->from, s, make_entry, &l, t->err);
	if (r == 0)
		r = flush_entries(&l);
	return r < 0 ? r : write_inode(t, s, f->number, &inode);
}

static int visit_directory(struct tree *t, struct folder f)
{
	struct listing count = {.tree = t, .number = f.number, .fill = DOTS};
	struct erofs_stat s;
	int r = erofs_reader_stat(t->from, f.nid, &s, t->err);

	if (r == 0)
		r = erofs_reader_list(t->from, &s, count_entry, &count, t->err);
	if (r < 0)
		return r;
	count.blocks++;
	if (count.blocks > DIRECTORY_MAX)
		return cannot_hold(t, "a directory of more than 2 GiB");
	if (t->fs)
		return make_listing(t, &s, &f, count.blocks);
	t->blocks += count.blocks + count.blocks / RUN_MAX;
	return erofs_reader_list(t->from, &s, make_entry, &count, t->err);
}

static int walk(struct tree *t)
{
	struct erofs_stat root;
	int r = erofs_reader_stat(t->from, t->from->root, &root, t->err);

	t->next = FIRST_INODE;
	t->seen = 1;
	if (r == 0 && !t->fs)
		r = measure(t, &root);
	if (r == 0 && t->fs)
		ext2fs_inode_alloc_stats2(t->fs, EXT2_ROOT_INO, 1, 1);
	if (r == 0)
		r = queue_add(t,
			(struct folder){.nid = root.nid, .number = EXT2_ROOT_INO, .parent = EXT2_ROOT_INO});
	while (r == 0 && t->at < t->count)
		r = visit_directory(t, t->queue[t->at++]);
	return r;
}

/* ---- all of it -------------------------------------------------------------------------------------- */

/* An inode for each block at least, so that no group runs out of them; holes cost nothing. */
static int shape_of(struct tree *t, struct ext4_shape *shape)
{
	uint64_t inodes = t->inodes + FIRST_INODE, blocks = t->blocks + inodes / INODES_PER_BLOCK;

	blocks += blocks / 32 + 2048;
	blocks = blocks > inodes ? blocks : inodes;
	if (blocks > EXT4_BYTES_MAX / EXT4_BLOCK)
		return cannot_hold(t, "more than 8 TiB");
	*shape = (struct ext4_shape){
		.size = blocks * EXT4_BLOCK, .inodes = (uint32_t)inodes, .uuid = t->from->uuid};
	if (shape->size < EXT4_BYTES_MIN)
		shape->size = EXT4_BYTES_MIN;
	return 0;
}

static int measure_tree(const struct erofs_reader *from, struct ext4_shape *shape, struct error *err)
{
	_cleanup_(tree_end) struct tree t = {.from = from, .err = err};
	int r = walk(&t);

	return r < 0 ? r : shape_of(&t, shape);
}

int ext4_check(int fd, uint64_t *size, struct error *err)
{
	uint8_t super[SUPER_BYTES];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "read an ext4 file system");
	if (pread(fd, super, sizeof super, SUPER_AT) != sizeof super ||
		get16(super + SUPER_MAGIC) != EXT2_SUPER_MAGIC ||
		(uint64_t)get32(super + SUPER_BLOCKS) * EXT4_BLOCK != (uint64_t)st.st_size)
		return error_set(
			err, ERROR_CORRUPT, "not an ext4 file system of ours, or it has another size");
	*size = (uint64_t)st.st_size;
	return 0;
}

int ext4_from_erofs(int from_fd, int fd, struct error *err)
{
	_cleanup_(cleanup_filesystem) ext2_filsys fs = NULL;
	struct ext4_channel channel;
	struct erofs_reader from;
	struct ext4_shape shape;
	int r = erofs_reader_open(from_fd, &from, err);

	if (r == 0 && from.inodes > from.size / EROFS_INODE_SIZE)
		r = error_set(err, ERROR_CORRUPT, "EROFS image: it says to have more files than fit");
	if (r == 0)
		r = measure_tree(&from, &shape, err);
	if (r < 0)
		return r;
	ext4_channel_init(&channel, fd);
	r = ext4_begin(&channel, &shape, &fs, err);
	if (r == 0) {
		_cleanup_(tree_end) struct tree t = {.from = &from, .fs = fs, .err = err};

		ext2fs_set_feature_ea_inode(fs->super);
		r = walk(&t);
	}
	return r < 0 ? r : ext4_end(&channel, &fs, err);
}
