/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a union has that its lowers alone have not, and the other way round: both are walked side by side,
 * name by name. Directories that the upper has nothing of are the same in both, unless copies are
 * reached by further names in them (the index).
 */
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "vfs/overlay/overlay_parts.h"

#define ROOM      512u
#define PATH_MOST (1u << 20)

/* A directory as the union has it, or as the lowers have it. */
struct view {
	struct overlay_found f; /* what keeps it looked up; empty: the root */
	struct overlay_stack stack;
	struct overlay_window *window; /* NULL: there is no such directory */
	size_t at;
};

struct level {
	struct level *up;
	struct view now, before;
	size_t path_size; /* of the directory's own */
	bool replaced;    /* what is told when the directory has been walked */
	struct vfs_attributes replacement;
};

struct walk {
	struct overlay *fs;
	struct level *level;
	struct buffer path;
	overlay_change_call *call;
	void *context;
};

static void view_end(struct view *v)
{
	if (v->window)
		overlay_window_free(v->window);
	overlay_found_release(&v->f);
}

static void pop(struct walk *w)
{
	struct level *l = w->level;

	w->level = l->up;
	view_end(&l->now);
	view_end(&l->before);
	free(l);
}

static void walk_end(struct walk *w)
{
	while (w->level)
		pop(w);
	buffer_free(&w->path);
}
#define _cleanup_walk_ __attribute__((cleanup(walk_end)))

/* ---- comparing -------------------------------------------------------------------------------------- */

/* Names of xattrs that clients see, as many bytes as are returned; the caller frees them. */
static int64_t list(struct overlay *fs, struct overlay_object o, char **names)
{
	struct vfs *layer = overlay_fs(fs, o.layer);
	int64_t n = vfs_listxattr(layer, o.ino, NULL, 0);

	if (n <= 0)
		return n == -EOPNOTSUPP || n == -ENOSYS ? 0 : n;
	*names = calloc(1, (size_t)n + 1);
	return *names ? vfs_listxattr(layer, o.ino, *names, (size_t)n) : -ENOMEM;
}

/* 1: the second lacks one of the first's, or has another value; 0; or an error. */
static int lacks(struct overlay *fs, struct overlay_object a, struct overlay_object b)
{
	_cleanup_free_ char *names = NULL, *values = malloc(2 * (size_t)VFS_XATTR_VALUE_MAX);
	int64_t n = values ? list(fs, a, &names) : -ENOMEM;

	for (int64_t at = 0; at < n; at += (int64_t)strlen(names + at) + 1) {
		char *other = values + VFS_XATTR_VALUE_MAX;
		int64_t size, other_size;

		if (!names[at] || overlay_is_private(names + at))
			continue;
		size = vfs_getxattr(overlay_fs(fs, a.layer), a.ino, names + at, values, VFS_XATTR_VALUE_MAX);
		other_size =
			vfs_getxattr(overlay_fs(fs, b.layer), b.ino, names + at, other, VFS_XATTR_VALUE_MAX);
		if (size != other_size || (size > 0 && memcmp(values, other, (size_t)size) != 0))
			return 1;
	}
	return n < 0 ? (int)n : 0;
}

static int directory_differs(struct overlay *fs, const struct vfs_attributes *a,
	struct overlay_object a_object, const struct vfs_attributes *b, struct overlay_object b_object)
{
	int r;

	if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid)
		return 1;
	r = lacks(fs, a_object, b_object);
	return r != 0 ? r : lacks(fs, b_object, a_object);
}

/* A lower file with several names whose copy has another. */
static int has_copy(struct overlay *fs, const struct overlay_found *f)
{
	uint8_t key[OVERLAY_KEY_MAX];
	char hex[OVERLAY_HEX_MAX];
	struct vfs_attributes a;
	size_t size;
	int r;

	if (f->top.links < 2 || !atomic_load(&fs->indexed))
		return 0;
	r = overlay_key(fs, f->objects[0], key, &size);
	if (r < 0)
		return r == -ENOSYS ? 0 : r;
	overlay_hex(key, size, hex);
	r = vfs_lookup(overlay_upper(fs), fs->index, hex, &a);
	if (r == 0)
		vfs_forget(overlay_upper(fs), a.ino, 1);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

/* ---- telling ---------------------------------------------------------------------------------------- */

static int tell(struct walk *w, enum overlay_kind kind, const struct vfs_attributes *before,
	const struct vfs_attributes *now)
{
	struct overlay_change change = {
		.path = (const char *)w->path.data, .kind = kind, .before = before, .now = now};

	return w->call(w->context, &change);
}

/* The path of a name in the level's directory; NUL-terminated. */
static int set_path(struct walk *w, size_t directory, const char *name)
{
	w->path.size = directory;
	if (directory)
		buffer_u8(&w->path, '/');
	buffer_append(&w->path, name, strlen(name) + 1);
	if (w->path.failed)
		return -ENOMEM;
	w->path.size--; /* without its NUL */
	return w->path.size > PATH_MOST ? -ENAMETOOLONG : 0;
}

/* ---- walking ---------------------------------------------------------------------------------------- */

/* The lookups move into the view. NULL: there is none. */
static int view_new(struct view *v, struct overlay_found *f)
{
	size_t here;

	if (!f)
		return 0;
	v->window = overlay_window_new(true, ROOM);
	if (!v->window)
		return -ENOMEM;
	v->f = *f;
	if (f->objects == &f->one)
		v->f.objects = &v->f.one;
	f->objects = NULL;
	f->count = 0;
	here = v->f.here ? 1 : 0;
	v->stack = (struct overlay_stack){.objects = v->f.objects + here,
		.count = v->f.count - here,
		.upper = here ? v->f.objects[0].ino : 0};
	return 0;
}

/* Down into the directory whose path is set. */
static int push(struct walk *w, struct overlay_found *now, struct overlay_found *before)
{
	struct level *l = calloc(1, sizeof *l);
	int r;

	if (!l)
		return -ENOMEM;
	l->now.f.fs = l->before.f.fs = w->fs;
	l->path_size = w->path.size;
	l->up = w->level;
	w->level = l;
	r = view_new(&l->now, now);
	return r < 0 ? r : view_new(&l->before, before);
}

/* The next name; NULL: there is none. The tree is held. */
static int peek(struct walk *w, struct view *v, const char **name)
{
	struct overlay_position end;
	bool first;
	int r;

	*name = NULL;
	while (v->window && v->at == v->window->count) {
		first = v->window->end.name[0] == 0;
		if (v->window->complete)
			return 0;
		end = v->window->end;
		r = overlay_window_fill(w->fs, v->window, &v->stack, first ? NULL : &end);
		if (r < 0)
			return r;
		v->at = 0;
	}
	if (v->window)
		*name = v->window->entries[v->at].name;
	return 0;
}

struct pair {
	char name[VFS_NAME_MAX + 1];
	struct overlay_found now, before;
	bool is, was;
};

static void pair_end(struct pair *p)
{
	overlay_found_release(&p->now);
	overlay_found_release(&p->before);
}

static int find(struct walk *w, struct view *v, const char *name, struct overlay_found *f, bool *there)
{
	int r;

	v->at++;
	r = overlay_find_in(w->fs, &v->stack, name, f);
	*there = r == 0;
	return r == -ENOENT ? 0 : r;
}

/* 0: the directory has been walked. */
static int next_pair(struct walk *w, struct pair *p)
{
	_cleanup_tree_ struct overlay *held = overlay_tree_read(w->fs);
	struct level *l = w->level;
	const char *now, *before;
	int r = peek(w, &l->now, &now), c;

	if (r == 0)
		r = peek(w, &l->before, &before);
	if (r < 0 || (!now && !before))
		return r;
	c = !now ? 1 : !before ? -1 : strcmp(now, before);
	strcpy(p->name, c <= 0 ? now : before);
	if (c <= 0)
		r = find(w, &l->now, p->name, &p->now, &p->is);
	if (r == 0 && c >= 0)
		r = find(w, &l->before, p->name, &p->before, &p->was);
	return r < 0 ? r : 1;
}

/* Both are directories. */
static int compare_directories(struct walk *w, struct pair *p)
{
	struct overlay *fs = w->fs;
	int r = 0;

	if (p->now.here && p->now.count == 1)
		r = tell(w, OVERLAY_OPAQUE, &p->before.top, &p->now.top);
	else if (p->now.here) {
		r = directory_differs(
			fs, &p->now.top, p->now.objects[0], &p->before.top, p->before.objects[0]);
		if (r > 0)
			r = tell(w, OVERLAY_CHANGED, &p->before.top, &p->now.top);
	}
	if (r != 0 || (!p->now.here && !atomic_load(&fs->indexed)))
		return r;
	return push(w, &p->now, &p->before);
}

static int compare_others(struct walk *w, struct pair *p)
{
	int r = p->now.here ? 1 : has_copy(w->fs, &p->now);

	return r > 0 ? tell(w, OVERLAY_CHANGED, &p->before.top, &p->now.top) : r;
}

static int tell_deleted(struct walk *w, struct pair *p)
{
	int r = tell(w, OVERLAY_DELETED, &p->before.top, NULL);

	return r == 0 && S_ISDIR(p->before.top.mode) ? push(w, NULL, &p->before) : r;
}

static int tell_added(struct walk *w, struct pair *p)
{
	int r = tell(w, OVERLAY_ADDED, NULL, &p->now.top);

	return r == 0 && S_ISDIR(p->now.top.mode) ? push(w, &p->now, NULL) : r;
}

static int compare(struct walk *w, struct pair *p)
{
	int r;

	if (!p->is || !p->was)
		return p->is ? tell_added(w, p) : p->was ? tell_deleted(w, p) : 0;
	if ((p->now.top.mode & S_IFMT) == (p->before.top.mode & S_IFMT))
		return S_ISDIR(p->now.top.mode) ? compare_directories(w, p) : compare_others(w, p);
	r = tell_deleted(w, p);
	if (r != 0 || !S_ISDIR(p->before.top.mode))
		return r != 0 ? r : tell_added(w, p);
	w->level->replaced = true; /* and no directory, so that nothing is in it */
	w->level->replacement = p->now.top;
	return 0;
}

static int leave(struct walk *w)
{
	struct level *l = w->level;
	int r = 0;

	w->path.size = l->path_size;
	if (l->replaced) {
		buffer_u8(&w->path, 0);
		w->path.size = l->path_size;
		r = w->path.failed ? -ENOMEM : tell(w, OVERLAY_ADDED, NULL, &l->replacement);
	}
	pop(w);
	return r;
}

static int step(struct walk *w)
{
	__attribute__((cleanup(pair_end))) struct pair p = {.now.fs = w->fs, .before.fs = w->fs};
	int r = next_pair(w, &p);

	if (r <= 0)
		return r < 0 ? r : leave(w);
	r = set_path(w, w->level->path_size, p.name);
	return r < 0 ? r : compare(w, &p);
}

/* The root's views are the layers' own roots, which nobody forgets. */
static int push_root(struct walk *w)
{
	struct overlay_node *root = w->fs->root;
	struct level *l;
	int r = push(w, NULL, NULL);

	if (r < 0)
		return r;
	l = w->level;
	l->now.stack = overlay_stack_of(root);
	l->before.stack = l->now.stack;
	l->before.stack.upper = 0;
	l->now.window = overlay_window_new(true, ROOM);
	l->before.window = overlay_window_new(true, ROOM);
	return l->now.window && l->before.window ? 0 : -ENOMEM;
}

static int tell_root(struct walk *w)
{
	struct overlay_node *root = w->fs->root;
	struct overlay_object upper = overlay_top(root);
	struct vfs_attributes now, before;
	int r;

	if (!root->lower_count)
		return 0;
	r = vfs_getattr(overlay_upper(w->fs), upper.ino, VFS_NO_HANDLE, &now);
	if (r == 0)
		r = vfs_getattr(
			overlay_fs(w->fs, root->lower[0].layer), root->lower[0].ino, VFS_NO_HANDLE, &before);
	if (r == 0)
		r = directory_differs(w->fs, &now, upper, &before, root->lower[0]);
	if (r > 0) {
		buffer_u8(&w->path, 0);
		w->path.size = 0;
		r = w->path.failed ? -ENOMEM : tell(w, OVERLAY_CHANGED, &before, &now);
	}
	return r;
}

int overlay_changes(struct vfs *vfs, overlay_change_call *call, void *context)
{
	_cleanup_walk_ struct walk w = {.fs = overlay_of(vfs), .call = call, .context = context};
	int r;

	if (!overlay_upper(w.fs))
		return 0;
	r = tell_root(&w);
	if (r == 0)
		r = push_root(&w);
	while (r == 0 && w.level)
		r = step(&w);
	return r;
}
