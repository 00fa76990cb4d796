/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stranger's calls on a union of two layers below one, and layers that a stranger made: each byte string is
 * the layers' content, marks included, and then a sequence of calls, with numbers and handles of all kinds.
 *
 *   - no call does harm, and the lower layers stay what they were;
 *   - what is listed is found, with the same number and type; marks are not;
 *   - when nothing is under way, the work directory has nothing in it but the index;
 *   - set up anew, the union shows the same.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vfs/memory/memory.h"
#include "vfs/overlay/overlay.h"

#define LOWERS  2
#define NUMBERS 16
#define HANDLES 8
#define DEPTH   12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct player {
	const uint8_t *at;
	size_t left;
	struct vfs *lowers[LOWERS], *upper, *fs;
	struct overlay_options options;
	uint64_t numbers[NUMBERS]; /* each looked up once; 0: none */
	struct {
		vfs_handle handle;
		uint64_t ino;
	} handles[HANDLES];
	uint8_t persistent[VFS_PERSISTENT_MAX];
	size_t persistent_size;
};

static const char *const names[] = {"a", "b", "c", "d", ".wh.a", ".wh.b", ".wh.c", ".wh..wh..opq"};
static const struct vfs_caller who = {.uid = 0};

static uint8_t byte(struct player *p)
{
	if (p->left == 0)
		return 0;
	p->left--;
	return *p->at++;
}

static const char *name(struct player *p)
{
	return names[byte(p) % 8];
}

static uint64_t *slot(struct player *p)
{
	return &p->numbers[byte(p) % NUMBERS];
}

static uint64_t number(struct player *p)
{
	uint64_t ino = *slot(p);

	return ino ? ino : byte(p) & 1 ? VFS_ROOT : byte(p) * 0x0101010101ull;
}

static void keep(struct player *p, int r, const struct vfs_attributes *a)
{
	uint64_t *to = slot(p);

	if (r != 0)
		return;
	assert(a->mode & S_IFMT);
	if (*to)
		vfs_forget(p->fs, *to, 1);
	*to = a->ino;
}

/* ---- layers ----------------------------------------------------------------------------------------- */

static void make_one(struct player *p, struct vfs *fs, uint64_t parent, uint64_t *file)
{
	struct vfs_attributes a;
	const char *text = name(p);
	int r = -EINVAL;

	switch (byte(p) % 7) {
	case 0:
	case 1:
		r = vfs_mkdir(fs, &who, parent, text, 0755, &a);
		break;
	case 2:
		r = vfs_mknod(fs, &who, parent, text, S_IFCHR | 0600, 0, byte(p) & 1, &a);
		break;
	case 3:
		r = vfs_symlink(fs, &who, parent, text, "target", &a);
		break;
	case 4:
		r = *file ? vfs_link(fs, *file, parent, text, &a) : -ENOENT;
		break;
	case 5:
		vfs_setxattr(fs, parent, byte(p) & 1 ? "trusted.overlay.opaque" : "user.overlay.opaque", "y",
			1, 0);
		return;
	default:
		r = vfs_mknod(fs, &who, parent, text, S_IFREG | 0644, 0, 0, &a);
		if (r == 0) {
			*file = a.ino;
			vfs_write(fs, a.ino, VFS_NO_HANDLE, "lower", 5, byte(p) * 100u);
		}
	}
	if (r == 0 && a.ino != *file)
		vfs_forget(fs, a.ino, 1);
}

/* The root is known as long as the layer is. */
static void make_layer(struct player *p, struct vfs *fs, uint64_t root)
{
	uint64_t file = 0, parent;

	for (unsigned n = byte(p) % 32; n > 0; n--) {
		struct vfs_attributes a;

		parent = root;
		for (unsigned depth = byte(p) % 3; depth > 0; depth--) {
			if (vfs_lookup(fs, parent, name(p), &a) < 0)
				continue;
			if (S_ISDIR(a.mode))
				parent = a.ino;
		}
		make_one(p, fs, parent, &file);
	}
}

static uint64_t sum(struct vfs *fs, uint64_t ino, unsigned depth);

struct summing {
	struct vfs *fs;
	uint64_t total;
	unsigned depth;
	bool is_union;
	uint64_t directory;
};

static int add(void *context, const struct vfs_entry *e)
{
	struct summing *s = context;
	const struct vfs_attributes *a = e->attributes;
	char text[VFS_NAME_MAX + 1];
	struct vfs_attributes found;

	if (!a)
		return 0;
	memcpy(text, e->name, e->name_size);
	text[e->name_size] = 0;
	if (s->is_union) {
		assert(strncmp(text, ".wh.", 4) != 0 && !(S_ISCHR(a->mode) && !a->major && !a->minor));
		assert(vfs_lookup(s->fs, s->directory, text, &found) == 0);
		assert(found.ino == e->ino && (found.mode & S_IFMT) == e->type);
		vfs_forget(s->fs, found.ino, 1);
	}
	for (size_t i = 0; i < e->name_size; i++)
		s->total = s->total * 31 + (uint8_t)text[i];
	s->total = s->total * 31 + a->mode;
	s->total = s->total * 31 + a->uid;
	if (!S_ISDIR(a->mode))
		s->total = s->total * 31 + a->size;
	if (S_ISDIR(a->mode) && s->depth)
		s->total = s->total * 31 + sum(s->fs, e->ino, s->depth - 1);
	vfs_forget(s->fs, e->ino, 1);
	return 0;
}

static uint64_t sum(struct vfs *fs, uint64_t ino, unsigned depth)
{
	struct summing s = {.fs = fs, .total = 7, .depth = depth, .directory = ino};

	s.is_union = !strcmp(fs->operations->name, "overlay");
	assert(vfs_readdir(fs, ino, VFS_NO_HANDLE, 0, true, add, &s) == 0);
	return s.total;
}

/* ---- calls ------------------------------------------------------------------------------------------ */

static int forget_listed(void *context, const struct vfs_entry *e)
{
	if (e->attributes)
		vfs_forget(context, e->ino, 1);
	return 0;
}

static int drop_change(void *context, const struct overlay_change *c)
{
	(void)context;
	assert(c->before || c->now);
	assert(!strstr(c->path, ".wh."));
	return 0;
}

static void play_names(struct player *p, uint8_t call)
{
	struct vfs_attributes a;
	uint64_t ino = number(p), other = number(p);
	const char *text = name(p);
	int r;

	switch (call % 8) {
	case 0:
		keep(p, vfs_mkdir(p->fs, &who, ino, text, 0700, &a), &a);
		break;
	case 1:
		keep(p, vfs_mknod(p->fs, &who, ino, text, byte(p) & 1 ? S_IFREG : S_IFCHR, 0, 0, &a), &a);
		break;
	case 2:
		keep(p, vfs_symlink(p->fs, &who, ino, text, "x", &a), &a);
		break;
	case 3:
		keep(p, vfs_link(p->fs, other, ino, text, &a), &a);
		break;
	case 4:
		vfs_unlink(p->fs, ino, text);
		break;
	case 5:
		vfs_rmdir(p->fs, ino, text);
		break;
	case 6:
		r = vfs_rename(p->fs, ino, text, other, name(p), byte(p) % 3);
		assert(r <= 0);
		break;
	default:
		keep(p, vfs_lookup(p->fs, ino, text, &a), &a);
	}
}

static void play_data(struct player *p, uint8_t call)
{
	struct vfs_attributes a = {.size = byte(p), .mode = byte(p), .uid = byte(p)};
	uint8_t bytes[64] = {0};
	unsigned i = byte(p) % HANDLES;
	uint64_t ino = p->handles[i].ino ? p->handles[i].ino : number(p);
	vfs_handle handle = p->handles[i].ino ? p->handles[i].handle : byte(p) & 1 ? byte(p) : VFS_NO_HANDLE;

	switch (call % 8) {
	case 0:
		if (p->handles[i].ino)
			vfs_release(p->fs, ino, handle);
		p->handles[i].ino = 0;
		ino = number(p);
		if (vfs_open(p->fs, ino, byte(p) % 16, &p->handles[i].handle) == 0)
			p->handles[i].ino = ino;
		break;
	case 1:
		assert(vfs_read(p->fs, ino, handle, bytes, sizeof bytes, byte(p)) <= (int)sizeof bytes);
		break;
	case 2:
		vfs_write(p->fs, ino, handle, bytes, byte(p) % sizeof bytes, byte(p) * 64u);
		break;
	case 3:
		vfs_setattr(p->fs, &who, ino, handle, &a, byte(p) % 16, &a);
		break;
	case 4:
		vfs_setxattr(p->fs, ino, byte(p) & 1 ? "user.overlay.opaque" : "user.x", "y", 1, 0);
		break;
	case 5:
		vfs_seek(p->fs, ino, handle, byte(p), VFS_SEEK_HOLE);
		break;
	case 6:
		vfs_removexattr(p->fs, ino, "user.x");
		break;
	default:
		vfs_fsync(p->fs, ino, handle, false);
	}
}

static void play_others(struct player *p, uint8_t call)
{
	struct vfs_attributes a;
	uint64_t *ino;

	switch (call % 5) {
	case 0:
		vfs_readdir(p->fs, number(p), VFS_NO_HANDLE, 0, byte(p) & 1, forget_listed, p->fs);
		break;
	case 1:
		ino = slot(p);
		if (*ino)
			vfs_forget(p->fs, *ino, 1);
		*ino = 0;
		break;
	case 2:
		if (vfs_persist(p->fs, number(p), p->persistent, &p->persistent_size) < 0)
			p->persistent_size = 0;
		break;
	case 3:
		keep(p, vfs_resolve(p->fs, p->persistent, p->persistent_size, &a), &a);
		break;
	default:
		assert(overlay_changes(p->fs, drop_change, NULL) == 0);
	}
}

static void let_go(struct player *p)
{
	for (unsigned i = 0; i < HANDLES; i++)
		if (p->handles[i].ino)
			vfs_release(p->fs, p->handles[i].ino, p->handles[i].handle);
	for (unsigned i = 0; i < NUMBERS; i++)
		if (p->numbers[i])
			vfs_forget(p->fs, p->numbers[i], 1);
	memset(p->handles, 0, sizeof p->handles);
	memset(p->numbers, 0, sizeof p->numbers);
}

static int check_work(void *context, const struct vfs_entry *e)
{
	(void)context;
	assert(e->name[0] == '.' || (e->name_size == 5 && !memcmp(e->name, "index", 5)));
	return 0;
}

static struct vfs *new_memory(void)
{
	struct memory_options options = {.bytes = 8 << 20, .inodes = 4096};
	struct vfs *fs = NULL;

	assert(memory_new(&options, &fs, NULL) == 0);
	return fs;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct player p = {.at = data, .left = size};
	struct overlay_layer lowers[LOWERS];
	struct vfs_attributes a;
	uint64_t sums[LOWERS], all;

	for (unsigned i = 0; i < LOWERS; i++) {
		p.lowers[i] = new_memory();
		make_layer(&p, p.lowers[i], VFS_ROOT);
		sums[i] = sum(p.lowers[i], VFS_ROOT, DEPTH);
		lowers[i] = (struct overlay_layer){p.lowers[i], VFS_ROOT};
	}
	p.upper = new_memory();
	assert(vfs_mkdir(p.upper, &who, VFS_ROOT, "work", 0755, &a) == 0);
	p.options = (struct overlay_options){.lowers = lowers,
		.lower_count = LOWERS,
		.work = a.ino,
		.form = byte(&p) % 3,
		.unsynced = true,
		.remembered = 4};
	assert(vfs_mkdir(p.upper, &who, VFS_ROOT, "upper", 0755, &a) == 0);
	p.options.upper = (struct overlay_layer){p.upper, a.ino};
	make_layer(&p, p.upper, a.ino);
	assert(overlay_new(&p.options, &p.fs, NULL) == 0);
	while (p.left) {
		uint8_t call = byte(&p);

		if (call & 1)
			play_names(&p, call >> 2);
		else if (call & 2)
			play_data(&p, call >> 2);
		else
			play_others(&p, call >> 2);
	}
	let_go(&p);
	all = sum(p.fs, VFS_ROOT, DEPTH);
	vfs_destroy(p.fs);
	assert(vfs_readdir(p.upper, p.options.work, VFS_NO_HANDLE, 0, false, check_work, NULL) == 0);
	assert(overlay_new(&p.options, &p.fs, NULL) == 0);
	assert(sum(p.fs, VFS_ROOT, DEPTH) == all);
	vfs_destroy(p.fs);
	for (unsigned i = 0; i < LOWERS; i++) {
		assert(sum(p.lowers[i], VFS_ROOT, DEPTH) == sums[i]);
		vfs_destroy(p.lowers[i]);
	}
	vfs_destroy(p.upper);
	return 0;
}
