/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deletions of what makes room for something else come first, all others last; in between the archive is
 * read, and what is selected of it is made: files under a temporary name in the root, from where a rename
 * puts them in their place.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "sandbox/stage/object.h"

#define TEMPORARY      ".monocore-apply-"
#define TEMPORARY_SIZE (sizeof TEMPORARY + 32)

struct level {
	struct object host; /* the directory there; none until something is made in it */
	char *name;
	struct tar_entry look; /* of the directory in the sandbox: mode and owner */
};

struct stage_apply {
	struct stage_view view;
	struct stage_reader *reader;
	stage_applied *tell;
	void *context;
	const struct stage_changes *changes;
	const struct stage_change **by_entry; /* of the archive, selected */
	size_t count, next;
	struct level *levels;
	size_t depth, room;
	char temporary[TEMPORARY_SIZE];

	/* The entry at hand, where it is to be made. */
	const struct stage_change *change; /* NULL: it is not */
	const struct stage_entry *entry;
	struct stage_entry copy;
	struct object made; /* under the temporary name */
	vfs_handle handle;
};

static const struct vfs_caller nobody_special = {0};

/* ---- deletions ----------------------------------------------------------------------------------------- */

static int delete (struct stage_apply *a, const struct stage_change *c, struct error *err)
{
	_cleanup_object_ struct object parent = OBJECT_NONE;
	const char *name;
	int r = object_walk_parent(a->view.fs, c->path, &parent, &name, err);

	if (r < 0 || !object_there(&parent))
		return r;
	r = S_ISDIR(c->before.mode) ? vfs_rmdir(a->view.fs, parent.a.ino, name)
				    : vfs_unlink(a->view.fs, parent.a.ino, name);
	if (r == -ENOTEMPTY || r == -EEXIST)
		return error_set(err, ERROR_BUSY,
			"'%s' holds files that are not to be deleted: 'monocore volume diff' shows what is",
			c->path);
	if (r == -EISDIR || r == -EPERM)
		return error_set(err, ERROR_BUSY, "'%s' became a directory meanwhile", c->path);
	if (r < 0 && r != -ENOENT && r != -ENOTDIR)
		return error_errno(err, -r, "delete '%s'", c->path);
	a->tell(a->context, c, 0);
	return 0;
}

/* What is in a directory comes before it. */
static int delete_all(struct stage_apply *a, bool replaced, struct error *err)
{
	int r = 0;

	for (size_t i = a->changes->count; r == 0 && i--;) {
		const struct stage_change *c = &a->changes->list[i];

		if (c->kind == STAGE_DELETED && c->selected && c->replaced == replaced)
			r = delete (a, c, err);
	}
	return r;
}

/* ---- directories --------------------------------------------------------------------------------------- */

static void level_free(struct level *l)
{
	object_put(&l->host);
	free(l->name);
}

static int make_directory(struct stage_apply *a, uint64_t parent, const char *name,
	const struct stage_entry *e, struct object *o, struct error *err)
{
	int r = vfs_mkdir(a->view.fs, &nobody_special, parent, name, 0700, &o->a);

	o->fs = a->view.fs;
	if (r < 0) {
		*o = OBJECT_NONE;
		return error_errno(err, -r, "make the directory '%s'", e->path);
	}
	return object_dress(&a->view, o, e, err);
}

/* The directories around the entry at hand, made where they are missing. */
static int open_around(struct stage_apply *a, struct error *err)
{
	int r = 0;

	for (size_t i = 1; r == 0 && i < a->depth; i++) {
		struct level *l = &a->levels[i];
		const struct stage_entry as = {
			.path = l->name, .tar = &l->look, .mode = S_IFDIR | l->look.mode};
		uint64_t parent = a->levels[i - 1].host.a.ino;

		if (object_there(&l->host))
			continue;
		r = object_find(a->view.fs, parent, l->name, l->name, &l->host, err);
		if (r == 0 && !object_there(&l->host))
			r = make_directory(a, parent, l->name, &as, &l->host, err);
		if (r == 0 && !S_ISDIR(l->host.a.mode)) {
			object_put(&l->host);
			r = error_set(err, ERROR_BUSY,
				"'%s' is in '%s', which is no directory here: apply that", a->entry->path,
				l->name);
		}
	}
	return r;
}

static int enter(struct stage_apply *a, const struct stage_entry *e, struct error *err)
{
	if (a->depth == a->room) {
		struct level *grown = reallocarray(a->levels, 2 * a->room, sizeof *grown);

		if (!grown)
			return error_no_memory(err, "apply");
		a->levels = grown;
		a->room *= 2;
	}
	a->levels[a->depth] = (struct level){.name = text_copy(e->name, err),
		.look = {.mode = e->tar->mode, .uid = e->tar->uid, .gid = e->tar->gid}};
	if (!a->levels[a->depth].name)
		return -ERROR_NO_MEMORY;
	a->depth++;
	return 0;
}

static int on_leave(void *context, struct error *err)
{
	struct stage_apply *a = context;

	(void)err;
	level_free(&a->levels[--a->depth]);
	return 0;
}

/* ---- objects ------------------------------------------------------------------------------------------- */

static uint64_t parent_of(const struct stage_apply *a)
{
	return a->levels[a->depth - 1].host.a.ino;
}

/* What stands in the way of a directory, or of a rename. */
static int make_way(struct stage_apply *a, const struct stage_entry *e, struct error *err)
{
	_cleanup_object_ struct object here = OBJECT_NONE;
	int r = object_find(a->view.fs, parent_of(a), e->name, e->path, &here, err);

	if (r < 0 || !object_there(&here) || S_ISDIR(here.a.mode) == S_ISDIR(e->mode))
		return r;
	r = S_ISDIR(here.a.mode) ? vfs_rmdir(a->view.fs, parent_of(a), e->name)
				 : vfs_unlink(a->view.fs, parent_of(a), e->name);
	if (r == -ENOTEMPTY || r == -EEXIST)
		return error_set(err, ERROR_BUSY, "'%s' is a directory here, and not empty", e->path);
	return r < 0 ? error_errno(err, -r, "remove '%s'", e->path) : 0;
}

static void told(struct stage_apply *a, const struct object *o)
{
	a->tell(a->context, a->change, object_changed(&o->a));
}

static int apply_directory(struct stage_apply *a, const struct stage_entry *e, struct error *err)
{
	_cleanup_object_ struct object o = OBJECT_NONE;
	int r;

	if (!*e->path) {
		r = object_root(a->view.fs, &o, err);
		o.a.ino = VFS_ROOT;
		if (r == 0)
			r = object_dress(&a->view, &o, e, err);
		if (r == 0)
			told(a, &o);
		return r;
	}
	r = make_way(a, e, err);
	if (r == 0)
		r = object_find(a->view.fs, parent_of(a), e->name, e->path, &o, err);
	if (r == 0)
		r = object_there(&o) ? object_dress(&a->view, &o, e, err)
				     : make_directory(a, parent_of(a), e->name, e, &o, err);
	if (r == 0)
		told(a, &o);
	return r;
}

static int make_link(struct stage_apply *a, const struct stage_entry *e, struct error *err)
{
	_cleanup_object_ struct object target = OBJECT_NONE;
	int r = object_walk(a->view.fs, e->linked, &target, err);

	if (r == 0 && !S_ISREG(target.a.mode))
		return error_set(
			err, ERROR_BUSY, "'%s' is the same file as '%s': apply both", e->path, e->linked);
	if (r < 0)
		return r;
	r = vfs_link(a->view.fs, target.a.ino, VFS_ROOT, a->temporary, &a->made.a);
	return r < 0 ? error_errno(err, -r, "link '%s'", e->path) : 0;
}

/* Makes what is to be renamed into its place. */
static int make(struct stage_apply *a, const struct stage_entry *e, struct error *err)
{
	struct vfs *fs = a->view.fs;
	int r;

	if (e->linked)
		r = make_link(a, e, err);
	else if (S_ISREG(e->mode))
		r = vfs_create(fs, &nobody_special, VFS_ROOT, a->temporary, 0600, VFS_EXCLUSIVE | VFS_WRITE,
			&a->made.a, &a->handle);
	else if (S_ISLNK(e->mode))
		r = vfs_symlink(fs, &nobody_special, VFS_ROOT, a->temporary, e->tar->link, &a->made.a);
	else
		r = vfs_mknod(fs, &nobody_special, VFS_ROOT, a->temporary, (e->mode & S_IFMT) | 0600,
			e->tar->device_major, e->tar->device_minor, &a->made.a);
	if (r < 0) {
		a->made = OBJECT_NONE;
		return e->linked ? r : error_errno(err, -r, "make '%s'", e->path);
	}
	a->made.fs = fs;
	return 0;
}

static int put_in_place(struct stage_apply *a, const struct stage_entry *e, struct error *err)
{
	int r = make_way(a, e, err);

	if (r == 0)
		r = vfs_rename(a->view.fs, VFS_ROOT, a->temporary, parent_of(a), e->name, 0);
	else
		return r;
	if (r < 0)
		return error_errno(err, -r, "put '%s' in its place", e->path);
	/* Two names of one file: the rename has done nothing (POSIX). */
	if (e->linked)
		vfs_unlink(a->view.fs, VFS_ROOT, a->temporary);
	r = vfs_getattr(a->view.fs, a->made.a.ino, VFS_NO_HANDLE, &a->made.a);
	if (r < 0)
		return error_errno(err, -r, "look at '%s'", e->path);
	told(a, &a->made);
	return 0;
}

static void let_go(struct stage_apply *a)
{
	if (a->handle != VFS_NO_HANDLE)
		vfs_release(a->view.fs, a->made.a.ino, a->handle);
	a->handle = VFS_NO_HANDLE;
	object_put(&a->made);
}

/* ---- entries ------------------------------------------------------------------------------------------- */

static int on_entry(void *context, const struct stage_entry *e, struct error *err)
{
	struct stage_apply *a = context;
	int r = 0;

	a->change = NULL;
	if (a->next < a->count && a->by_entry[a->next]->entry == e->number)
		a->change = a->by_entry[a->next++];
	a->copy = *e;
	a->entry = &a->copy;
	if (a->change && !strncmp(e->path, TEMPORARY, sizeof TEMPORARY - 1))
		return error_set(
			err, ERROR_INVALID, "'%s': names like this are what this itself uses", e->path);
	if (a->change)
		r = open_around(a, err);
	if (r == 0 && a->change)
		r = S_ISDIR(e->mode) ? apply_directory(a, e, err) : make(a, e, err);
	return r == 0 && S_ISDIR(e->mode) && *e->path ? enter(a, e, err) : r;
}

static int on_data(void *context, const struct tar_data *data, struct error *err)
{
	struct stage_apply *a = context;
	size_t done = 0;

	while (a->change && done < data->size) {
		size_t most = data->size - done < VFS_IO_MAX ? data->size - done : VFS_IO_MAX;
		int64_t n = vfs_write(
			a->view.fs, a->made.a.ino, a->handle, data->bytes + done, most, data->offset + done);

		if (n <= 0)
			return error_errno(err, n < 0 ? (int)-n : ENOSPC, "write '%s'", a->entry->path);
		done += (size_t)n;
	}
	return 0;
}

static int finish_file(struct stage_apply *a, struct error *err)
{
	const struct vfs_attributes size = {.size = a->entry->tar->size};
	struct vfs_attributes now;
	int r = vfs_setattr(a->view.fs, &nobody_special, a->made.a.ino, a->handle, &size, VFS_SET_SIZE, &now);

	vfs_release(a->view.fs, a->made.a.ino, a->handle);
	a->handle = VFS_NO_HANDLE;
	return r < 0 ? error_errno(err, -r, "write '%s'", a->entry->path) : 0;
}

static int on_end(void *context, struct error *err)
{
	struct stage_apply *a = context;
	const struct stage_entry *e = a->entry;
	int r = 0;

	if (!a->change || S_ISDIR(e->mode))
		return 0;
	if (a->handle != VFS_NO_HANDLE)
		r = finish_file(a, err);
	if (r == 0 && !e->linked)
		r = object_dress(&a->view, &a->made, e, err);
	if (r == 0)
		r = put_in_place(a, e, err);
	if (r == 0)
		let_go(a);
	return r;
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

/* Whoever was killed before has left at most these. */
static int remove_leftovers(struct stage_apply *a, struct error *err)
{
	_cleanup_text_list_ char **names = NULL;
	int r = object_names(a->view.fs, VFS_ROOT, "the volume's directory", &names, err);

	for (char **name = names; r == 0 && *name; name++)
		if (text_starts(*name, TEMPORARY) && strlen(*name) + 1 == TEMPORARY_SIZE)
			vfs_unlink(a->view.fs, VFS_ROOT, *name);
	return r;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = (*(const struct stage_change *const *)a)->entry,
		 y = (*(const struct stage_change *const *)b)->entry;

	return x < y ? -1 : x > y;
}

static int order(struct stage_apply *a, struct error *err)
{
	a->by_entry = calloc(a->changes->count + 1, sizeof(void *));
	if (!a->by_entry)
		return error_no_memory(err, "apply");
	for (size_t i = 0; i < a->changes->count; i++)
		if (a->changes->list[i].kind != STAGE_DELETED && a->changes->list[i].selected)
			a->by_entry[a->count++] = &a->changes->list[i];
	qsort(a->by_entry, a->count, sizeof(void *), by_number);
	return 0;
}

static int choose_temporary(struct stage_apply *a, struct error *err)
{
	uint64_t random[2];

	if (getrandom(random, sizeof random, 0) != sizeof random)
		return error_errno(err, errno, "make a temporary name");
	snprintf(a->temporary, sizeof a->temporary, TEMPORARY "%016" PRIx64 "%016" PRIx64, random[0],
		random[1]);
	return 0;
}

int stage_apply_new(const struct stage_view *view, const struct stage_changes *changes, stage_applied *tell,
	void *context, struct stage_apply **out, struct error *err)
{
	static const struct stage_calls calls = {on_entry, on_data, on_end, on_leave};
	struct stage_apply *a = calloc(1, sizeof *a);
	int r;

	*out = a;
	if (!a)
		return error_no_memory(err, "apply");
	a->view = *view;
	a->changes = changes;
	a->tell = tell;
	a->context = context;
	a->handle = VFS_NO_HANDLE;
	a->room = 16;
	a->depth = 1;
	a->levels = calloc(a->room, sizeof *a->levels);
	a->reader = stage_reader_new(&calls, a, err);
	if (!a->levels || !a->reader)
		return error_no_memory(err, "apply");
	a->levels[0].host.a.ino = VFS_ROOT;
	r = order(a, err);
	if (r == 0)
		r = choose_temporary(a, err);
	if (r == 0)
		r = remove_leftovers(a, err);
	return r < 0 ? r : delete_all(a, true, err);
}

void stage_apply_free(struct stage_apply *a)
{
	if (!a)
		return;
	if (object_there(&a->made))
		vfs_unlink(a->view.fs, VFS_ROOT, a->temporary);
	let_go(a);
	while (a->levels && a->depth)
		level_free(&a->levels[--a->depth]);
	stage_reader_free(a->reader);
	free(a->levels);
	free(a->by_entry);
	free(a);
}

int stage_apply_feed(struct stage_apply *a, const void *bytes, size_t n, struct error *err)
{
	return stage_reader_feed(a->reader, bytes, n, err);
}

int stage_apply_finish(struct stage_apply *a, struct error *err)
{
	int r = stage_reader_finish(a->reader, err);

	return r < 0 ? r : delete_all(a, false, err);
}
