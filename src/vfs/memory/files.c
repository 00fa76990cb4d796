/* SPDX-License-Identifier: Apache-2.0 */
/* The data of files. What pages hold behind the end of their file is zeros, always. */
#include <errno.h>
#include <string.h>

#include "vfs/memory/calls.h"
#include "vfs/memory/node.h"

static uint64_t pages_for(uint64_t size)
{
	return size / MEMORY_PAGE + (size % MEMORY_PAGE != 0);
}

/* From the offset to the end of its page, at most `size`. */
static size_t part_of(uint64_t offset, uint64_t size)
{
	uint64_t left = MEMORY_PAGE - offset % MEMORY_PAGE;

	return (size_t)(size < left ? size : left);
}

/* A part of one page becomes zeros. */
static void zero_part(struct memory_node *node, uint64_t offset, size_t size)
{
	uint8_t *page = memory_pages_find(&node->pages, offset / MEMORY_PAGE);

	if (page)
		memset(page + offset % MEMORY_PAGE, 0, size);
}

/* Zeros from `offset` to `end`: pages that lie wholly between become holes. */
static void punch(struct memory *m, struct memory_node *node, uint64_t offset, uint64_t end)
{
	uint64_t first = pages_for(offset), last = end / MEMORY_PAGE;

	if (offset % MEMORY_PAGE)
		zero_part(node, offset, part_of(offset, end - offset));
	if (end % MEMORY_PAGE && last >= first)
		zero_part(node, last * MEMORY_PAGE, end % MEMORY_PAGE);
	memory_pages_release(&node->pages, first, last, &m->budget);
}

void memory_set_size(struct memory *m, struct memory_node *node, uint64_t size)
{
	if (size <= node->size) {
		if (size % MEMORY_PAGE)
			zero_part(node, size, MEMORY_PAGE - size % MEMORY_PAGE);
		memory_pages_release(&node->pages, pages_for(size), UINT64_MAX, &m->budget);
	}
	node->size = size;
}

int memory_open(struct vfs *fs, uint64_t ino, unsigned flags, vfs_handle *handle)
{
	MEMORY_LOCKED(m, fs);
	vfs_handle opened;
	struct memory_node *node;
	int r = memory_get(m, ino, &node);

	if (r < 0)
		return r;
	if (!S_ISREG(node->mode))
		return S_ISDIR(node->mode) ? -EISDIR : S_ISLNK(node->mode) ? -ELOOP : -ENXIO;
	r = memory_handle_new(m, node, flags, &opened);
	if (r < 0)
		return r;
	if (flags & VFS_TRUNCATE) {
		memory_set_size(m, node, 0);
		memory_touch(m, node, MEMORY_MODIFIED);
	}
	*handle = opened;
	return 0;
}

void memory_release(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	MEMORY_LOCKED(m, fs);

	memory_handle_free(m, ino, handle);
}

/* ---- reading and writing ---------------------------------------------------------------------------- */

static void copy_out(const struct memory_node *node, uint8_t *bytes, size_t size, uint64_t offset)
{
	while (size > 0) {
		const uint8_t *page = memory_pages_find(&node->pages, offset / MEMORY_PAGE);
		size_t n = part_of(offset, size);

		if (page)
			memcpy(bytes, page + offset % MEMORY_PAGE, n);
		else
			memset(bytes, 0, n);
		bytes += n;
		offset += n;
		size -= n;
	}
}

static int64_t read_locked(struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size,
	uint64_t offset, bool *atime)
{
	MEMORY_SHARED(m, fs);
	struct memory_node *node;
	int r = memory_get_file(m, ino, handle, VFS_READ, &node);

	if (r < 0)
		return r;
	if (offset >= node->size)
		return 0;
	if (size > node->size - offset)
		size = (size_t)(node->size - offset);
	copy_out(node, bytes, size, offset);
	*atime = size > 0 && memory_wants_atime(m, node);
	return (int64_t)size;
}

int64_t memory_read(
	struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset)
{
	bool atime = false;
	int64_t n = read_locked(fs, ino, handle, bytes, size, offset, &atime);

	if (atime)
		memory_set_atime(fs, ino);
	return n;
}

/* How many bytes could be taken; *error says why not all. */
static size_t copy_in(struct memory *m, struct memory_node *node, const uint8_t *bytes, size_t size,
	uint64_t offset, int *error)
{
	size_t done = 0;

	while (done < size) {
		size_t n = part_of(offset + done, size - done);
		uint8_t *page =
			memory_pages_make(&node->pages, (offset + done) / MEMORY_PAGE, &m->budget, error);

		if (!page)
			break;
		memcpy(page + (offset + done) % MEMORY_PAGE, bytes + done, n);
		done += n;
	}
	return done;
}

int64_t memory_write(
	struct vfs *fs, uint64_t ino, vfs_handle handle, const void *bytes, size_t size, uint64_t offset)
{
	MEMORY_LOCKED(m, fs);
	struct memory_handle *h;
	struct memory_node *node;
	int r = memory_get_file(m, ino, handle, VFS_WRITE, &node);
	size_t done;

	if (r < 0 || size == 0)
		return r;
	h = handle == VFS_NO_HANDLE ? NULL : memory_handle_find(m, node, handle);
	if (h && h->flags & VFS_APPEND)
		offset = node->size;
	if (size > INT64_MAX - offset)
		return -EFBIG;
	done = copy_in(m, node, bytes, size, offset, &r);
	if (done == 0)
		return r;
	if (offset + done > node->size)
		node->size = offset + done;
	memory_touch(m, node, MEMORY_MODIFIED);
	return (int64_t)done;
}

int memory_fsync(struct vfs *fs, uint64_t ino, vfs_handle handle, bool data_only)
{
	MEMORY_SHARED(m, fs);
	struct memory_node *node;
	int r = memory_get(m, ino, &node);

	(void)data_only;
	if (r < 0)
		return r;
	return handle != VFS_NO_HANDLE && !memory_handle_find(m, node, handle) ? -EBADF : 0;
}

/* ---- holes ------------------------------------------------------------------------------------------ */

/* Pages for all of it. Judged first, as far as that is quick, so that nobody waits for what cannot be. */
static int fill(struct memory *m, struct memory_node *node, uint64_t offset, uint64_t end)
{
	uint64_t from = offset / MEMORY_PAGE, to = pages_for(end), missing = to - from;
	int error = 0;

	missing -= node->pages.count < missing ? node->pages.count : missing;
	if (missing > (m->budget.limit - m->budget.used) / MEMORY_PAGE)
		return -ENOSPC;
	while (from < to && memory_pages_make(&node->pages, from, &m->budget, &error))
		from++;
	return error;
}

int memory_allocate(
	struct vfs *fs, uint64_t ino, vfs_handle handle, unsigned mode, uint64_t offset, uint64_t length)
{
	MEMORY_LOCKED(m, fs);
	struct memory_node *node;
	uint64_t end = offset + length;
	int r = memory_get_file(m, ino, handle, VFS_WRITE, &node);

	if (r < 0)
		return r;
	if (!(mode & VFS_PUNCH_HOLE))
		r = fill(m, node, offset, end);
	if (r < 0)
		return r;
	if (mode & VFS_PUNCH_HOLE)
		punch(m, node, offset, end);
	if (mode & VFS_ZERO_RANGE)
		for (uint64_t at = offset; at < end; at += part_of(at, end - at))
			zero_part(node, at, part_of(at, end - at));
	if (!(mode & VFS_KEEP_SIZE) && end > node->size)
		node->size = end;
	memory_touch(m, node, MEMORY_MODIFIED);
	return 0;
}

int64_t memory_seek(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, enum vfs_seek whence)
{
	MEMORY_SHARED(m, fs);
	struct memory_node *node;
	int r = memory_get_file(m, ino, handle, 0, &node);
	uint64_t page;

	if (r < 0)
		return r;
	if (offset >= node->size)
		return -ENXIO;
	page = whence == VFS_SEEK_DATA ? memory_pages_next(&node->pages, offset / MEMORY_PAGE)
				       : memory_pages_next_hole(&node->pages, offset / MEMORY_PAGE);
	if (page == offset / MEMORY_PAGE)
		return (int64_t)offset;
	/* Behind the end of the file is a hole, whatever is allocated there. */
	if (page >= pages_for(node->size))
		return whence == VFS_SEEK_DATA ? -ENXIO : (int64_t)node->size;
	return (int64_t)(page * MEMORY_PAGE);
}
