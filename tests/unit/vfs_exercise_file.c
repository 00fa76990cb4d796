/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "vfs_exercise.h"
#include "vfs_make.h"
#include "vfs_promises.h"

#define FILE_MOST (256u << 10)
#define PART_MOST (40u << 10)

struct exercise {
	struct vfs *fs;
	unsigned can;
	uint64_t ino;
	vfs_handle handle, append;
	uint32_t seed;
	unsigned step;
	size_t size;
	uint8_t *model, *bytes; /* model: FILE_MOST bytes, zeros behind the size */
};

static uint32_t below(struct exercise *e, uint32_t most)
{
	e->seed ^= e->seed << 13;
	e->seed ^= e->seed >> 17;
	e->seed ^= e->seed << 5;
	return e->seed % most;
}

/* Often at a page's edge, where mistakes are. */
static size_t some_offset(struct exercise *e, size_t most)
{
	size_t at = below(e, (uint32_t)most);

	if (below(e, 3) == 0)
		at = at / 4096 * 4096 + below(e, 3) - 1;
	return at < most ? at : most - 1;
}

static size_t some_size(struct exercise *e, size_t offset)
{
	size_t n = 1 + below(e, below(e, 4) ? PART_MOST : 16);

	return n < FILE_MOST - offset ? n : FILE_MOST - offset;
}

static void wrong(const struct exercise *e, const char *what)
{
	test_fail(__FILE__, __LINE__, "%s is wrong at step %u", what, e->step);
}

static void grew(struct exercise *e, size_t end)
{
	if (end > e->size)
		e->size = end;
}

static void do_write(struct exercise *e)
{
	size_t offset = some_offset(e, FILE_MOST - 1), n = some_size(e, offset);
	vfs_handle handle = below(e, 2) ? e->handle : VFS_NO_HANDLE;

	for (size_t i = 0; i < n; i++)
		e->model[offset + i] = (uint8_t)(e->step + i * 7);
	if (vfs_write(e->fs, e->ino, handle, e->model + offset, n, offset) != (int64_t)n)
		wrong(e, "a write");
	grew(e, offset + n);
}

static void do_append(struct exercise *e)
{
	size_t n = some_size(e, e->size);

	if (e->size + n > FILE_MOST || n == 0)
		return;
	memset(e->model + e->size, (int)e->step, n);
	if (vfs_write(e->fs, e->ino, e->append, e->model + e->size, n, below(e, 1000)) != (int64_t)n)
		wrong(e, "an append");
	e->size += n;
}

static void do_read(struct exercise *e)
{
	size_t offset = some_offset(e, FILE_MOST), n = 1 + below(e, PART_MOST), expected = 0;

	if (offset < e->size)
		expected = n < e->size - offset ? n : e->size - offset;
	if (vfs_read(e->fs, e->ino, e->handle, e->bytes, n, offset) != (int64_t)expected)
		wrong(e, "how much is read");
	if (memcmp(e->bytes, e->model + offset, expected) != 0)
		wrong(e, "what is read");
}

static void do_truncate(struct exercise *e)
{
	struct vfs_attributes a = {.size = some_offset(e, FILE_MOST)};
	struct vfs_caller me = vfs_me();

	if (a.size < e->size)
		memset(e->model + a.size, 0, e->size - a.size);
	e->size = a.size;
	CHECK_CALL(vfs_setattr(
		e->fs, &me, e->ino, below(e, 2) ? e->handle : VFS_NO_HANDLE, &a, VFS_SET_SIZE, &a));
	if (a.size != e->size)
		wrong(e, "the size");
}

static void do_allocate(struct exercise *e)
{
	static const unsigned modes[] = {0, VFS_KEEP_SIZE, VFS_PUNCH_HOLE | VFS_KEEP_SIZE, VFS_ZERO_RANGE,
		VFS_ZERO_RANGE | VFS_KEEP_SIZE};
	unsigned mode = modes[below(e, 5)];
	size_t offset = some_offset(e, FILE_MOST - 1), n = some_size(e, offset);

	if (!(e->can & VFS_CAN_HOLES))
		return;
	CHECK_CALL(vfs_allocate(e->fs, e->ino, e->handle, mode, offset, n));
	if (mode & (VFS_PUNCH_HOLE | VFS_ZERO_RANGE))
		memset(e->model + offset, 0, n);
	if (!(mode & VFS_KEEP_SIZE))
		grew(e, offset + n);
}

/* What is not data is zeros, wherever an implementation sees holes. */
static void do_seek(struct exercise *e)
{
	size_t offset = some_offset(e, FILE_MOST);
	int64_t data = vfs_seek(e->fs, e->ino, e->handle, offset, VFS_SEEK_DATA);
	int64_t hole = vfs_seek(e->fs, e->ino, e->handle, offset, VFS_SEEK_HOLE);
	size_t end = data < 0 ? e->size : (size_t)data;

	if (!(e->can & VFS_CAN_HOLES))
		return;
	if (offset >= e->size) {
		if (data != -ENXIO || hole != -ENXIO)
			wrong(e, "seeking behind the end");
		return;
	}
	if ((data < 0 && data != -ENXIO) || (data >= 0 && (end < offset || end >= e->size)))
		wrong(e, "seeking data");
	for (size_t i = offset; i < end; i++)
		if (e->model[i])
			wrong(e, "a hole that has data");
	if (hole < (int64_t)offset || hole > (int64_t)e->size)
		wrong(e, "seeking a hole");
	if ((hole == (int64_t)offset) != (data != (int64_t)offset))
		wrong(e, "data that is a hole");
}

static void check_whole(struct exercise *e)
{
	struct vfs_attributes a = vfs_attributes_of(e->fs, e->ino);

	if (a.size != e->size)
		wrong(e, "the size");
	if (vfs_read(e->fs, e->ino, e->handle, e->bytes, FILE_MOST, 0) != (int64_t)e->size ||
		memcmp(e->bytes, e->model, e->size) != 0)
		wrong(e, "the whole");
}

void vfs_exercise_file(struct vfs *fs, unsigned can, uint32_t seed, unsigned operations)
{
	static void (*const actions[])(struct exercise * e) = {do_write, do_write, do_read, do_read, do_read,
		do_truncate, do_append, do_allocate, do_allocate, do_seek};
	_cleanup_free_ uint8_t *model = calloc(1, FILE_MOST), *bytes = malloc(FILE_MOST + PART_MOST);
	struct exercise e = {.fs = fs, .can = can, .seed = seed, .model = model, .bytes = bytes};

	e.ino = vfs_make_file(fs, VFS_ROOT, "exercised");
	e.handle = vfs_opened(fs, e.ino, VFS_READ | VFS_WRITE);
	e.append = vfs_opened(fs, e.ino, VFS_WRITE | VFS_APPEND);
	for (e.step = 0; e.step < operations; e.step++) {
		actions[below(&e, sizeof actions / sizeof *actions)](&e);
		if (e.step % 100 == 0)
			check_whole(&e);
	}
	check_whole(&e);
	vfs_release(fs, e.ino, e.handle);
	vfs_release(fs, e.ino, e.append);
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, "exercised"));
	vfs_forget(fs, e.ino, 1);
}
