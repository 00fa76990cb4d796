/* SPDX-License-Identifier: Apache-2.0 */
/* Files are opened, read, written, and made durable. */
#include <errno.h>
#include <string.h>

#include "monofs/live_parts.h"
#include "os/fs.h"

#define BLOCK        4096u
#define SEALED_PIECE (64u << 10) /* what is read of a sealed record has to be opened whole */

/* A file, by its number and, where it is not VFS_NO_HANDLE, a handle that was opened for all of `flags`. The
 * tree is locked. */
static int get_file(
	struct live *l, uint64_t ino, vfs_handle handle, unsigned flags, struct live_node **n, unsigned *has)
{
	int r = live_get(l, ino, n);

	*has = 0;
	if (r < 0)
		return r;
	if (handle != VFS_NO_HANDLE && !live_handle_is(l, *n, handle, 0, has))
		return -EBADF;
	if (S_ISDIR((*n)->type))
		return -EISDIR;
	if (!S_ISREG((*n)->type))
		return -EINVAL;
	return handle != VFS_NO_HANDLE && (*has & flags) != flags ? -EBADF : 0;
}

static int truncate_to_nothing(struct live *l, struct live_node *n)
{
	_cleanup_node_ struct live_node *locked = live_write_node(n);
	const struct vfs_attributes none = {.size = 0};
	const struct vfs_time now = live_now();
	int r = live_record_set(l, n, &none, VFS_SET_SIZE, &now);

	if (r == 0)
		live_apply_set(l, n, &none, VFS_SET_SIZE, &now);
	return r;
}

int live_open_node(struct live *l, struct live_node *n, unsigned flags, vfs_handle *handle)
{
	int r;

	if (!S_ISREG(n->type))
		return S_ISDIR(n->type) ? -EISDIR : S_ISLNK(n->type) ? -ELOOP : -ENXIO;
	r = live_handle_new(l, n, flags & ~LIVE_LISTING, handle);
	if (r == 0 && flags & VFS_TRUNCATE) {
		r = truncate_to_nothing(l, n);
		if (r < 0)
			live_handle_close(l, n, *handle, 0);
	}
	return r;
}

int live_open(struct vfs *fs, uint64_t ino, unsigned flags, vfs_handle *handle)
{
	vfs_handle opened;
	struct live_node *n;
	int r = flags & VFS_TRUNCATE ? live_begin(live_of(fs)) : 0;

	if (r < 0)
		return r;
	LIVE_SHARED(l, fs);
	r = live_get(l, ino, &n);
	if (r == 0)
		r = live_open_node(l, n, flags, &opened);
	if (r == 0)
		*handle = opened;
	return r;
}

/* Whether it was the last that held what has no name any more. */
static bool release(struct vfs *fs, uint64_t ino, vfs_handle handle, unsigned kind)
{
	LIVE_SHARED(l, fs);
	struct live_node *n;

	return live_find_any(l, ino, &n) && live_handle_close(l, n, handle, kind) && !n->links;
}

static void release_and_settle(struct vfs *fs, uint64_t ino, vfs_handle handle, unsigned kind)
{
	struct live_node *n;

	if (!release(fs, ino, handle, kind))
		return;
	LIVE_LOCKED(l, fs);
	if (live_find_any(l, ino, &n))
		live_settle(l, n);
}

void live_release(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	release_and_settle(fs, ino, handle, 0);
}

void live_releasedir(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	release_and_settle(fs, ino, handle, LIVE_LISTING);
}

/* ---- reading: without the tree's lock ------------------------------------------------------------------ */

static int pin_file(struct vfs *fs, uint64_t ino, vfs_handle handle, unsigned flags, struct live_node **n)
{
	LIVE_SHARED(l, fs);
	unsigned has;
	int r = get_file(l, ino, handle, flags, n, &has);

	if (r == 0)
		live_pin(*n);
	return r;
}

static int64_t read_pinned(struct live *l, struct live_node *n, void *bytes, size_t size, uint64_t offset)
{
	_cleanup_node_ struct live_node *locked = live_read_node(n);
	struct live_contents c = live_contents_of(l, n);
	int r;

	if (offset >= c.size)
		return 0;
	if (size > c.size - offset)
		size = (size_t)(c.size - offset);
	live_ahead_note(l, n, offset, size);
	r = live_contents_read(&c, bytes, size, offset);
	return r < 0 ? r : (int64_t)size;
}

int64_t live_read(struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset)
{
	struct live_node *n;
	int64_t r = pin_file(fs, ino, handle, VFS_READ, &n);

	if (r < 0)
		return r;
	r = read_pinned(live_of(fs), n, bytes, size, offset);
	live_unpin(n);
	return r;
}

static int64_t seek_pinned(struct live *l, struct live_node *n, uint64_t offset, enum vfs_seek whence)
{
	_cleanup_node_ struct live_node *locked = live_read_node(n);
	struct live_contents c = live_contents_of(l, n);
	enum live_extent_kind kind;
	uint64_t size;

	if (offset >= c.size)
		return -ENXIO;
	while (offset < c.size) {
		int r = live_contents_run(&c, offset, &size, &kind);

		if (r < 0)
			return r;
		if ((kind != LIVE_HOLE) == (whence == VFS_SEEK_DATA))
			return (int64_t)offset;
		offset += size;
	}
	return whence == VFS_SEEK_DATA ? -ENXIO : (int64_t)c.size;
}

int64_t live_seek(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, enum vfs_seek whence)
{
	struct live_node *n;
	int64_t r = pin_file(fs, ino, handle, 0, &n);

	if (r < 0)
		return r;
	r = seek_pinned(live_of(fs), n, offset, whence);
	live_unpin(n);
	return r;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

/* The node's lock is held. */
static int write_piece(struct live *l, struct live_node *n, const void *bytes, size_t size, uint64_t offset)
{
	const struct vfs_time now = live_now();
	struct journal_record r = {.type = LIVE_WRITE,
		.argument = offset,
		.seconds = now.seconds,
		.nanoseconds = now.nanoseconds};
	struct live_extent x = {.offset = offset, .size = size, .body = (uint32_t)size};
	struct journal_place place;
	int error = live_extents_reserve(&n->file.extents);

	if (error == 0)
		error = live_number(l, n, &r.object);
	if (error == 0)
		error = journal_append(l->journal, &r, bytes, size, &place);
	if (error < 0)
		return error;
	x.segment = place.segment;
	x.epoch = place.segment->number;
	x.at = place.at;
	live_apply_extent(l, n, &x, true, &now);
	return 0;
}

static int64_t write_locked(
	struct live *l, struct live_node *n, const uint8_t *bytes, size_t size, uint64_t offset, bool append)
{
	_cleanup_node_ struct live_node *locked = live_write_node(n);
	size_t most = l->crypt->encrypted ? SEALED_PIECE : VFS_IO_MAX, done = 0;
	int r = 0;

	if (append)
		offset = n->file.size;
	if (offset > ENTRY_SIZE_MAX || size > ENTRY_SIZE_MAX - offset)
		return -EFBIG;
	while (r == 0 && done < size) {
		size_t part = size - done < most ? size - done : most;

		r = write_piece(l, n, bytes + done, part, offset + done);
		done += r == 0 ? part : 0;
	}
	return done ? (int64_t)done : r;
}

int64_t live_write(
	struct vfs *fs, uint64_t ino, vfs_handle handle, const void *bytes, size_t size, uint64_t offset)
{
	struct live_node *n;
	unsigned has;
	int r = live_begin(live_of(fs));

	if (r < 0)
		return r;
	LIVE_SHARED(l, fs);
	r = get_file(l, ino, handle, VFS_WRITE, &n, &has);
	if (r < 0 || size == 0)
		return r;
	return write_locked(l, n, bytes, size, offset, has & VFS_APPEND);
}

static int check_sync(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	LIVE_SHARED(l, fs);
	struct live_node *n;
	int r = live_get(l, ino, &n);

	if (r < 0)
		return r;
	return handle != VFS_NO_HANDLE && !live_handle_is(l, n, handle, 0, NULL) ? -EBADF : 0;
}

int live_fsync(struct vfs *fs, uint64_t ino, vfs_handle handle, bool data_only)
{
	struct live *l = live_of(fs);
	int r = check_sync(fs, ino, handle);

	(void)data_only;
	return r < 0 || !l->journal ? r : journal_sync(l->journal);
}

/* ---- holes --------------------------------------------------------------------------------------------- */

static int zero(struct live *l, struct live_node *n, uint64_t offset, uint64_t size,
	enum live_extent_kind kind, bool grow)
{
	_cleanup_buffer_ struct buffer body = {0};
	const struct vfs_time now = live_now();
	struct journal_record r = {.type = LIVE_ZERO,
		.argument = offset,
		.seconds = now.seconds,
		.nanoseconds = now.nanoseconds};
	struct live_extent x = {.offset = offset, .size = size, .kind = kind};
	struct journal_place place;
	int error = live_extents_reserve(&n->file.extents);

	buffer_u64(&body, size);
	buffer_u8(&body, (uint8_t)kind);
	if (!buffer_u8(&body, grow))
		return -ENOMEM;
	r.body = body.data;
	r.size = body.size;
	if (error == 0)
		error = live_number(l, n, &r.object);
	if (error == 0 && r.object)
		error = journal_append(l->journal, &r, NULL, 0, &place);
	if (error < 0)
		return error;
	x.epoch = l->segment;
	live_apply_extent(l, n, &x, grow, &now);
	return 0;
}

/* Holes between offset and end get space, also behind the end of the file. */
static int fill_holes(struct live *l, struct live_node *n, uint64_t offset, uint64_t end)
{
	int r = 0;

	while (r == 0 && offset < end) {
		struct live_contents c = live_contents_of(l, n);
		enum live_extent_kind kind;
		uint64_t size;

		c.size = end;
		r = live_contents_run(&c, offset, &size, &kind);
		if (r == 0 && kind == LIVE_HOLE)
			r = zero(l, n, offset, size, LIVE_ZEROES, false);
		offset += size;
	}
	return r;
}

/* Whole blocks become holes; what is left of others is zeroes, for which space stays taken. */
static int punch(struct live *l, struct live_node *n, uint64_t offset, uint64_t end)
{
	uint64_t first = (offset + BLOCK - 1) / BLOCK * BLOCK,
		 last = end == n->file.size ? end : end / BLOCK * BLOCK;
	int r = 0;

	if (first >= last)
		return zero(l, n, offset, end - offset, LIVE_ZEROES, false);
	if (offset < first)
		r = zero(l, n, offset, first - offset, LIVE_ZEROES, false);
	if (r == 0 && last < end)
		r = zero(l, n, last, end - last, LIVE_ZEROES, false);
	return r < 0 ? r : zero(l, n, first, last - first, LIVE_HOLE, false);
}

static int allocate_locked(struct live *l, struct live_node *n, unsigned mode, uint64_t offset, uint64_t end)
{
	_cleanup_node_ struct live_node *locked = live_write_node(n);
	uint64_t size = n->file.size, within = end < size ? end : size;
	bool grow = !(mode & VFS_KEEP_SIZE) && end > size;
	int r = 0;

	if (mode & VFS_PUNCH_HOLE)
		return offset < within ? punch(l, n, offset, within) : 0;
	if (mode & VFS_ZERO_RANGE)
		r = offset < within ? zero(l, n, offset, within - offset, LIVE_ZEROES, false) : 0;
	else
		r = fill_holes(l, n, offset, end);
	if (r == 0 && grow)
		r = zero(l, n, offset > size ? offset : size, end - (offset > size ? offset : size),
			LIVE_ZEROES, true);
	return r;
}

int live_allocate(
	struct vfs *fs, uint64_t ino, vfs_handle handle, unsigned mode, uint64_t offset, uint64_t length)
{
	uint64_t end = offset + length, available = 0, total;
	struct live_node *n;
	unsigned has;
	int r = live_begin(live_of(fs));

	if (r < 0)
		return r;
	if (end > ENTRY_SIZE_MAX)
		return -EFBIG;
	LIVE_SHARED(l, fs);
	r = get_file(l, ino, handle, VFS_WRITE, &n, &has);
	if (r == 0 && !(mode & VFS_PUNCH_HOLE) &&
		fs_space(repository_directory(l->repository), &available, &total, NULL) == 0 &&
		length > available)
		r = -ENOSPC;
	return r < 0 ? r : allocate_locked(l, n, mode, offset, end);
}
