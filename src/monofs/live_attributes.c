/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes, and the targets of links. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "monofs/live_parts.h"

#define BLOCK          512u
#define DIRECTORY_SIZE 4096u

static uint64_t base_bytes(const struct live_node *n)
{
	const struct content *c = &n->base->entry.content;
	uint64_t bytes = c->size;

	for (size_t i = 0; c->depth == 0 && i < c->ref_count; i++)
		if (object_id_is_none(&c->refs[i].id))
			bytes -= c->refs[i].size;
	return bytes < n->file.base_limit ? bytes : n->file.base_limit;
}

/* What lies over the base is taken to lie over its data. */
static uint64_t blocks_of(const struct live_node *n)
{
	uint64_t base = n->base && n->file.base_limit ? base_bytes(n) : 0, covered = n->file.extents.covered;

	return (n->file.extents.taken + (base > covered ? base - covered : 0) + BLOCK - 1) / BLOCK;
}

void live_attributes(struct live_node *n, struct vfs_attributes *out)
{
	*out = (struct vfs_attributes){.ino = n->ino,
		.generation = n->generation,
		.mode = n->mode,
		.links = n->links,
		.uid = n->uid,
		.gid = n->gid,
		.major = n->major,
		.minor = n->minor,
		.block_size = 4096,
		.atime = n->atime,
		.mtime = n->mtime,
		.ctime = n->ctime,
		.btime = n->btime,
		.change = n->change,
		.told = true};
	if (S_ISREG(n->type)) {
		out->size = n->file.size;
		out->blocks = blocks_of(n);
	} else if (S_ISLNK(n->type)) {
		out->size = n->target.size;
	} else if (S_ISDIR(n->type)) {
		out->size = DIRECTORY_SIZE;
	}
}

void live_look_up(struct live_node *n, struct vfs_attributes *out)
{
	_cleanup_node_ struct live_node *locked = live_read_node(n);

	atomic_fetch_add(&n->lookups, 1);
	live_attributes(n, out);
}

struct vfs_time live_now(void)
{
	uint64_t now = clock_realtime();

	return (struct vfs_time){
		(int64_t)(now / NANOSECONDS_PER_SECOND), (uint32_t)(now % NANOSECONDS_PER_SECOND)};
}

void live_touch(struct live *l, struct live_node *n, enum live_touch how, const struct vfs_time *now)
{
	n->ctime = *now;
	if (how == LIVE_MODIFIED)
		n->mtime = *now;
	n->change = atomic_fetch_add(&l->version, 1) + 1;
}

void live_touch_locking(struct live *l, struct live_node *n, enum live_touch how, const struct vfs_time *now)
{
	_cleanup_node_ struct live_node *locked = live_write_node(n);

	live_touch(l, n, how, now);
}

/* ---- the calls ---- */

/* A handle of a file or of a listing, whichever it is. */
static bool is_handle(struct live *l, const struct live_node *n, vfs_handle handle)
{
	return handle == VFS_NO_HANDLE ||
	       live_handle_is(l, n, handle, S_ISDIR(n->type) ? LIVE_LISTING : 0, NULL);
}

int live_getattr(struct vfs *fs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out)
{
	LIVE_SHARED(l, fs);
	struct live_node *n;
	int r = live_get(l, ino, &n);

	if (r < 0)
		return r;
	if (!is_handle(l, n, handle))
		return -EBADF;
	_cleanup_node_ struct live_node *locked = live_read_node(n);
	live_attributes(n, out);
	return 0;
}

/* What is asked for in terms that last: values, not "now". As Linux does it, setgid without the group's
 * execute bit was never a privilege. */
static void settle_values(
	const struct live_node *n, struct vfs_attributes *v, unsigned *what, const struct vfs_time *now)
{
	uint32_t mode = *what & VFS_SET_MODE ? v->mode & 07777 : n->mode & 07777;

	if (*what & VFS_SET_ATIME_NOW)
		v->atime = *now;
	if (*what & VFS_SET_MTIME_NOW)
		v->mtime = *now;
	if (*what & VFS_CLEAR_PRIVILEGES && !S_ISDIR(n->type) && !(*what & VFS_SET_MODE)) {
		mode &= ~(uint32_t)S_ISUID;
		if (mode & S_IXGRP)
			mode &= ~(uint32_t)S_ISGID;
		v->mode = mode;
		*what |= mode != (n->mode & 07777) ? VFS_SET_MODE : 0;
	}
	*what |= (*what & VFS_SET_ATIME_NOW ? VFS_SET_ATIME : 0u) |
		 (*what & VFS_SET_MTIME_NOW ? VFS_SET_MTIME : 0u);
	*what &= ~(unsigned)(VFS_SET_ATIME_NOW | VFS_SET_MTIME_NOW);
}

int live_record_set(struct live *l, struct live_node *n, const struct vfs_attributes *v, unsigned what,
	const struct vfs_time *now)
{
	_cleanup_buffer_ struct buffer body = {0};
	struct journal_record r = {.type = LIVE_SET,
		.argument = what & ~(unsigned)(VFS_SET_ATIME | VFS_CLEAR_PRIVILEGES),
		.seconds = now->seconds,
		.nanoseconds = now->nanoseconds};
	int error = live_number(l, n, &r.object);

	if (error < 0 || !r.object || !r.argument)
		return error;
	buffer_u32(&body, v->mode);
	buffer_u32(&body, v->uid);
	buffer_u32(&body, v->gid);
	buffer_u64(&body, what & VFS_SET_SIZE ? v->size : 0);
	buffer_u64(&body, what & VFS_SET_MTIME ? (uint64_t)v->mtime.seconds : 0);
	buffer_u32(&body, what & VFS_SET_MTIME ? v->mtime.nanoseconds : 0);
	if (body.failed)
		return -ENOMEM;
	r.body = body.data;
	r.size = body.size;
	return journal_append(l->journal, &r, NULL, 0, NULL);
}

static int judge(struct live *l, const struct live_node *n, vfs_handle handle, const struct vfs_attributes *v,
	unsigned what)
{
	unsigned has = 0;

	if (!is_handle(l, n, handle))
		return -EBADF;
	if (!(what & VFS_SET_SIZE))
		return 0;
	if (!S_ISREG(n->type))
		return S_ISDIR(n->type) ? -EISDIR : -EINVAL;
	if (handle != VFS_NO_HANDLE && !live_handle_is(l, n, handle, VFS_WRITE, &has))
		return -EBADF;
	return v->size > ENTRY_SIZE_MAX ? -EFBIG : 0;
}

int live_setattr(struct vfs *fs, const struct vfs_caller *who, uint64_t ino, vfs_handle handle,
	const struct vfs_attributes *values, unsigned what, struct vfs_attributes *out)
{
	const struct vfs_time now = live_now();
	struct vfs_attributes v = *values;
	struct live_node *n;
	int r = live_begin(live_of(fs));

	(void)who;
	if (r < 0)
		return r;
	LIVE_SHARED(l, fs);
	r = live_get(l, ino, &n);
	if (r == 0)
		r = judge(l, n, handle, &v, what);
	if (r < 0)
		return r;
	_cleanup_node_ struct live_node *locked = live_write_node(n);
	settle_values(n, &v, &what, &now);
	r = live_record_set(l, n, &v, what, &now);
	if (r < 0)
		return r;
	live_apply_set(l, n, &v, what, &now);
	live_attributes(n, out);
	return 0;
}

int live_readlink(struct vfs *fs, uint64_t ino, char target[VFS_PATH_MAX + 1])
{
	LIVE_SHARED(l, fs);
	struct live_node *n;
	int r = live_get(l, ino, &n);

	if (r < 0)
		return r;
	if (!S_ISLNK(n->type) || !n->target.text || n->target.size > VFS_PATH_MAX)
		return -EINVAL;
	memcpy(target, n->target.text, n->target.size + 1);
	return 0;
}
