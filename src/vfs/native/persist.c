/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles that outlive the process: identity, and where options.kernel_handles is set what the kernel opens
 * it by. They do not change when the object is moved, since clients compare them.
 *
 *     0  u8   1: the version
 *     1  u8   size of the kernel's handle; 0: none
 *     2  i32  type of the kernel's handle
 *     6  u32  device, u64 inode number, u64 birth time: struct native_identity
 *    26       the kernel's handle, at most 22 bytes
 *
 * An object is found again by the table (also when it was forgotten, as far as options.remembered goes), then
 * by options.index, then by the kernel. Integers are little-endian.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "vfs/native/native_parts.h"

#define VERSION     1u
#define LEVELS_MOST 4096 /* of directories that the index is asked for */
#define KERNEL_MOST (VFS_PERSISTENT_MAX - 26u)

struct kernel_handle {
	struct file_handle handle;
	unsigned char bytes[MAX_HANDLE_SZ];
};

/* ---- out ----------------------------------------------------------------------------------------------- */

static void release(struct native *fs, struct native_inode *inode)
{
	native_lock(fs);
	native_release(fs, inode);
	native_unlock(fs);
}

struct seen {
	struct native_identity object, parent;
	char name[VFS_NAME_MAX + 1];
};

/* What the index does not have as it was last seen: the inode, or a directory above it. The lock is held. */
static struct native_inode *unindexed(const struct native *fs, struct native_inode *i)
{
	while (i && i->indexed)
		i = i->place ? i->place->parent : NULL;
	return i && i != fs->root && i->place ? i : NULL;
}

static bool next_to_index(struct native *fs, struct native_inode *inode, struct seen *seen)
{
	struct native_inode *i;

	native_lock(fs);
	i = unindexed(fs, inode);
	if (i) {
		i->indexed = true;
		seen->object = i->is;
		seen->parent = (struct native_identity){0};
		if (i->place->parent != fs->root)
			seen->parent = i->place->parent->is;
		memcpy(seen->name, i->place->name, strlen(i->place->name) + 1);
	}
	native_unlock(fs);
	return i != NULL;
}

/* The reference is used up. */
static void store(struct native *fs, struct native_inode *inode)
{
	const struct native_index *index = &fs->options.index;
	struct seen seen;

	while (next_to_index(fs, inode, &seen))
		index->store(index->context, &seen.object, &seen.parent, seen.name);
	release(fs, inode);
}

/* 0 bytes where there is none, or nobody wants it. */
static int take_kernel_handle(struct native *fs, uint64_t ino, struct kernel_handle *kernel)
{
	_cleanup_pin_ struct native_pin pin = {.fd = -1};
	int mount, r;

	kernel->handle.handle_bytes = 0;
	if (!fs->options.kernel_handles)
		return 0;
	r = native_pin(fs, ino, &pin);
	if (r < 0)
		return r;
	kernel->handle.handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(pin.fd, "", &kernel->handle, &mount, AT_EMPTY_PATH) < 0 ||
		kernel->handle.handle_bytes > KERNEL_MOST)
		kernel->handle.handle_bytes = 0;
	return 0;
}

/* It is found by its handle from now on, also when it was forgotten. -ESTALE: not known. *behind: the inode,
 * with a reference, where the index must be told of it; else NULL. */
static int make_persistent(
	struct native *fs, uint64_t ino, struct native_identity *is, struct native_inode **behind)
{
	struct native_inode *inode;

	*behind = NULL;
	native_lock(fs);
	inode = native_find_number(fs, ino);
	if (inode && !inode->lookups)
		inode = NULL;
	if (inode) {
		inode->persistent = true;
		*is = inode->is;
	}
	if (inode && fs->options.index.store && unindexed(fs, inode)) {
		inode->references++;
		*behind = inode;
	}
	native_unlock(fs);
	return inode ? 0 : -ESTALE;
}

int native_persist(struct vfs *vfs, uint64_t ino, uint8_t *bytes, size_t room, size_t *size)
{
	struct native *fs = native_of(vfs);
	struct buffer b = {.data = bytes, .capacity = room, .limit = room}; /* the caller's memory */
	struct kernel_handle kernel;
	struct native_inode *behind;
	struct native_identity is;
	int r = take_kernel_handle(fs, ino, &kernel);

	if (r == 0)
		r = make_persistent(fs, ino, &is, &behind);
	if (r < 0)
		return r;
	if (behind)
		store(fs, behind);
	buffer_u8(&b, VERSION);
	buffer_u8(&b, (uint8_t)kernel.handle.handle_bytes);
	buffer_u32(&b, kernel.handle.handle_bytes ? (uint32_t)kernel.handle.handle_type : 0);
	buffer_u32(&b, is.device);
	buffer_u64(&b, is.ino);
	buffer_u64(&b, is.born);
	buffer_append(&b, kernel.handle.f_handle, kernel.handle.handle_bytes);
	if (b.failed)
		return -ENOMEM;
	*size = b.size;
	return 0;
}

/* ---- in ------------------------------------------------------------------------------------------------ */

struct persistent {
	struct native_identity is;
	struct kernel_handle kernel;
};

static bool persistent_read(const uint8_t *bytes, size_t size, struct persistent *p)
{
	struct cursor c = cursor_of(bytes, size);
	bool known = cursor_u8(&c) == VERSION;
	const uint8_t *kernel;

	p->kernel.handle.handle_bytes = cursor_u8(&c);
	p->kernel.handle.handle_type = (int)cursor_u32(&c);
	p->is.device = cursor_u32(&c);
	p->is.ino = cursor_u64(&c);
	p->is.born = cursor_u64(&c);
	kernel = cursor_take(&c, p->kernel.handle.handle_bytes);
	if (!known || !cursor_done(&c) || p->kernel.handle.handle_bytes > KERNEL_MOST)
		return false;
	memcpy(p->kernel.handle.f_handle, kernel, p->kernel.handle.handle_bytes);
	return true;
}

static struct native_inode *recall(struct native *fs, const struct native_identity *is)
{
	struct native_inode *inode;

	native_lock(fs);
	inode = native_recall(fs, is, 0);
	native_unlock(fs);
	return inode;
}

static bool same(const struct native_identity *a, const struct native_identity *b)
{
	return a->ino == b->ino && a->device == b->device && a->born == b->born;
}

/* What was found is what was meant, or let go of. */
static int meant(struct native *fs, const struct native_identity *is, struct native_inode **inode)
{
	if (same(&(*inode)->is, is))
		return 0;
	release(fs, *inode);
	return -ESTALE;
}

struct path {
	char *text; /* the last `used` bytes of `size` */
	size_t size, used;
};

static void path_free(struct path *path)
{
	free(path->text);
}

/* Writes `name` and a slash before the text that ends at the buffer's end. */
static bool put_before(struct path *path, const char *name)
{
	size_t n = strnlen(name, VFS_NAME_MAX + 1), left = path->size - path->used;

	if (n == 0 || n > VFS_NAME_MAX)
		return false;
	if (left < n + 1) {
		size_t size = path->size ? path->size * 2 : 1024;
		char *longer = size <= NATIVE_PATH_MOST ? malloc(size) : NULL;

		if (!longer)
			return false;
		if (path->used)
			memcpy(longer + size - path->used, path->text + path->size - path->used, path->used);
		free(path->text);
		path->text = longer;
		path->size = size;
	}
	path->used += n + 1;
	memcpy(path->text + path->size - path->used, name, n);
	path->text[path->size - path->used + n] = path->used == n + 1 ? '\0' : '/';
	return true;
}

/* The path that the index tells is put together from its end. */
static int find_in_index(struct native *fs, const struct native_identity *is, struct native_inode **inode)
{
	const struct native_index *index = &fs->options.index;
	_cleanup_(path_free) struct path path = {0};
	struct native_identity at = *is;
	int r;

	for (int level = 0; index->load && at.ino; level++) {
		struct native_identity parent = {0};
		char name[VFS_NAME_MAX + 1];

		if (level == LEVELS_MOST || index->load(index->context, &at, &parent, name) < 0 ||
			!put_before(&path, name))
			return -ESTALE;
		at = parent;
	}
	if (!path.used)
		return -ESTALE;
	r = native_enter_path(fs, path.text + path.size - path.used, inode);
	return r < 0 ? r : meant(fs, is, inode);
}

static int find_by_kernel(struct native *fs, struct persistent *p, struct native_inode **inode)
{
	_cleanup_fd_ int root = -1, fd = -1;
	int r;

	if (!fs->options.kernel_handles || !p->kernel.handle.handle_bytes)
		return -ESTALE;
	root = native_reopen(fs, fs->root_fd, O_RDONLY | O_DIRECTORY);
	if (root < 0)
		return root;
	fd = open_by_handle_at(root, &p->kernel.handle, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -ESTALE;
	r = native_find_again(fs, fd, inode);
	return r < 0 ? r : meant(fs, &p->is, inode);
}

/* One lookup more; the reference is used up. */
static int give(struct native *fs, struct native_inode *inode, struct vfs_attributes *out)
{
	_cleanup_pin_ struct native_pin pin;
	int r = native_pin_inode(fs, inode, &pin);

	if (r == 0)
		r = native_attributes(fs, inode, pin.fd, NULL, out);
	if (r < 0)
		return r;
	native_lock(fs);
	/* A descriptor that was kept leads to what the host has removed, too. */
	if (!inode->lookups && !inode->opens && out->links == 0) {
		native_drop_descriptor(fs, inode);
		r = -ESTALE;
	} else {
		inode->lookups++;
	}
	native_unlock(fs);
	return r;
}

int native_resolve(struct vfs *vfs, const uint8_t *bytes, size_t size, struct vfs_attributes *out)
{
	struct native *fs = native_of(vfs);
	struct native_inode *inode;
	struct persistent p;
	int r = -ESTALE;

	if (!persistent_read(bytes, size, &p))
		return -ESTALE;
	inode = recall(fs, &p.is);
	if (inode)
		r = give(fs, inode, out);
	if (r == -ESTALE && find_in_index(fs, &p.is, &inode) == 0)
		r = give(fs, inode, out);
	if (r == -ESTALE && find_by_kernel(fs, &p, &inode) == 0)
		r = give(fs, inode, out);
	return r;
}
