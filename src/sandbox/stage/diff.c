/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk of the archive and of the host's directory side by side. Of a directory that hides what lies below
 * it (opaque), and of what has taken a directory's place, the host's names are listed: what the archive does
 * not have of them is deleted, each by its name.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "sandbox/stage/marks.h"
#include "sandbox/stage/object.h"

#define PIECE     65536
#define PATH_MOST 4095
#define DELETED   UINT64_MAX

struct level {
	struct object host; /* the directory there; none where it is new */
	size_t path;        /* bytes of d->path that are this directory's */
	char **names;       /* of an opaque one, on the host; NULL: does not matter */
	size_t next;        /* the first that has not been compared */
};

struct stage_diff {
	struct stage_view view;
	struct stage_reader *reader;
	struct stage_changes changes;
	struct map seen;    /* entries that were applied before */
	struct map changed; /* paths of files with other contents → size + 1: links to them have them, too */
	struct level *levels;
	size_t depth, room;
	struct buffer path; /* of the entry at hand, with a NUL */

	/* The entry at hand, while its data come. */
	struct object host;
	struct stage_change change;
	bool wanted;    /* it is a change, whatever its data are */
	bool comparing; /* its data and the host's */
	uint64_t at, size;
	uint8_t *piece; /* PIECE bytes of the host's */
};

static const char *path_of(const struct stage_diff *d)
{
	return (const char *)d->path.data;
}

static int set_path(struct stage_diff *d, size_t keep, const char *name, struct error *err)
{
	d->path.size = keep;
	if (keep)
		buffer_u8(&d->path, '/');
	buffer_append_text(&d->path, name);
	if (!buffer_u8(&d->path, 0))
		return error_no_memory(err, "compare");
	return d->path.size <= PATH_MOST + 1
		       ? 0
		       : error_set(err, ERROR_LIMIT, "'%.200s...': the path is too long", path_of(d));
}

/* ---- what is told -------------------------------------------------------------------------------------- */

static struct stage_facts facts_of(const struct object *o)
{
	return object_there(o) ? (struct stage_facts){o->a.mode, o->a.uid, o->a.gid, o->a.size}
			       : (struct stage_facts){0};
}

/* The sandbox may not have seen the object as it is now. */
static bool is_conflict(
	const struct stage_view *v, const char *path, const struct object *host, uint64_t staged)
{
	uint64_t changed = object_there(host) ? object_changed(&host->a) : 0;
	const uint64_t *applied = v->applied ? map_get(v->applied, path, strlen(path) + 1) : NULL;

	if (!object_there(host) || S_ISDIR(host->a.mode) || changed <= v->created ||
		(applied && *applied == changed))
		return false;
	return changed > v->started || staged < changed;
}

static int add(struct stage_diff *d, const struct stage_change *c, struct error *err)
{
	struct stage_changes *all = &d->changes;
	struct stage_change *fresh;

	if (all->count == all->room) {
		size_t room = all->room ? 2 * all->room : 64;
		struct stage_change *grown = reallocarray(all->list, room, sizeof *grown);

		if (!grown)
			return error_no_memory(err, "compare");
		all->list = grown;
		all->room = room;
	}
	if (all->count >= STAGE_CHANGES_MAX)
		return error_set(err, ERROR_LIMIT, "over %u changes", STAGE_CHANGES_MAX);
	fresh = &all->list[all->count];
	*fresh = *c;
	fresh->path = text_copy(path_of(d), err);
	if (!fresh->path)
		return -ERROR_NO_MEMORY;
	fresh->selected = stage_selects(d->view.paths, fresh->path);
	all->conflicts += fresh->selected && fresh->conflict;
	all->unselected += !fresh->selected;
	all->count++;
	return 0;
}

static int add_deleted(struct stage_diff *d, const struct object *o, bool replaced, struct error *err);

/* All that is in a directory of the host. */
static int add_deleted_below(struct stage_diff *d, const struct object *o, bool replaced, struct error *err)
{
	_cleanup_text_list_ char **names = NULL;
	size_t keep = d->path.size - 1;
	int r = object_names(d->view.fs, o->a.ino, path_of(d), &names, err);

	for (char **name = names; r == 0 && *name; name++) {
		_cleanup_object_ struct object below = OBJECT_NONE;

		r = set_path(d, keep, *name, err);
		if (r == 0)
			r = object_find(d->view.fs, o->a.ino, *name, path_of(d), &below, err);
		if (r == 0 && object_there(&below))
			r = add_deleted(d, &below, replaced, err);
	}
	d->path.size = keep;
	return buffer_u8(&d->path, 0) ? r : error_no_memory(err, "compare");
}

static int add_deleted(struct stage_diff *d, const struct object *o, bool replaced, struct error *err)
{
	const struct stage_change c = {.kind = STAGE_DELETED,
		.before = facts_of(o),
		.conflict = is_conflict(&d->view, path_of(d), o, 0),
		.replaced = replaced,
		.entry = DELETED};
	int r = add(d, &c, err);

	return r == 0 && S_ISDIR(o->a.mode) ? add_deleted_below(d, o, replaced, err) : r;
}

/* The host's names in the innermost directory, an opaque one, that come before `name`, or all that are left.
 */
static int add_hidden(struct stage_diff *d, const char *name, struct error *err)
{
	struct level *l = &d->levels[d->depth - 1];
	int r = 0;

	while (r == 0 && l->names && l->names[l->next]) {
		const char *here = l->names[l->next];
		int order = name ? strcmp(here, name) : -1;
		_cleanup_object_ struct object o = OBJECT_NONE;

		if (order > 0)
			break;
		l->next++;
		if (order == 0)
			break;
		r = set_path(d, l->path, here, err);
		if (r == 0)
			r = object_find(d->view.fs, l->host.a.ino, here, path_of(d), &o, err);
		if (r == 0 && object_there(&o))
			r = add_deleted(d, &o, false, err);
	}
	return r;
}

/* ---- directories --------------------------------------------------------------------------------------- */

static int enter(struct stage_diff *d, const struct stage_entry *e, struct error *err)
{
	struct level *l;

	if (d->depth == d->room) {
		struct level *grown = reallocarray(d->levels, 2 * d->room, sizeof *grown);

		if (!grown)
			return error_no_memory(err, "compare");
		d->levels = grown;
		d->room *= 2;
	}
	l = &d->levels[d->depth++];
	*l = (struct level){.path = d->path.size - 1};
	if (!object_there(&d->host) || !S_ISDIR(d->host.a.mode))
		return 0;
	l->host = d->host;
	d->host = OBJECT_NONE;
	return e->opaque ? object_names(d->view.fs, l->host.a.ino, e->path, &l->names, err) : 0;
}

static void level_free(struct level *l)
{
	object_put(&l->host);
	text_list_free(l->names);
}

static int on_leave(void *context, struct error *err)
{
	struct stage_diff *d = context;
	int r = add_hidden(d, NULL, err);

	level_free(&d->levels[--d->depth]);
	return r;
}

/* ---- entries ------------------------------------------------------------------------------------------- */

static const char *mark_of(const struct stage_entry *e, const struct object *host)
{
	const char *mark = S_ISDIR(e->mode) ? NULL : stage_mark_of_path(e->path);
	bool was_executable = object_there(host) && S_ISREG(host->a.mode) && host->a.mode & 0111;

	if (mark)
		return mark;
	if (S_ISREG(e->mode) && e->mode & 0111 && !was_executable)
		return "executable";
	return S_ISLNK(e->mode) && stage_leads_out(e->path, e->tar->link) ? "leads out" : NULL;
}

static uint64_t staged_time(const struct tar_entry *t)
{
	return t->mtime < 0 ? 0 : (uint64_t)t->mtime * 1000000000u + t->mtime_nanoseconds;
}

static void describe(struct stage_diff *d, const struct stage_entry *e)
{
	struct stage_change *c = &d->change;
	bool there = object_there(&d->host);

	*c = (struct stage_change){.before = facts_of(&d->host),
		.after = {e->mode, e->tar->uid, e->tar->gid, S_ISREG(e->mode) ? e->tar->size : 0},
		.mark = mark_of(e, &d->host),
		.entry = e->number};
	c->kind = !there ? STAGE_ADDED : (d->host.a.mode ^ e->mode) & S_IFMT ? STAGE_TYPE : STAGE_MODIFIED;
	/* What was copied from there and is not there any more was removed meanwhile. */
	c->conflict = there ? is_conflict(&d->view, e->path, &d->host, staged_time(e->tar)) : e->copied;
	d->wanted = c->kind != STAGE_MODIFIED;
}

/* A link to a file that is the host's as it is, and is linked so there as well. */
static int compare_link(struct stage_diff *d, const struct stage_entry *e, struct error *err)
{
	_cleanup_object_ struct object target = OBJECT_NONE;
	uintptr_t size = (uintptr_t)map_get(&d->changed, e->linked, strlen(e->linked) + 1);
	int r = object_walk(d->view.fs, e->linked, &target, err);

	d->change.contents = size || target.a.ino != d->host.a.ino;
	d->wanted = d->wanted || d->change.contents;
	d->change.after.size = size ? size - 1 : target.a.size;
	return r;
}

static int compare(struct stage_diff *d, const struct stage_entry *e, struct error *err)
{
	int r;

	if (e->linked)
		return compare_link(d, e, err);
	if (d->wanted) {
		d->change.contents = S_ISREG(e->mode);
		return 0;
	}
	r = object_differs(&d->view, &d->host, e, err);
	d->wanted = r > 0;
	d->comparing = r >= 0 && S_ISREG(e->mode) && e->tar->size == d->host.a.size;
	d->change.contents = S_ISREG(e->mode) && !d->comparing;
	d->wanted = d->wanted || d->change.contents;
	d->at = 0;
	d->size = e->tar->size;
	return r < 0 ? r : 0;
}

static int on_removed(struct stage_diff *d, struct error *err)
{
	d->wanted = false;
	return object_there(&d->host) ? add_deleted(d, &d->host, false, err) : 0;
}

static int note_seen(struct stage_diff *d, const char *path, struct error *err)
{
	size_t n = strlen(path) + 1;

	return d->view.applied && map_get(d->view.applied, path, n) ? map_set(&d->seen, path, n, d, NULL, err)
								    : 0;
}

static void note_matches(const struct stage_view *v, const char *path)
{
	for (size_t i = 0; v->matched && v->paths && v->paths[i]; i++)
		v->matched[i] |= stage_is_within(path, v->paths[i]);
}

static int on_entry(void *context, const struct stage_entry *e, struct error *err)
{
	struct stage_diff *d = context;
	struct level *l = &d->levels[d->depth - 1];
	int r = *e->path ? add_hidden(d, e->name, err) : 0;

	if (r == 0)
		r = note_seen(d, e->path, err);
	d->wanted = d->comparing = false;
	note_matches(&d->view, e->path);
	if (r == 0 && !*e->path)
		r = object_root(d->view.fs, &d->host, err);
	else if (r == 0) {
		r = set_path(d, l->path, e->name, err);
		if (r == 0 && object_there(&l->host))
			r = object_find(d->view.fs, l->host.a.ino, e->name, e->path, &d->host, err);
	}
	if (r < 0)
		return r;
	if (e->removed)
		return on_removed(d, err);
	describe(d, e);
	r = compare(d, e, err);
	if (r == 0 && S_ISDIR(e->mode)) {
		if (d->wanted)
			r = add(d, &d->change, err);
		d->wanted = false;
		if (r == 0 && *e->path)
			r = enter(d, e, err);
	}
	return r;
}

/* ---- data ---------------------------------------------------------------------------------------------- */

/* The host's next bytes are these (NULL: zeroes). */
static int compare_bytes(struct stage_diff *d, const uint8_t *bytes, uint64_t n, struct error *err)
{
	while (n && d->comparing) {
		size_t most = n < PIECE ? (size_t)n : PIECE;
		int64_t got = vfs_read(d->view.fs, d->host.a.ino, VFS_NO_HANDLE, d->piece, most, d->at);
		bool same = got == (int64_t)most;

		if (got < 0)
			return error_errno(err, (int)-got, "read '%s'", path_of(d));
		for (size_t i = 0; same && !bytes && i < most; i++)
			same = !d->piece[i];
		if (same && bytes)
			same = !memcmp(d->piece, bytes, most);
		d->comparing = same;
		d->at += most;
		n -= most;
		bytes = bytes ? bytes + most : NULL;
	}
	if (!d->comparing)
		d->wanted = d->change.contents = true;
	return 0;
}

static int on_data(void *context, const struct tar_data *data, struct error *err)
{
	struct stage_diff *d = context;
	int r;

	if (!d->comparing)
		return 0;
	if (data->offset < d->at || data->offset > d->size || data->size > d->size - data->offset)
		return error_set(err, ERROR_INVALID, "the parts of '%s' are out of order", path_of(d));
	r = compare_bytes(d, NULL, data->offset - d->at, err);
	return r == 0 && d->comparing ? compare_bytes(d, data->bytes, data->size, err) : r;
}

static int on_end(void *context, struct error *err)
{
	struct stage_diff *d = context;
	int r = d->comparing ? compare_bytes(d, NULL, d->size - d->at, err) : 0;

	if (r == 0 && d->wanted && d->change.contents)
		r = map_set(&d->changed, path_of(d), d->path.size,
			(void *)((uintptr_t)d->change.after.size + 1), NULL, err);
	if (r == 0 && d->wanted)
		r = add(d, &d->change, err);
	if (r == 0 && d->wanted && d->change.kind == STAGE_TYPE && S_ISDIR(d->host.a.mode))
		r = add_deleted_below(d, &d->host, true, err);
	object_put(&d->host);
	d->comparing = d->wanted = false;
	return r;
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

int stage_diff_new(const struct stage_view *view, struct stage_diff **out, struct error *err)
{
	static const struct stage_calls calls = {on_entry, on_data, on_end, on_leave};
	struct stage_diff *d = calloc(1, sizeof *d);

	if (!d)
		return error_no_memory(err, "compare");
	d->view = *view;
	d->room = 16;
	d->levels = calloc(d->room, sizeof *d->levels);
	d->piece = malloc(PIECE);
	d->reader = stage_reader_new(&calls, d, err);
	if (!d->levels || !d->piece || !d->reader || !buffer_u8(&d->path, 0)) {
		stage_diff_free(d);
		return error_no_memory(err, "compare");
	}
	d->depth = 1;
	*out = d;
	return object_root(view->fs, &d->levels[0].host, err);
}

void stage_diff_free(struct stage_diff *d)
{
	if (!d)
		return;
	while (d->depth)
		level_free(&d->levels[--d->depth]);
	object_put(&d->host);
	stage_reader_free(d->reader);
	stage_changes_free(&d->changes);
	map_free(&d->seen);
	map_free(&d->changed);
	buffer_free(&d->path);
	free(d->levels);
	free(d->piece);
	free(d);
}

int stage_diff_feed(struct stage_diff *d, const void *bytes, size_t n, struct error *err)
{
	return stage_reader_feed(d->reader, bytes, n, err);
}

/* ---- what is not there any more ------------------------------------------------------------------------ */

/* As a tree is listed: what is in a directory behind it, before its neighbours. */
static int compare_paths(const char *a, const char *b)
{
	const unsigned char *x = (const unsigned char *)a, *y = (const unsigned char *)b;

	while (*x && *x == *y)
		x++, y++;
	return (*x == '/' ? 1 : *x ? *x + 1 : 0) - (*y == '/' ? 1 : *y ? *y + 1 : 0);
}

static int by_text(const void *a, const void *b)
{
	return compare_paths(*(const char *const *)a, *(const char *const *)b);
}

/* Paths that were applied and are no entries any more, in order. */
static int list_vanished(struct stage_diff *d, char ***paths, struct error *err)
{
	struct map_slot *slot;
	size_t at = 0, n = 0;

	*paths = calloc(d->view.applied->size + 1, sizeof **paths);
	if (!*paths)
		return error_no_memory(err, "compare");
	while ((slot = map_next(d->view.applied, &at))) {
		if (!*slot->key || map_get(&d->seen, slot->key, slot->key_size))
			continue; /* the root is an entry only where it was changed */
		(*paths)[n] = text_copy((const char *)slot->key, err);
		if (!(*paths)[n++])
			return -ERROR_NO_MEMORY;
	}
	qsort(*paths, n, sizeof **paths, by_text);
	return 0;
}

static int list_deleted(const struct stage_changes *c, struct map *deleted, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->count; i++)
		if (c->list[i].kind == STAGE_DELETED)
			r = map_set(
				deleted, c->list[i].path, strlen(c->list[i].path) + 1, deleted, NULL, err);
	return r;
}

static int add_vanished(struct stage_diff *d, const char *path, struct error *err)
{
	_cleanup_object_ struct object o = OBJECT_NONE;
	int r = object_walk(d->view.fs, path, &o, err);

	if (r == 0)
		r = set_path(d, 0, path, err);
	return r == 0 && object_there(&o) ? add_deleted(d, &o, false, err) : r;
}

/* What was made in the sandbox, applied, and then deleted there leaves no trace in the archive, as long as
 * the sandbox does not know that the host has it as well. */
static int add_all_vanished(struct stage_diff *d, struct error *err)
{
	_cleanup_text_list_ char **paths = NULL;
	struct map deleted = {0};
	const char *last = NULL;
	int r = list_vanished(d, &paths, err);

	if (r == 0 && *paths)
		r = list_deleted(&d->changes, &deleted, err);
	for (char **p = paths; r == 0 && *p; p++) {
		if ((last && stage_is_within(*p, last)) || map_get(&deleted, *p, strlen(*p) + 1))
			continue;
		last = *p;
		r = add_vanished(d, *p, err);
	}
	map_free(&deleted);
	return r;
}

static int by_path(const void *a, const void *b)
{
	return compare_paths(((const struct stage_change *)a)->path, ((const struct stage_change *)b)->path);
}

int stage_diff_finish(struct stage_diff *d, struct stage_changes *changes, struct error *err)
{
	int r = stage_reader_finish(d->reader, err);

	if (r == 0 && d->view.applied && d->view.applied->size)
		r = add_all_vanished(d, err);
	*changes = d->changes;
	d->changes = (struct stage_changes){0};
	if (changes->count)
		qsort(changes->list, changes->count, sizeof *changes->list, by_path);
	return r;
}
