/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stranger's archive of a staged volume, beside a directory and applied to it. The bytes are what is in the
 * directory, then either the archive as it is (its checksums made right), or what is to be written as one.
 *
 *   - neither does harm, and what is told makes sense: each path once, in order, before and after as the kind
 * says;
 *   - in pieces it means the same;
 *   - what was applied as a whole is no change any more, and nothing temporary is left;
 *   - without a selection nothing is changed.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "codec/tar.h"
#include "codec/tar_block.h"
#include "sandbox/stage/stage.h"
#include "vfs/memory/memory.h"

#define CHECKSUM_AT 148
#define ENTRIES     24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct player {
	const uint8_t *at;
	size_t left;
};

static const char *const names[] = {"a", "b", "c", "d", ".git", "..", "x/y", ""};
static const struct vfs_caller who = {.uid = 0};

static uint8_t byte(struct player *p)
{
	if (!p->left)
		return 0;
	p->left--;
	return *p->at++;
}

/* ---- the host ------------------------------------------------------------------------------------------ */

static void make_one(struct player *p, struct vfs *fs, uint64_t parent, uint64_t *file)
{
	const char *name = names[byte(p) % 4];
	struct vfs_attributes a;
	vfs_handle handle;

	switch (byte(p) % 6) {
	case 0:
	case 1:
		if (vfs_create(fs, &who, parent, name, 0644, VFS_WRITE, &a, &handle) < 0)
			return;
		assert(vfs_write(fs, a.ino, handle, "text", byte(p) % 5, 0) >= 0);
		vfs_release(fs, a.ino, handle);
		*file = a.ino; /* not forgotten: it lives as long as the file system */
		break;
	case 2:
		vfs_symlink(fs, &who, parent, name, names[byte(p) % 4], &a);
		break;
	case 3:
		if (*file)
			vfs_link(fs, *file, parent, name, &a);
		break;
	default:
		if (vfs_mkdir(fs, &who, parent, name, 0755, &a) == 0)
			for (unsigned n = byte(p) % 4; n; n--)
				make_one(p, fs, a.ino, file);
	}
}

static struct vfs *make_host(struct player *p)
{
	const struct memory_options o = {.bytes = 8 << 20, .inodes = 4096};
	struct error err;
	struct vfs *fs;
	uint64_t file = 0;

	assert(memory_new(&o, &fs, &err) == 0);
	for (unsigned n = byte(p) % 8; n; n--)
		make_one(p, fs, VFS_ROOT, &file);
	return fs;
}

/* ---- the archive --------------------------------------------------------------------------------------- */

static void put_path(struct player *p, char *out, size_t room)
{
	unsigned parts = 1 + byte(p) % 3;

	out[0] = '\0';
	while (parts--) {
		const char *name = names[byte(p) % 16 < 14 ? byte(p) % 5 : byte(p) % 8];

		strncat(out, name, room - strlen(out) - 1);
		if (parts)
			strncat(out, "/", room - strlen(out) - 1);
	}
	if (!*out)
		strcpy(out, ".");
}

static void put_entry(struct player *p, struct buffer *tar)
{
	static const enum tar_type types[] = {TAR_FILE, TAR_FILE, TAR_DIRECTORY, TAR_DIRECTORY,
		TAR_SYMBOLIC_LINK, TAR_HARD_LINK, TAR_CHARACTER_DEVICE, TAR_FIFO, TAR_BLOCK_DEVICE};
	static const char *const marks[] = {
		"trusted.overlay.opaque", "trusted.overlay.origin", "user.x", "system.x", "security.x"};
	char path[64], link[64], text[] = "text and more", value[] = "y";
	struct tar_xattr x = {(char *)(uintptr_t)marks[byte(p) % 5], (uint8_t *)value, byte(p) % 2};
	struct tar_entry e = {.type = types[byte(p) % 9],
		.path = path,
		.link = link,
		.mode = byte(p) * 16u & 07777,
		.uid = byte(p) % 2,
		.mtime = byte(p),
		.xattrs = &x,
		.xattr_count = byte(p) % 4 == 0};
	static const char zeroes[512];
	struct error err;

	put_path(p, path, sizeof path);
	put_path(p, link, sizeof link);
	if (e.type == TAR_FILE)
		e.size = byte(p) % sizeof text;
	if (e.type == TAR_CHARACTER_DEVICE)
		e.device_minor = byte(p) % 2;
	if (tar_write_entry(tar, &e, &err) < 0 || e.type != TAR_FILE)
		return;
	buffer_append(tar, text, e.size);
	buffer_append(tar, zeroes, tar_padding(e.size));
}

static void make_archive(struct player *p, struct buffer *tar)
{
	if (byte(p) % 4) {
		for (unsigned n = byte(p) % ENTRIES; n; n--)
			put_entry(p, tar);
		return;
	}
	buffer_append(tar, p->at, p->left);
	for (size_t at = 0; at + 512 <= tar->size; at += 512) {
		unsigned sum = 0;

		memset(tar->data + at + CHECKSUM_AT, ' ', 8);
		for (size_t i = 0; i < 512; i++)
			sum += tar->data[at + i];
		for (int i = 5; i >= 0; i--, sum >>= 3)
			tar->data[at + CHECKSUM_AT + (size_t)i] = (uint8_t)('0' + (sum & 7));
		tar->data[at + CHECKSUM_AT + 6] = 0;
	}
}

/* ---- what holds ---------------------------------------------------------------------------------------- */

static int compare(
	const struct stage_view *v, const struct buffer *tar, size_t piece, struct stage_changes *c)
{
	struct stage_diff *d = NULL;
	struct error err;
	int r = stage_diff_new(v, &d, &err);

	*c = (struct stage_changes){0};
	for (size_t at = 0; r == 0 && at < tar->size; at += piece)
		r = stage_diff_feed(d, tar->data + at, tar->size - at < piece ? tar->size - at : piece, &err);
	if (r == 0)
		r = stage_diff_finish(d, c, &err);
	stage_diff_free(d);
	return r;
}

static void check_changes(const struct stage_changes *c)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct stage_change *x = &c->list[i];

		assert(!i || strcmp(x->path, c->list[i - 1].path) != 0);
		assert(*x->path != '/' && !strstr(x->path, "//") && strcmp(x->path, "..") != 0);
		assert((x->kind == STAGE_ADDED) == !x->before.mode);
		assert((x->kind == STAGE_DELETED) == !x->after.mode);
		assert((x->kind == STAGE_DELETED) == (x->entry == UINT64_MAX));
		if (x->kind == STAGE_MODIFIED)
			assert((x->before.mode & S_IFMT) == (x->after.mode & S_IFMT));
		if (x->kind == STAGE_TYPE)
			assert((x->before.mode & S_IFMT) != (x->after.mode & S_IFMT));
	}
}

struct made {
	size_t count;
	struct map paths;
};

static void note(void *context, const struct stage_change *c, uint64_t changed)
{
	static uint64_t never;
	struct made *made = context;
	struct error err;

	assert(c->selected && (changed != 0) == (c->kind != STAGE_DELETED));
	made->count++;
	if (changed)
		assert(map_set(&made->paths, c->path, strlen(c->path) + 1, &never, NULL, &err) == 0);
}

static int apply(const struct stage_view *v, const struct buffer *tar, const struct stage_changes *c,
	struct made *made)
{
	struct stage_apply *a = NULL;
	struct error err;
	int r = stage_apply_new(v, c, note, made, &a, &err);

	if (r == 0)
		r = stage_apply_feed(a, tar->data, tar->size, &err);
	if (r == 0)
		r = stage_apply_finish(a, &err);
	stage_apply_free(a);
	return r;
}

/* The sandbox has deleted all that came from it. */
static void undo(const struct stage_view *v, struct made *made)
{
	const struct buffer nothing = {0};
	struct stage_changes c;

	assert(compare(v, &nothing, 1, &c) == 0);
	check_changes(&c);
	for (size_t i = 0; i < c.count; i++)
		assert(c.list[i].kind == STAGE_DELETED);
	assert(apply(v, &nothing, &c, made) == 0);
	stage_changes_free(&c);
	assert(compare(v, &nothing, 1, &c) == 0 && c.count == 0);
	stage_changes_free(&c);
}

static int find_temporary(void *context, const struct vfs_entry *e)
{
	(void)context;
	assert(e->name_size < 16 || memcmp(e->name, ".monocore-apply-", 16) != 0);
	return 0;
}

static void play(struct vfs *fs, const struct buffer *tar)
{
	static char *nothing[] = {NULL};
	struct stage_view v = {.fs = fs, .created = UINT64_MAX, .paths = nothing};
	struct stage_changes c, again;
	struct made made = {0};
	int r = compare(&v, tar, tar->size + 1, &c);

	check_changes(&c);
	assert(compare(&v, tar, 7, &again) == r && (r < 0 || again.count == c.count));
	stage_changes_free(&again);
	assert(c.unselected == c.count);
	if (r == 0)
		assert(apply(&v, tar, &c, &made) == 0 && made.count == 0);
	stage_changes_free(&c);
	v.paths = NULL;
	if (r == 0 && compare(&v, tar, tar->size + 1, &c) == 0) {
		r = apply(&v, tar, &c, &made);
		assert(r < 0 || made.count == c.count);
		v.applied = &made.paths;
		assert(compare(&v, tar, tar->size + 1, &again) == 0);
		assert(r < 0 || again.count == 0);
		stage_changes_free(&again);
		stage_changes_free(&c);
		undo(&v, &made);
	}
	map_free(&made.paths);
	vfs_readdir(fs, VFS_ROOT, VFS_NO_HANDLE, 0, false, find_temporary, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct player p = {data, size};
	struct vfs *fs = make_host(&p);
	struct buffer tar = {0};

	make_archive(&p, &tar);
	if (!tar.failed)
		play(fs, &tar);
	buffer_free(&tar);
	vfs_destroy(fs);
	return 0;
}
