/* SPDX-License-Identifier: Apache-2.0 */
/* Listings, in the order of the names' hashes (window.c). */
#include <errno.h>
#include <string.h>

#include "vfs/overlay/overlay_parts.h"

#define DOT          1u /* cookies of "." and ".." */
#define DOTDOT       2u
#define ROOM_OPEN    32768u
#define ROOM_NO_OPEN 2048u

int overlay_opendir(struct vfs *vfs, uint64_t ino, vfs_handle *handle)
{
	_cleanup_node_ struct overlay_node *node = NULL;
	int r = overlay_get_directory(overlay_of(vfs), ino, &node);

	return r < 0 ? r : overlay_open_new(node, 0, OVERLAY_UPPER, VFS_NO_HANDLE, handle);
}

void overlay_releasedir(struct vfs *vfs, uint64_t ino, vfs_handle handle)
{
	overlay_open_close(overlay_of(vfs), ino, handle, true);
}

int overlay_fsyncdir(struct vfs *vfs, uint64_t ino)
{
	struct overlay *fs = overlay_of(vfs);
	_cleanup_node_ struct overlay_node *node = NULL;
	int r = overlay_get_directory(fs, ino, &node);
	uint64_t upper = r == 0 ? atomic_load(&node->upper) : 0;

	return r < 0 || !upper ? r : vfs_fsyncdir(overlay_upper(fs), upper);
}

/* ---- what an entry is told to be -------------------------------------------------------------------- */

/* The object may have another in a lower, whose number it has. */
static bool needs_finding(struct overlay_node *directory, const struct overlay_listed *e)
{
	if (e->layer != OVERLAY_UPPER)
		return false;
	return S_ISDIR(e->type) ? directory->lower_count > 0 : atomic_load(&directory->fs->copies);
}

/* The node of an entry and its attributes, as they are now; -ENOENT where it is gone. */
static int enter(struct overlay_node *directory, const char *name, struct overlay_node **node,
	struct vfs_attributes *a)
{
	struct overlay *fs = directory->fs;
	_cleanup_found_ struct overlay_found f = {.fs = fs};
	_cleanup_tree_ struct overlay *held = overlay_tree_read(fs);
	int r = overlay_find(directory, name, &f);

	if (r == 0)
		r = overlay_enter(fs, &f, directory, name, node);
	return r < 0 ? r : overlay_attributes_found(*node, &f, a);
}

struct giving {
	struct overlay_node *directory;
	bool attributes;
	vfs_entry_call *take;
	void *context;
};

static int give(const struct giving *g, const struct overlay_listed *listed, uint64_t cookie)
{
	struct overlay *fs = g->directory->fs;
	_cleanup_node_ struct overlay_node *node = NULL;
	struct vfs_attributes a;
	struct vfs_entry e = {.name = listed->name, .name_size = listed->size, .cookie = cookie};
	int r = 0;

	if (g->attributes || needs_finding(g->directory, listed)) {
		r = enter(g->directory, listed->name, &node, &a);
		if (r == -ENOENT)
			return 0; /* gone since the window was filled */
	}
	if (node) {
		e.ino = node->number;
		e.type = node->type;
		if (g->attributes && r == 0)
			e.attributes = &a;
	} else {
		e.ino = overlay_number(
			fs, (struct overlay_object){.ino = listed->ino, .layer = listed->layer});
		e.type = listed->type;
	}
	if (e.attributes)
		overlay_looked_up(node);
	r = g->take(g->context, &e);
	if (r != 0 && e.attributes)
		overlay_forget(&fs->vfs, e.ino, 1);
	return r;
}

static int give_dot(const struct giving *g, uint64_t cookie)
{
	struct overlay_node *d = g->directory;
	struct vfs_entry e = {.name = "..", .name_size = cookie, .type = S_IFDIR, .cookie = cookie};

	if (cookie == DOT)
		e.name = ".";
	pthread_mutex_lock(&d->fs->lock);
	e.ino = cookie == DOTDOT && d->parent ? d->parent->number : d->number;
	pthread_mutex_unlock(&d->fs->lock);
	return g->take(g->context, &e);
}

/* ---- walking ---------------------------------------------------------------------------------------- */

/* The window begins behind a cookie, or holds what is behind it. */
static bool window_has(const struct overlay_window *w, uint64_t cookie)
{
	return cookie > DOTDOT && cookie >= w->after.hash && (w->complete || cookie < w->end.hash);
}

static int fill(struct overlay_node *directory, struct overlay_window *w, uint64_t cookie)
{
	struct overlay *fs = directory->fs;
	_cleanup_tree_ struct overlay *held = overlay_tree_read(fs);
	struct overlay_stack s = overlay_stack_of(directory);
	struct overlay_position after = {.hash = cookie > DOTDOT ? cookie : 0};

	/* Behind all names of that hash. */
	if (after.hash) {
		memset(after.name, 0xff, VFS_NAME_MAX);
		after.name[VFS_NAME_MAX] = 0;
	}
	if (atomic_load(&directory->removed))
		s = (struct overlay_stack){0};
	return overlay_window_fill(fs, w, &s, &after);
}

/* Gives the window's entries behind the cookie. Returns 1 where enough were taken. */
static int give_window(const struct giving *g, const struct overlay_window *w, uint64_t *cookie)
{
	size_t low = 0, high = w->count;
	int r = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (w->entries[middle].hash <= *cookie)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low; r == 0 && i < w->count; i++) {
		uint64_t hash = w->entries[i].hash;
		bool again = i + 1 < w->count && w->entries[i + 1].hash == hash;

		r = give(g, &w->entries[i], again ? hash - 1 : hash);
		if (r == 0)
			*cookie = hash;
	}
	if (r == 0)
		*cookie = w->end.hash;
	return r;
}

static int walk(const struct giving *g, struct overlay_window *w, uint64_t cookie)
{
	bool fresh = cookie <= DOTDOT;
	int r = 0;

	for (; r == 0 && cookie < DOTDOT; cookie++)
		r = give_dot(g, cookie + 1);
	while (r == 0) {
		if (fresh || !window_has(w, cookie))
			r = fill(g->directory, w, cookie);
		fresh = false;
		if (r == 0)
			r = give_window(g, w, &cookie);
		if (w->complete)
			break;
	}
	return r < 0 ? r : 0;
}

int overlay_readdir(struct vfs *vfs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context)
{
	struct overlay *fs = overlay_of(vfs);
	_cleanup_node_ struct overlay_node *node = NULL;
	_cleanup_open_ struct overlay_open *open = NULL;
	_cleanup_window_ struct overlay_window *own = NULL;
	struct giving g = {.attributes = attributes, .take = take, .context = context};
	int r = overlay_get_directory(fs, ino, &node);

	if (r == 0 && handle != VFS_NO_HANDLE)
		r = overlay_open_get(fs, ino, handle, true, &open);
	if (r < 0)
		return r;
	g.directory = node;
	if (!open) {
		own = overlay_window_new(false, ROOM_NO_OPEN);
		return own ? walk(&g, own, cookie) : -ENOMEM;
	}
	pthread_mutex_lock(&open->lock);
	if (!open->window)
		open->window = overlay_window_new(false, ROOM_OPEN);
	r = open->window ? walk(&g, open->window, cookie) : -ENOMEM;
	pthread_mutex_unlock(&open->lock);
	return r;
}
