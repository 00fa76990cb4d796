/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stranger's calls on the file system in memory, through vfs.h: each byte string is a sequence of calls,
 * with numbers and handles that were given out, and others; with names and offsets of every kind.
 *
 *   - no call does harm, whatever it is given;
 *   - what it says is sane: types, sizes, link counts;
 *   - when all is removed, released and forgotten, all room is free again.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vfs/memory/node.h"

#define NUMBERS 16
#define HANDLES 8
#define BYTES   (512u << 10)
#define INODES  48

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct player {
	const uint8_t *at;
	size_t left;
	struct vfs *fs;
	uint64_t numbers[NUMBERS]; /* each looked up once; 0: none */
	struct {
		vfs_handle handle;
		uint64_t ino;
	} handles[HANDLES];
	uint64_t cookie;
	uint8_t persistent[VFS_PERSISTENT_MAX + 1];
	size_t persistent_size;
};

static uint8_t byte(struct player *p)
{
	if (p->left == 0)
		return 0;
	p->left--;
	return *p->at++;
}

static uint64_t number(struct player *p)
{
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | byte(p);
	return n;
}

/* Small, near a page, anything, or near the end of all offsets. */
static uint64_t some_offset(struct player *p)
{
	uint8_t kind = byte(p);

	switch (kind % 4) {
	case 0:
		return byte(p);
	case 1:
		return (uint64_t)byte(p) * 4096 + kind / 4 - 32;
	case 2:
		return number(p) >> kind / 4;
	default:
		return (uint64_t)INT64_MAX - byte(p);
	}
}

static uint64_t some_ino(struct player *p)
{
	uint8_t kind = byte(p);

	if (kind < 64)
		return VFS_ROOT;
	return kind < 250 ? p->numbers[kind % NUMBERS] : kind < 253 ? kind : number(p);
}

static vfs_handle some_handle(struct player *p)
{
	uint8_t kind = byte(p);

	if (kind < 64)
		return VFS_NO_HANDLE;
	return kind < 250 ? p->handles[kind % HANDLES].handle : number(p);
}

/* Static: the call is over before the next one is asked for. */
static const char *some_name(struct player *p, char room[VFS_NAME_MAX + 2])
{
	static const char *const names[] = {"a", "b", "c", "d", "user.a", "", ".", "..", "x/y", "\xff\x01"};
	uint8_t kind = byte(p);

	if (kind < 250)
		return names[kind < 200 ? kind % 4 : kind % 10];
	memset(room, 'n', VFS_NAME_MAX + 1);
	room[kind == 250 ? VFS_NAME_MAX + 1 : VFS_NAME_MAX] = 0;
	return room;
}

static struct vfs_caller some_caller(struct player *p)
{
	return (struct vfs_caller){.uid = byte(p) % 4, .gid = byte(p) % 4, .umask = byte(p) & 0777};
}

static void check_attributes(const struct vfs_attributes *a)
{
	assert(a->ino && a->generation && a->change);
	assert(a->size <= INT64_MAX);
	assert(a->atime.nanoseconds < 1000000000 && a->mtime.nanoseconds < 1000000000);
	assert(S_ISREG(a->mode) || a->blocks == 0);
	assert(!S_ISDIR(a->mode) || a->links != 1);
}

/* Something was looked up: it is kept in place of another, which is forgotten. */
static void keep(struct player *p, int r, const struct vfs_attributes *a)
{
	uint64_t *place = &p->numbers[byte(p) % NUMBERS];

	if (r < 0)
		return;
	check_attributes(a);
	vfs_forget(p->fs, *place, *place ? 1 : 0);
	*place = a->ino;
}

static void keep_handle(struct player *p, int r, uint64_t ino, vfs_handle handle)
{
	size_t i = byte(p) % HANDLES;

	if (r < 0) {
		assert(handle == VFS_NO_HANDLE);
		return;
	}
	vfs_release(p->fs, p->handles[i].ino, p->handles[i].handle);
	p->handles[i].handle = handle;
	p->handles[i].ino = ino;
}

/* ---- calls ------------------------------------------------------------------------------------------ */

static void make_names(struct player *p)
{
	char room[VFS_NAME_MAX + 2], target[VFS_PATH_MAX + 2];
	struct vfs_caller who = some_caller(p);
	uint64_t parent = some_ino(p);
	const char *name = some_name(p, room);
	uint32_t mode = (uint32_t)byte(p) << 12 | (uint32_t)byte(p) << 4;
	struct vfs_attributes a;
	vfs_handle handle;
	uint8_t kind = byte(p);
	int r;

	switch (kind % 5) {
	case 0:
		r = vfs_mknod(p->fs, &who, parent, name, mode, byte(p), byte(p), &a);
		break;
	case 1:
		r = vfs_mkdir(p->fs, &who, parent, name, mode, &a);
		break;
	case 2:
		memset(target, 't', sizeof target);
		target[kind < 250 ? kind : VFS_PATH_MAX + kind % 2] = 0;
		r = vfs_symlink(p->fs, &who, parent, name, target, &a);
		break;
	case 3:
		r = vfs_link(p->fs, some_ino(p), parent, name, &a);
		break;
	default:
		r = vfs_create(p->fs, &who, parent, name, mode, byte(p), &a, &handle);
		keep_handle(p, r, r < 0 ? 0 : a.ino, handle);
	}
	keep(p, r, &a);
}

static void change_names(struct player *p)
{
	char room[VFS_NAME_MAX + 2], other_room[VFS_NAME_MAX + 2];
	uint64_t parent = some_ino(p);
	const char *name = some_name(p, room);
	struct vfs_attributes a;

	switch (byte(p) % 6) {
	case 0:
		vfs_unlink(p->fs, parent, name);
		break;
	case 1:
		vfs_rmdir(p->fs, parent, name);
		break;
	case 2:
		keep(p, vfs_lookup(p->fs, parent, name, &a), &a);
		break;
	default:
		vfs_rename(p->fs, parent, name, some_ino(p), some_name(p, other_room),
			byte(p) < 200 ? byte(p) % 3 : byte(p));
	}
}

static void open_and_close(struct player *p)
{
	uint64_t ino = some_ino(p);
	vfs_handle handle;
	size_t i;
	int r;

	switch (byte(p) % 4) {
	case 0:
		r = vfs_open(p->fs, ino, byte(p), &handle);
		keep_handle(p, r, ino, handle);
		break;
	case 1:
		r = vfs_opendir(p->fs, ino, &handle);
		keep_handle(p, r, ino, handle);
		break;
	case 2:
		i = byte(p) % HANDLES;
		vfs_releasedir(p->fs, p->handles[i].ino, p->handles[i].handle);
		p->handles[i].handle = VFS_NO_HANDLE;
		break;
	default:
		/* Not kept: what it closes by chance is stale from then on. */
		vfs_release(p->fs, ino, some_handle(p));
	}
}

static void change_data(struct player *p)
{
	static uint8_t bytes[VFS_IO_MAX + 1];
	uint64_t ino = some_ino(p), offset;
	vfs_handle handle = some_handle(p);
	size_t n = (size_t)byte(p) << byte(p) % 14;
	int64_t r;

	offset = some_offset(p);
	switch (byte(p) % 5) {
	case 0:
		r = vfs_read(p->fs, ino, handle, bytes, n, offset);
		assert(r <= (int64_t)n);
		break;
	case 1:
		r = vfs_write(p->fs, ino, handle, bytes, n, offset);
		assert(r <= (int64_t)n);
		break;
	case 2:
		vfs_allocate(p->fs, ino, handle, byte(p) % 8, offset, byte(p) % 2 ? n : some_offset(p));
		break;
	case 3:
		r = vfs_seek(p->fs, ino, handle, offset, byte(p) % 2 ? VFS_SEEK_DATA : VFS_SEEK_HOLE);
		assert(r < 0 || (uint64_t)r >= offset);
		break;
	default:
		vfs_fsync(p->fs, ino, handle, byte(p) % 2);
	}
}

static void change_attributes(struct player *p)
{
	struct vfs_attributes a = {.mode = byte(p) | (uint32_t)byte(p) << 8, .uid = byte(p), .gid = byte(p)};
	unsigned what = byte(p) | (unsigned)byte(p) << 8;
	char target[VFS_PATH_MAX + 1];
	struct vfs_caller who = {0};
	uint64_t ino = some_ino(p);

	a.size = some_offset(p);
	a.atime = (struct vfs_time){(int64_t)number(p), (uint32_t)byte(p) << 24};
	if (vfs_setattr(p->fs, &who, ino, some_handle(p), &a, what, &a) == 0)
		check_attributes(&a);
	if (vfs_getattr(p->fs, ino, some_handle(p), &a) == 0)
		check_attributes(&a);
	if (vfs_readlink(p->fs, ino, target) == 0)
		assert(strlen(target) > 0 && strlen(target) <= VFS_PATH_MAX);
}

static void change_xattrs(struct player *p)
{
	static uint8_t value[VFS_XATTR_VALUE_MAX + 1];
	char room[VFS_NAME_MAX + 2];
	uint64_t ino = some_ino(p);
	const char *name = some_name(p, room);
	size_t n = (size_t)byte(p) << byte(p) % 9;

	switch (byte(p) % 4) {
	case 0:
		assert(vfs_getxattr(p->fs, ino, name, n ? value : NULL, n) <= VFS_XATTR_VALUE_MAX);
		break;
	case 1:
		vfs_setxattr(p->fs, ino, name, value, n, byte(p));
		break;
	case 2:
		vfs_removexattr(p->fs, ino, name);
		break;
	default:
		vfs_listxattr(p->fs, ino, (char *)value, n);
	}
}

struct listing {
	struct player *p;
	uint64_t last;
	unsigned most;
};

static int take(void *context, const struct vfs_entry *e)
{
	struct listing *l = context;

	assert(e->cookie > l->last && strlen(e->name) == e->name_size && e->name_size <= VFS_NAME_MAX);
	if (l->most-- == 0)
		return 1;
	l->last = l->p->cookie = e->cookie;
	if (e->attributes) {
		assert(e->attributes->ino == e->ino && (e->attributes->mode & S_IFMT) == e->type);
		vfs_forget(l->p->fs, e->ino, 1);
	}
	return 0;
}

static void list(struct player *p)
{
	struct vfs_statistics s;
	uint64_t cookie = byte(p) % 2 ? p->cookie : byte(p) % 2 ? 0 : number(p);
	struct listing l = {.p = p, .last = cookie, .most = byte(p)};
	uint64_t ino = some_ino(p);

	vfs_readdir(p->fs, ino, some_handle(p), cookie, byte(p) % 2, take, &l);
	vfs_fsyncdir(p->fs, ino);
	assert(vfs_statfs(p->fs, &s) == 0 && s.free <= s.blocks && s.files_free <= s.files);
}

static void persist(struct player *p)
{
	struct vfs_attributes a;
	uint8_t kind = byte(p);

	if (kind < 80) {
		size_t size;

		if (vfs_persist(p->fs, some_ino(p), p->persistent, &size) == 0)
			p->persistent_size = size;
		return;
	}
	if (kind < 120)
		p->persistent[byte(p) % sizeof p->persistent] = byte(p);
	else if (kind < 140)
		p->persistent_size = byte(p) % sizeof p->persistent;
	keep(p, vfs_resolve(p->fs, p->persistent, p->persistent_size, &a), &a);
}

static void forget(struct player *p)
{
	uint64_t *place = &p->numbers[byte(p) % NUMBERS];
	uint8_t times = byte(p);

	/* Others may have it too: what they have is stale then, or there by its name. */
	vfs_forget(p->fs, *place, times < 250 ? times % 3 : UINT64_MAX);
	if (times % 2)
		*place = 0;
}

static void play(struct player *p)
{
	static void (*const calls[])(struct player * p) = {make_names, make_names, change_names, change_names,
		open_and_close, change_data, change_data, change_attributes, change_xattrs, list, persist,
		forget};

	while (p->left > 0) {
		uint8_t call = byte(p);

		if (call < 250)
			calls[call % (sizeof calls / sizeof *calls)](p);
		else
			p->fs->read_only = call == 255;
	}
}

/* ---- in the end ------------------------------------------------------------------------------------- */

struct victim {
	char name[VFS_NAME_MAX + 1];
	uint64_t ino;
	uint32_t type;
};

static int take_one(void *context, const struct vfs_entry *e)
{
	struct victim *v = context;

	if (v->name[0])
		return 1;
	if (e->cookie > 2) {
		memcpy(v->name, e->name, e->name_size + 1);
		v->ino = e->ino;
		v->type = e->type;
	}
	return 0;
}

static void remove_all(struct vfs *fs, uint64_t directory)
{
	struct victim v;

	do {
		v = (struct victim){.type = 0};
		assert(vfs_readdir(fs, directory, VFS_NO_HANDLE, 0, false, take_one, &v) == 0);
		if (v.type == S_IFDIR)
			remove_all(fs, v.ino);
		if (v.name[0])
			assert((v.type == S_IFDIR ? vfs_rmdir(fs, directory, v.name)
						  : vfs_unlink(fs, directory, v.name)) == 0);
	} while (v.name[0]);
}

static void check_empty(struct vfs *fs, uint64_t used)
{
	struct vfs_attributes root;
	char names[1];

	/* What the root itself has got. */
	while (vfs_listxattr(fs, VFS_ROOT, names, 0) > 0) {
		static char list[64 << 10];

		assert(vfs_listxattr(fs, VFS_ROOT, list, sizeof list) > 0);
		assert(vfs_removexattr(fs, VFS_ROOT, list) == 0);
	}
	assert(memory_of(fs)->budget.used == used && memory_of(fs)->inodes == 1);
	assert(vfs_getattr(fs, VFS_ROOT, VFS_NO_HANDLE, &root) == 0 && root.links == 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory_options options = {.bytes = BYTES, .inodes = INODES, .handles = HANDLES};
	struct player p = {.at = data, .left = size};
	uint64_t used;

	if (memory_new(&options, &p.fs, NULL) < 0)
		abort();
	for (size_t i = 0; i < HANDLES; i++)
		p.handles[i].handle = VFS_NO_HANDLE;
	used = memory_of(p.fs)->budget.used;
	play(&p);
	p.fs->read_only = false;
	for (size_t i = 0; i < HANDLES; i++)
		vfs_release(p.fs, p.handles[i].ino, p.handles[i].handle);
	/* Numbers only grow, so these are all that ever were. */
	for (uint64_t ino = 2; ino < 2 + size; ino++)
		vfs_forget(p.fs, ino, UINT64_MAX);
	remove_all(p.fs, VFS_ROOT);
	check_empty(p.fs, used);
	vfs_destroy(p.fs);
	return 0;
}
