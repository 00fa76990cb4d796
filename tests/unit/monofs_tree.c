/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/siphash.h"
#include "monofs/check.h"
#include "monofs_place.h"
#include "test.h"

/* ---- as text ------------------------------------------------------------------------------------------- */

struct names {
	char (*list)[VFS_NAME_MAX + 1];
	size_t count, room;
};

static int take_name(void *context, const struct vfs_entry *e)
{
	struct names *n = context;

	if (!strcmp(e->name, ".") || !strcmp(e->name, ".."))
		return 0;
	if (n->count == n->room) {
		n->room = n->room ? n->room * 2 : 16;
		n->list = realloc(n->list, n->room * sizeof *n->list);
		CHECK(n->list);
	}
	memcpy(n->list[n->count++], e->name, e->name_size + 1);
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void put_contents(struct vfs *fs, const struct vfs_attributes *a, struct buffer *out)
{
	static uint8_t bytes[VFS_IO_MAX];
	const uint64_t seed[2] = {1, 2};
	uint64_t hash = 0;

	for (uint64_t at = 0; at < a->size;) {
		int64_t n = vfs_read(fs, a->ino, VFS_NO_HANDLE, bytes, sizeof bytes, at);

		if (n <= 0)
			test_fail(__FILE__, __LINE__, "read at %llu of %llu: %lld", (unsigned long long)at,
				(unsigned long long)a->size, (long long)n);
		hash = hash * 31 + siphash(seed, bytes, (size_t)n);
		at += (uint64_t)n;
	}
	buffer_format(out, " %llu %016llx", (unsigned long long)a->size, (unsigned long long)hash);
}

static void put_xattrs(struct vfs *fs, uint64_t ino, struct buffer *out)
{
	char names[4096];
	int64_t n = vfs_listxattr(fs, ino, names, sizeof names);
	struct names list = {0};

	CHECK(n >= 0);
	for (char *at = names; at < names + n; at += strlen(at) + 1)
		take_name(&list, &(struct vfs_entry){.name = at, .name_size = strlen(at)});
	if (list.count)
		qsort(list.list, list.count, sizeof *list.list, compare_names);
	for (size_t i = 0; i < list.count; i++) {
		static uint8_t value[VFS_XATTR_VALUE_MAX];
		const uint64_t seed[2] = {1, 2};
		int64_t size = vfs_getxattr(fs, ino, list.list[i], value, sizeof value);

		CHECK(size >= 0);
		buffer_format(out, " %s=%lld:%llx", list.list[i], (long long)size,
			(unsigned long long)siphash(seed, value, (size_t)size));
	}
	free(list.list);
}

static void put_object(struct vfs *fs, const struct vfs_attributes *a, bool all, struct buffer *out)
{
	buffer_format(out, " %o %u:%u", a->mode, a->uid, a->gid);
	if (!S_ISDIR(a->mode))
		buffer_format(out, " links %u", a->links);
	if (S_ISREG(a->mode))
		put_contents(fs, a, out);
	if (S_ISLNK(a->mode)) {
		char target[VFS_PATH_MAX + 1];

		CHECK_INT(vfs_readlink(fs, a->ino, target), 0);
		buffer_format(out, " -> %s", target);
	}
	if (S_ISCHR(a->mode) || S_ISBLK(a->mode))
		buffer_format(out, " %u,%u", a->major, a->minor);
	if (all)
		buffer_format(out, " %lld.%u %llu.%llu", (long long)a->mtime.seconds, a->mtime.nanoseconds,
			(unsigned long long)a->ino, (unsigned long long)a->generation);
	put_xattrs(fs, a->ino, out);
	buffer_append_text(out, "\n");
}

static void put_directory(struct vfs *fs, uint64_t ino, const char *path, bool all, struct buffer *out)
{
	struct names names = {0};
	char deeper[1024];

	CHECK_INT(vfs_readdir(fs, ino, VFS_NO_HANDLE, 0, false, take_name, &names), 0);
	if (names.count)
		qsort(names.list, names.count, sizeof *names.list, compare_names);
	for (size_t i = 0; i < names.count; i++) {
		struct vfs_attributes a;
		int r = vfs_lookup(fs, ino, names.list[i], &a);

		if (r < 0)
			test_fail(__FILE__, __LINE__, "look up %s%s: %d", path, names.list[i], r);
		snprintf(deeper, sizeof deeper, "%s%s/", path, names.list[i]);
		buffer_format(out, "%s%s", path, names.list[i]);
		put_object(fs, &a, all, out);
		if (S_ISDIR(a.mode))
			put_directory(fs, a.ino, deeper, all, out);
		vfs_forget(fs, a.ino, 1);
	}
	free(names.list);
}

char *tree_text(struct vfs *fs, bool all)
{
	struct buffer out = {0};
	struct vfs_attributes a;

	CHECK_INT(vfs_getattr(fs, VFS_ROOT, VFS_NO_HANDLE, &a), 0);
	if (all)
		put_object(fs, &a, all, &out);
	put_directory(fs, VFS_ROOT, "", all, &out);
	buffer_append_text(&out, "");
	return buffer_take_text(&out);
}

void tree_check_equal(const char *file, int line, const char *a, const char *b)
{
	const char *x = a, *y = b;

	if (!strcmp(a, b))
		return;
	while (*x && *y && !strncmp(x, y, strcspn(x, "\n") + 1)) {
		size_t n = strcspn(x, "\n") + 1;

		x += n;
		y += n;
	}
	test_fail(file, line, "trees differ: has \"%.*s\", expected \"%.*s\"", (int)strcspn(x, "\n"), x,
		(int)strcspn(y, "\n"), y);
}

/* ---- random changes ------------------------------------------------------------------------------------ */

static uint64_t roll(struct tree_changer *c, uint64_t below)
{
	return monofs_random(&c->random) % below;
}

struct where {
	const char *directory, *name;
};

static const char *const directories[] = {"", "a", "b", "a/c", "a/c/d", "b/e"};
static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};

static struct where somewhere(struct tree_changer *c)
{
	return (struct where){directories[roll(c, 6)], names[roll(c, 10)]};
}

/* Looked up: forgotten by the caller; VFS_ROOT needs none. */
static int find(struct vfs *fs, const char *path, uint64_t *ino)
{
	struct vfs_attributes a;
	char name[64];

	*ino = VFS_ROOT;
	while (*path) {
		size_t n = strcspn(path, "/");
		int r;

		memcpy(name, path, n);
		name[n] = 0;
		r = vfs_lookup(fs, *ino, name, &a);
		vfs_forget(fs, *ino, 1);
		if (r < 0)
			return r;
		*ino = a.ino;
		path += n + (path[n] == '/');
	}
	return 0;
}

static int find_object(struct vfs *fs, const struct where *w, struct vfs_attributes *a)
{
	uint64_t d;
	int r = find(fs, w->directory, &d);

	if (r < 0)
		return r;
	r = vfs_lookup(fs, d, w->name, a);
	vfs_forget(fs, d, 1);
	return r;
}

/* What a change is, so that all do the same. */
struct change {
	unsigned kind;
	struct where at, to;
	uint64_t offset, size, seed;
	uint32_t mode;
	unsigned flags;
};

static int make(struct vfs *fs, const struct change *k, struct vfs_attributes *a)
{
	const struct vfs_caller me = {.uid = 0, .gid = 0};
	uint64_t d;
	int r = find(fs, k->at.directory, &d);

	if (r < 0)
		return r;
	if (k->kind == 0)
		r = vfs_mkdir(fs, &me, d, k->at.name, k->mode, a);
	else if (k->kind == 1)
		r = vfs_symlink(fs, &me, d, k->at.name, "some/target", a);
	else if (k->kind == 2)
		r = vfs_mknod(fs, &me, d, k->at.name, (k->seed % 2 ? S_IFIFO : S_IFCHR) | k->mode, 3, 7, a);
	else
		r = vfs_mknod(fs, &me, d, k->at.name, S_IFREG | k->mode, 0, 0, a);
	if (r == 0)
		vfs_forget(fs, a->ino, 1);
	vfs_forget(fs, d, 1);
	return r;
}

static int64_t change_file(struct vfs *fs, const struct change *k)
{
	static uint8_t bytes[256u << 10];
	const struct vfs_caller me = {.uid = 0, .gid = 0};
	struct vfs_attributes a, v = {.size = k->offset};
	int64_t r = find_object(fs, &k->at, &a);

	if (r < 0)
		return r;
	monofs_bytes(bytes, (k->size + 7) / 8 * 8, k->seed);
	if (k->kind == 4)
		r = vfs_write(fs, a.ino, VFS_NO_HANDLE, bytes, k->size, k->offset);
	else if (k->kind == 5)
		r = vfs_setattr(fs, &me, a.ino, VFS_NO_HANDLE, &v, VFS_SET_SIZE, &v);
	else
		r = vfs_allocate(fs, a.ino, VFS_NO_HANDLE,
			k->seed % 2 ? VFS_PUNCH_HOLE | VFS_KEEP_SIZE : VFS_ZERO_RANGE, k->offset,
			k->size + 1);
	vfs_forget(fs, a.ino, 1);
	return r;
}

static int change_attributes(struct vfs *fs, const struct change *k)
{
	const struct vfs_caller me = {.uid = 0, .gid = 0};
	struct vfs_attributes a,
		v = {.mode = k->mode,
			.uid = (uint32_t)(k->seed % 3),
			.gid = (uint32_t)(k->seed % 5),
			.mtime = {(int64_t)(k->seed % 2000000) - 1000000, (uint32_t)(k->seed % 1000)}};
	static uint8_t value[1024];
	int r = find_object(fs, &k->at, &a);

	if (r < 0)
		return r;
	monofs_bytes(value, sizeof value, k->seed);
	if (k->kind == 7)
		r = vfs_setattr(fs, &me, a.ino, VFS_NO_HANDLE, &v,
			VFS_SET_MODE | VFS_SET_UID | VFS_SET_GID | VFS_SET_MTIME, &v);
	else if (k->seed % 4)
		r = vfs_setxattr(fs, a.ino, k->seed % 2 ? "user.one" : "user.two", value, k->size % 1024, 0);
	else
		r = vfs_removexattr(fs, a.ino, "user.one");
	vfs_forget(fs, a.ino, 1);
	return r;
}

static int change_names(struct vfs *fs, const struct change *k)
{
	struct vfs_attributes a;
	uint64_t from, to;
	int r = find(fs, k->at.directory, &from);

	if (r < 0)
		return r;
	r = find(fs, k->to.directory, &to);
	if (r < 0) {
		vfs_forget(fs, from, 1);
		return r;
	}
	if (k->kind == 9)
		r = vfs_unlink(fs, from, k->at.name);
	else if (k->kind == 10)
		r = vfs_rmdir(fs, from, k->at.name);
	else if (k->kind == 11)
		r = vfs_rename(fs, from, k->at.name, to, k->to.name, k->flags);
	else if ((r = find_object(fs, &k->at, &a)) == 0) {
		uint64_t ino = a.ino;

		r = vfs_link(fs, ino, to, k->to.name, &a);
		vfs_forget(fs, ino, r == 0 ? 2 : 1);
	}
	vfs_forget(fs, from, 1);
	vfs_forget(fs, to, 1);
	return r;
}

static int64_t change(struct vfs *fs, const struct change *k)
{
	struct vfs_attributes a;

	if (k->kind <= 3)
		return make(fs, k, &a);
	if (k->kind <= 6)
		return change_file(fs, k);
	return k->kind <= 8 ? change_attributes(fs, k) : change_names(fs, k);
}

void tree_change(struct tree_changer *c)
{
	/* By how often: files are made and written most. */
	static const uint8_t kinds[] = {
		0, 0, 0, 1, 2, 3, 3, 3, 4, 4, 4, 4, 4, 5, 6, 7, 8, 9, 10, 11, 11, 11, 12, 12};
	struct change k = {.kind = kinds[roll(c, sizeof kinds)],
		.at = somewhere(c),
		.to = somewhere(c),
		.seed = monofs_random(&c->random),
		.mode = 0400 | (uint32_t)roll(c, 01000),
		.flags = roll(c, 4)   ? 0
			 : roll(c, 2) ? VFS_EXCHANGE
				      : VFS_NO_REPLACE};
	int64_t first;

	k.offset = roll(c, 4) ? roll(c, 3000) : roll(c, 1u << 20);
	k.size = roll(c, 8) ? roll(c, 600) : roll(c, 200u << 10);
	first = change(c->fs[0], &k);
	for (unsigned i = 1; i < c->count; i++) {
		int64_t r = change(c->fs[i], &k);

		if (r != first)
			test_fail(__FILE__, __LINE__, "change %u of %s/%s to %s/%s: %lld, expected %lld",
				k.kind, k.at.directory, k.at.name, k.to.directory, k.to.name,
				(long long)first, (long long)r);
	}
}

/* ---- the repository ---- */

static void damaged(void *context, const char *what, const char *revision, const char *path, const char *why)
{
	(void)context;
	test_fail(__FILE__, __LINE__, "damaged: %s (%s, %s): %s", what, revision ? revision : "",
		path ? path : "", why);
}

uint64_t tree_check_clean(struct repository *r)
{
	const struct check_options o = {.read_data = true, .damaged = damaged};
	struct check_result result;
	struct error err;

	CHECK_OK(check_repository(r, &o, &result, &err));
	CHECK_INT(result.damaged, 0);
	return result.commits;
}
