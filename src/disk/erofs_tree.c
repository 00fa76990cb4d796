/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer's second half: directories, inodes and the superblock, once all data of files are written.
 *
 *   place    every inode gets its place in the metadata area and so its node number; a directory's inode is
 *            followed by those of all its children, which is the order in which a guest looks at them
 *   emit     blocks of large directories (they hold node numbers, so only now), then the inodes
 *   seal     block 0, and the file's end
 *
 * What stands behind an inode (attributes, then inline data) shares its block where it fits: the kernel
 * wants inline data whole in one block, and short symbolic links in their inode's.
 */
#include "disk/erofs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "disk/erofs_format.h"
#include "disk/erofs_writer.h"

#define FIRST_PLACE 64u /* node number 0 would read as "no file" to some */
#define NOT_PLACED  0u

struct layout {
	struct erofs_writer *w;
	struct erofs_inode **last; /* end of the list of inodes in the order of their places */
	uint64_t at;               /* next free byte of the metadata area */
	uint64_t blocks;           /* next free block for directories and inline data that found no room */
	uint32_t count;
};

/* ---- directories as bytes ------------------------------------------------------------------------- */

struct names { /* walks a directory's entries with "." and ".." at their sorted places */
	const struct erofs_inode *directory;
	struct erofs_entry *next;
	struct erofs_entry dots[2];
	unsigned dots_done;
};

static struct names names_of(struct erofs_inode *directory)
{
	return (struct names){.directory = directory,
		.next = directory->entries,
		.dots = {{.name = ".", .name_size = 1, .inode = directory},
			{.name = "..", .name_size = 2, .inode = directory->parent}}};
}

static bool name_before(const struct erofs_entry *a, const struct erofs_entry *b)
{
	size_t n = a->name_size < b->name_size ? a->name_size : b->name_size;
	int order = memcmp(a->name, b->name, n);

	return order ? order < 0 : a->name_size < b->name_size;
}

static const struct erofs_entry *next_name(struct names *n)
{
	const struct erofs_entry *entry = n->next;

	if (n->dots_done < 2 && (!entry || name_before(&n->dots[n->dots_done], entry)))
		return &n->dots[n->dots_done++];
	if (entry)
		n->next = entry->next;
	return entry;
}

static size_t entry_bytes(const struct erofs_entry *e)
{
	return EROFS_DIRENT_SIZE + e->name_size;
}

static uint64_t directory_bytes(struct erofs_inode *directory)
{
	struct names names = names_of(directory);
	uint64_t blocks = 0;
	size_t used = 0;

	for (const struct erofs_entry *e; (e = next_name(&names));) {
		if (used + entry_bytes(e) > EROFS_BLOCK) {
			blocks++;
			used = 0;
		}
		used += entry_bytes(e);
	}
	return blocks * EROFS_BLOCK + used;
}

static uint8_t file_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 1;
	case S_IFDIR:
		return 2;
	case S_IFCHR:
		return 3;
	case S_IFBLK:
		return 4;
	case S_IFIFO:
		return 5;
	case S_IFSOCK:
		return 6;
	default:
		return 7; /* symbolic link */
	}
}

/* Fills one block with the entries from *pending on; *pending gets the first that found no room, or NULL.
 * Returns the bytes used. */
static size_t fill_block(struct names *names, const struct erofs_entry **pending, uint8_t *block)
{
	const struct erofs_entry *batch[EROFS_BLOCK / (EROFS_DIRENT_SIZE + 1)];
	size_t count = 0, used = 0, name_at;

	for (; *pending && used + entry_bytes(*pending) <= EROFS_BLOCK; *pending = next_name(names)) {
		used += entry_bytes(*pending);
		batch[count++] = *pending;
	}
	name_at = count * EROFS_DIRENT_SIZE;
	for (size_t i = 0; i < count; i++) {
		uint8_t *dirent = block + i * EROFS_DIRENT_SIZE;

		put64(dirent, batch[i]->inode->nid);
		put16(dirent + 8, (uint16_t)name_at);
		dirent[10] = file_type(batch[i]->inode->mode);
		dirent[11] = 0;
		memcpy(block + name_at, batch[i]->name, batch[i]->name_size);
		name_at += batch[i]->name_size;
	}
	return used;
}

static int put_directory(struct erofs_writer *w, struct erofs_inode *directory, struct error *err)
{
	struct names names = names_of(directory);
	const struct erofs_entry *pending = next_name(&names);
	uint8_t block[EROFS_BLOCK];
	int r = 0;

	while (r == 0 && pending) {
		size_t used = fill_block(&names, &pending, block);

		r = erofs_put(w, block, used, err);
		if (r == 0 && pending)
			r = erofs_align(w, err);
	}
	return r;
}

/* ---- place ----------------------------------------------------------------------------------------- */

static size_t head_bytes(const struct erofs_inode *inode)
{
	return EROFS_INODE_SIZE + inode->xattrs_size;
}

static bool wants_inline(const struct erofs_inode *inode)
{
	return inode->data == EROFS_DATA_INLINE || S_ISDIR(inode->mode);
}

static void place(struct layout *l, struct erofs_inode *inode)
{
	size_t head = head_bytes(inode), tail = 0, whole;
	size_t in_block;

	inode->inline_data = wants_inline(inode) && inode->size > 0 && head + inode->size <= EROFS_BLOCK &&
			     (S_ISLNK(inode->mode) || inode->size <= EROFS_INLINE_MAX);
	if (inode->inline_data) {
		tail = (size_t)inode->size;
	} else if (wants_inline(inode) && inode->size > 0) {
		inode->start = (uint32_t)l->blocks;
		l->blocks += (inode->size + EROFS_BLOCK - 1) / EROFS_BLOCK;
	}
	whole = head + tail <= EROFS_BLOCK ? head + tail : EROFS_INODE_SIZE;
	in_block = l->at % EROFS_BLOCK;
	if (in_block + whole > EROFS_BLOCK)
		l->at += EROFS_BLOCK - in_block;
	inode->nid = l->at / EROFS_SLOT;
	if (inode->data == EROFS_DATA_CHUNKS)
		tail = inode->chunk_count * sizeof(uint32_t);
	l->at = (l->at + head + tail + EROFS_SLOT - 1) & ~(uint64_t)(EROFS_SLOT - 1);
	inode->number = ++l->count;
	inode->next = NULL;
	*l->last = inode;
	l->last = &inode->next;
}

static void prepare_directory(struct erofs_inode *directory, struct erofs_inode *parent)
{
	directory->parent = parent;
	directory->links = 2;
	directory->data = EROFS_DATA_NONE;
	directory->size = directory_bytes(directory);
}

/* Each directory in turn places its children, so the list of places is also the queue of directories. */
static int place_all(struct layout *l, struct erofs_inode *root, struct error *err)
{
	prepare_directory(root, root);
	place(l, root);
	for (struct erofs_inode *directory = root; directory; directory = directory->next) {
		if (!S_ISDIR(directory->mode))
			continue;
		for (struct erofs_entry *e = directory->entries; e; e = e->next) {
			struct erofs_inode *child = e->inode;

			if (S_ISDIR(child->mode)) {
				if (child->nid != NOT_PLACED)
					return error_set(err, ERROR_INVALID, "%s: a directory has two names",
						l->w->name);
				directory->links++;
				prepare_directory(child, directory);
			} else if (child->nid != NOT_PLACED) {
				child->links++;
				continue;
			} else {
				child->links = 1;
			}
			place(l, child);
		}
	}
	if (l->blocks + l->at / EROFS_BLOCK >= UINT32_MAX)
		return error_set(err, ERROR_LIMIT, "%s: over 16 TiB, the most that EROFS holds", l->w->name);
	return 0;
}

/* ---- emit ------------------------------------------------------------------------------------------ */

static int put_blocks(struct layout *l, const struct erofs_inode *root, struct error *err)
{
	int r = 0;

	for (const struct erofs_inode *i = root; r == 0 && i; i = i->next) {
		if (!wants_inline(i) || i->inline_data || i->size == 0)
			continue;
		if (S_ISDIR(i->mode))
			r = put_directory(l->w, (struct erofs_inode *)(uintptr_t)i, err);
		else
			r = erofs_put(l->w, i->bytes, (size_t)i->size, err);
		if (r == 0)
			r = erofs_align(l->w, err);
	}
	return r;
}

/* Linux's new_encode_dev(): 12 bits of major, 20 of minor. */
static uint32_t encode_device(const struct erofs_inode *i)
{
	return (i->device_minor & 0xff) | i->device_major << 8 | (i->device_minor & ~0xffu) << 12;
}

static void encode_inode(const struct erofs_inode *i, uint8_t *out)
{
	uint16_t layout = EROFS_LAYOUT_PLAIN;
	uint32_t word = i->start;

	if (i->inline_data)
		layout = EROFS_LAYOUT_INLINE;
	if (i->data == EROFS_DATA_CHUNKS) {
		layout = EROFS_LAYOUT_CHUNKS;
		word = i->chunk_bits;
	} else if (S_ISCHR(i->mode) || S_ISBLK(i->mode)) {
		word = encode_device(i);
	}
	memset(out, 0, EROFS_INODE_SIZE);
	put16(out + EROFS_INODE_FORMAT, EROFS_FORMAT(layout));
	if (i->xattrs_size)
		put16(out + EROFS_INODE_XATTRS, (uint16_t)((i->xattrs_size - EROFS_XATTR_HEADER) / 4 + 1));
	put16(out + EROFS_INODE_MODE, (uint16_t)i->mode);
	put64(out + EROFS_INODE_BYTES, i->size);
	put32(out + EROFS_INODE_UNION, word);
	put32(out + EROFS_INODE_NUMBER, i->number);
	put32(out + EROFS_INODE_UID, i->uid);
	put32(out + EROFS_INODE_GID, i->gid);
	put64(out + EROFS_INODE_MTIME, (uint64_t)i->mtime);
	put32(out + EROFS_INODE_MTIME_NS, i->mtime_nanoseconds);
	put32(out + EROFS_INODE_LINKS, i->links);
}

static int put_chunks(struct erofs_writer *w, const struct erofs_inode *i, struct error *err)
{
	int r = 0;

	for (uint32_t c = 0; r == 0 && c < i->chunk_count; c++) {
		uint8_t word[4];

		put32(word, i->chunks[c]);
		r = erofs_put(w, word, sizeof word, err);
	}
	return r;
}

static int put_inode(struct erofs_writer *w, struct erofs_inode *i, struct error *err)
{
	uint8_t bytes[EROFS_INODE_SIZE];
	int r;

	encode_inode(i, bytes);
	r = erofs_put(w, bytes, sizeof bytes, err);
	if (r == 0 && i->xattrs_size)
		r = erofs_put(w, i->xattrs, i->xattrs_size, err);
	if (r < 0)
		return r;
	if (i->data == EROFS_DATA_CHUNKS)
		return put_chunks(w, i, err);
	if (!i->inline_data)
		return 0;
	return S_ISDIR(i->mode) ? put_directory(w, i, err) : erofs_put(w, i->bytes, (size_t)i->size, err);
}

static int put_inodes(struct layout *l, struct erofs_inode *root, struct error *err)
{
	uint64_t meta = erofs_writer_bytes(l->w);
	int r = 0;

	for (struct erofs_inode *i = root; r == 0 && i; i = i->next) {
		uint64_t place = meta + i->nid * EROFS_SLOT;

		r = erofs_skip(l->w, place - erofs_writer_bytes(l->w), err);
		if (r == 0)
			r = put_inode(l->w, i, err);
	}
	return r < 0 ? r : erofs_align(l->w, err);
}

/* ---- seal ------------------------------------------------------------------------------------------ */

static int put_superblock(
	struct erofs_writer *w, const struct layout *l, uint64_t meta, uint64_t root, struct error *err)
{
	uint8_t block[EROFS_BLOCK] = {0}, *super = block + EROFS_SUPER_OFFSET;
	size_t done = 0;

	put32(super + EROFS_SUPER_MAGIC, EROFS_MAGIC);
	put32(super + EROFS_SUPER_COMPAT, EROFS_COMPAT_CHECKSUM | EROFS_COMPAT_MTIME);
	super[EROFS_SUPER_BLOCK_BITS] = EROFS_BLOCK_BITS;
	put16(super + EROFS_SUPER_ROOT, (uint16_t)root);
	put64(super + EROFS_SUPER_INODES, l->count);
	put32(super + EROFS_SUPER_BLOCKS, (uint32_t)(erofs_writer_bytes(w) / EROFS_BLOCK));
	put32(super + EROFS_SUPER_META, (uint32_t)(meta / EROFS_BLOCK));
	memcpy(super + EROFS_SUPER_UUID, w->uuid, sizeof w->uuid);
	put32(super + EROFS_SUPER_INCOMPAT, w->chunked ? EROFS_INCOMPAT_CHUNKED : 0);
	put32(super + EROFS_SUPER_CHECKSUM, erofs_checksum(super, EROFS_BLOCK - EROFS_SUPER_OFFSET));
	while (done < sizeof block) {
		ssize_t wrote = pwrite(w->fd, block + done, sizeof block - done, (off_t)done);

		if (wrote < 0 && errno != EINTR)
			return error_errno(err, errno, "write %s", w->name);
		done += wrote > 0 ? (size_t)wrote : 0;
	}
	return 0;
}

int erofs_writer_finish(struct erofs_writer *w, struct erofs_inode *root, struct error *err)
{
	struct erofs_inode *first = NULL;
	struct layout l = {.w = w, .last = &first, .at = FIRST_PLACE};
	uint64_t meta;
	int r;

	r = erofs_align(w, err);
	l.blocks = erofs_writer_bytes(w) / EROFS_BLOCK;
	if (r == 0)
		r = place_all(&l, root, err);
	if (r == 0)
		r = put_blocks(&l, root, err);
	meta = erofs_writer_bytes(w);
	if (r == 0)
		r = put_inodes(&l, root, err);
	if (r == 0)
		r = erofs_flush(w, err);
	if (r == 0)
		r = put_superblock(w, &l, meta, root->nid, err);
	if (r == 0 && ftruncate(w->fd, (off_t)erofs_writer_bytes(w)) < 0)
		return error_errno(err, errno, "write %s", w->name);
	return r;
}
